"""The real controller holds a rollout for a segment that comes to harm, and a person goes on with it all the same."""

from __future__ import annotations

import json
import random
from pathlib import Path

from crossfade.live.routes import EXCLUDED, routes, taken
from crossfade.rim.controller import Controller
from crossfade.rim.excluding import exclude_by_hand
from crossfade.rim.journal import Journal
from crossfade.rim.record import LiveRecord
from crossfade.rim.replaying import replay
from crossfade.rim.standing import move_by_hand, standing
from crossfade.rim.store import Store
from crossfade.rim.verifying import check
from crossfade.spec.parse import parse
from crossfade.state import Move, Phase

from .facts_made import START, exposed

NAME = "r1"
SPEC = """
name: r1
route: /r
protocol: json
unit: header:x-user-id
segments: [header:x-country]
champion: {name: v1, url: "http://127.0.0.1:1"}
challenger: {name: v2, url: "http://127.0.0.1:2"}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 10pp}}
stages:
  - canary: {steps: [20%, 50%], hold_for: 60s}
  - promote: {holdback: 5%, watch: 20s}
"""
TICK = 5.0


class Lived:
    """A rollout whose challenger fails for one country in ten, and the clock of its controller."""

    def __init__(self, data: Path, spec: str = SPEC) -> None:
        self.data, self.now = data, START
        self.store, self._journal, self._rng = Store(data), Journal(data, "w0"), random.Random(3)
        self.store.add(spec, parse(spec), START)
        self.store.act(NAME, Move.START, actor="ana", rule="manual", sentence="Started by ana: a test.", at=START)
        self._controller = Controller(data, clock=lambda: self.now)
        self._number = 0

    def tick(self, requests: int = 400) -> None:
        stored = self.store.get(NAME)
        route, facts, rng = routes(stored.rollout, stored.position), [], self._rng
        for _ in range(requests):
            self._number += 1
            country = rng.choice(["de"] + ["fr"] * 5 + ["it"] * 3 + [""])
            way = taken(route, (country,))
            arm = "v2" if rng.random() < way.weight else "v1"
            failed = rng.random() < (0.7 if (arm, country) == ("v2", "de") else 0.02)
            facts.append(
                exposed(
                    self._number,
                    at=self.now + rng.uniform(0.0, TICK * 0.4),
                    unit=f"u{self._number}",
                    arm=arm,
                    mode=way.mode,
                    stage=stored.position.stage,
                    step=stored.position.step,
                    weight=way.weight,
                    failed=failed,
                    reason=way.why,
                    segments=(country,),
                )
            )
        self._journal.append(facts)
        self.now += TICK
        self._controller.turn()

    def close(self) -> None:
        self._controller.close()
        self.store.close()


def test_a_segment_that_comes_to_harm_holds_until_somebody_goes_on(tmp_path: Path) -> None:
    lived = Lived(tmp_path)
    store = lived.store
    for _ in range(11):
        lived.tick()
        if store.get(NAME).position.phase is Phase.HELD:
            break
    position = store.get(NAME).position
    assert position.phase is Phase.HELD
    assert position.held_for == (("errors", "v2", "header:x-country=de"),)
    record = standing(store, NAME, lived.now)
    assert record["sentence"].startswith("Holding at 20 %: errors of v2 is at least ")
    assert "where header:x-country=de (" in record["sentence"]
    assert record["next"]["what"].startswith("waits for somebody")
    told = record["segments"]
    assert [one["segment"] for one in told["fields"][0]["values"]][:2] == ["header:x-country=fr", "header:x-country=it"]
    assert [one["segment"] for one in told["harmful"]] == ["header:x-country=de"]
    whole = next(line for line in record["evidence"] if line["metric"] == "errors" and line["segment"] is None)
    parts = [line for line in record["evidence"] if line["segment"] is not None]
    assert whole["verdict"] != "harmful"
    assert {arm: sum(line["units"][arm] for line in parts) for arm in ("v1", "v2")} == whole["units"]
    lived.tick()
    assert store.get(NAME).position.phase is Phase.HELD

    move_by_hand(store, NAME, Move.RESUME, actor="ana", reason="that country is served by others", at=lived.now)
    for _ in range(3):
        lived.tick()
    position = store.get(NAME).position
    assert position.phase is Phase.RUNNING
    assert position.gone_on == (("errors", "v2", "header:x-country=de"),)
    assert standing(store, NAME, lived.now)["segments"]["gone_on"][0]["segment"] == "header:x-country=de"
    lived.close()

    live = LiveRecord(tmp_path, NAME)
    found, again = check(live), replay(live)
    live.close()
    assert found.intact, found.reason
    assert again.differing == []
    assert any(one.rule == "segment" for one in again.looked)
    assert json.dumps(record)


def test_a_segment_that_comes_to_harm_is_kept_on_the_champion_and_the_others_go_on(tmp_path: Path) -> None:
    lived = Lived(
        tmp_path, SPEC.replace("segments: [header:x-country]", "segments: [header:x-country]\non_segment_harm: exclude")
    )
    store = lived.store
    for _ in range(13):
        lived.tick()
        if store.get(NAME).position.excluded:
            break
    position = store.get(NAME).position
    assert (position.phase, position.excluded) == (Phase.RUNNING, (("header:x-country", "de"),))
    (entry,) = [one for one in store.entries(NAME) if one.rule == "segment"]
    assert (entry.move, entry.actor) == (None, "rule")
    assert entry.sentence.startswith("Kept on v1 from now on: header:x-country=de (")
    assert any(line["segment"] == "header:x-country=de" and line["verdict"] == "harmful" for line in entry.evidence)
    for _ in range(40):
        lived.tick()
        if store.get(NAME).position.phase is Phase.PROMOTED:
            break
    stored = store.get(NAME)
    assert stored.position.phase is Phase.PROMOTED
    assert taken(routes(stored.rollout, stored.position), ("de",)).why == EXCLUDED
    assert [one.rule for one in store.entries(NAME)].count("segment") == 1
    assert standing(store, NAME, lived.now)["excluded"] == ["header:x-country=de"]
    exclude_by_hand(store, NAME, "header:x-country=de", actor="ana", reason="mended", at=lived.now, on=False)
    lived.tick()
    assert store.get(NAME).position.excluded == ()
    lived.close()

    live = LiveRecord(tmp_path, NAME)
    found, again = check(live), replay(live)
    live.close()
    assert found.intact, found.reason
    assert again.differing == []
    assert [one.move for one in again.looked if one.rule == "segment"] == ["exclude"]
