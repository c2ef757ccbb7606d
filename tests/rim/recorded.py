"""A rollout that the real controller takes from start to end, over facts made here and a clock set here."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from crossfade.rim.controller import Controller
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import ENDED, Move, Phase, mode, weight

from .facts_made import START, exposed, outcome

NAME = "r1"

SPEC = """
name: r1
route: /r
protocol: json
unit: header:x-user-id
champion: {name: v1, url: "http://127.0.0.1:1"}
challenger: {name: v2, url: "http://127.0.0.1:2"}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 10pp}}
  wrong: {from: outcome, kind: rate, window: 2s, better: lower, goal: true}
stages:
  - canary: {steps: [20%, 50%], hold_for: 10s}
  - ab: {weight: 50%, until: {decided: true, at_most: 1d}}
  - promote: {holdback: 5%, watch: 20s}
"""

TICK = 5.0


def make(
    data: Path,
    *,
    wrong: float,
    seed: int = 0,
    ticks: int = 40,
    a_tick: int = 160,
    spec: str = SPEC,
    after: Callable[[Store, float], None] = lambda store, now: None,
) -> Phase:
    """Run the rollout until it ends or is promoted; `wrong` is how often the challenger is (the champion: 40 %).

    `after` is called after each of the controller's looks.
    """
    rng = random.Random(seed)
    store, journal, inbox = Store(data), Journal(data, "w0"), OutcomeInbox(data)
    now = START
    store.add(spec, parse(spec), now)
    store.act(NAME, Move.START, actor="ana", rule="manual", sentence="Started by ana: a test.", at=now)
    controller = Controller(data, clock=lambda: now)
    number = 0
    for _ in range(ticks):
        position, rollout = store.get(NAME).position, store.get(NAME).rollout
        if position.phase in ENDED or position.phase is Phase.PROMOTED:
            break
        share, facts, outcomes = weight(rollout, position), [], []
        for _ in range(a_tick):
            number += 1
            arm, at = ("v2" if rng.random() < share else "v1"), now + rng.uniform(0.0, TICK * 0.4)
            facts.append(
                exposed(
                    number,
                    at=at,
                    unit=f"u{number}",
                    arm=arm,
                    served_by=arm,
                    mode=mode(rollout, position),
                    stage=position.stage,
                    step=position.step,
                    weight=share,
                    failed=rng.random() < 0.01,
                    latency_ms=rng.lognormvariate(2.0, 0.5),
                )
            )
            bad = rng.random() < (wrong if arm == "v2" else 0.4)
            told = {
                "decision_id": f"d{number}",
                "name": "wrong",
                "value": float(bad),
                "at": at,
                "received_at": at + 1.0,
            }
            outcomes.append(outcome(f"o{number}", **told))
        journal.append(facts)
        inbox.accept(outcomes)
        now += TICK
        controller.turn()
        after(store, now)
    phase = store.get(NAME).position.phase
    controller.close()
    inbox.close()
    store.close()
    return phase
