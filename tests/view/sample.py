"""One rollout in the middle of its canary, as the tests of view, terminal and console look at it."""

from __future__ import annotations

from collections.abc import Sequence

from crossfade import ledger
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.measure.measured import Windowed
from crossfade.ledger import Body, Entry
from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse
from crossfade.state import Move, Position, apply
from crossfade.view import ArmCounts, Exposure, Harm, Harmed, OutcomeCounts, Progress

SPEC = """\
name: ranker-v2
route: /v2/models/ranker/infer
protocol: open-inference
unit: header:x-user-id
champion:   {name: v1, url: "http://127.0.0.1:8101"}
challenger: {name: v2, url: "http://127.0.0.1:8102"}
alpha: 5%
metrics:
  errors:   {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
  latency:  {from: response, kind: quantile, q: 0.99, better: lower, guardrail: {margin: 20%}}
  purchase: {from: outcome, kind: rate, window: 24h, better: higher, goal: true}
  revenue:  {from: outcome, kind: mean, window: 24h, better: higher, guardrail: {margin: 2%}}
stages:
  - shadow:  {mirror: 100%, noise: 5%, until: {requests: 5000}, gates: {disagreement: {at_most: 5%}}}
  - canary:  {steps: [1%, 5%, 20%], budget: {purchase: 50}, hold_for: 10m}
  - ab:      {weight: 50%, until: {decided: true, at_most: 14d}}
  - promote: {holdback: 2%, watch: 30d}
"""

START = 1_767_225_600.0
"""2026-01-01 00:00:00 UTC."""

ROLLOUT: Rollout = parse(SPEC)

MOVES: tuple[tuple[Move, float, str, str], ...] = (
    (Move.START, 0.0, "manual", "Started by ana: release 41"),
    (Move.ADVANCE, 900.0, "cleared", "Shadow cleared: 5,000 requests compared, disagreement 1.2 % of at most 5 %."),
    (Move.ADVANCE, 1500.0, "cleared", "Held 10 min at 1 % and nothing is harmful; going to 5 %."),
)

NOW = START + 1700.0


def ledger_of(
    moves: Sequence[tuple[Move, float, str, str]] = MOVES, rollout: Rollout = ROLLOUT
) -> tuple[Position, list[Entry]]:
    """The position and the chained entries that these moves lead to."""
    position, entries = Position(), list[Entry]()
    for move, after, rule, sentence in moves:
        at, actor = START + after, "ana" if rule == "manual" else "rule"
        before, position = position, apply(rollout, position, move, START + after, actor=actor)
        body = Body(
            at=at,
            rollout=rollout.name,
            revision=rollout.revision,
            kind="decision",
            rule=rule,
            move=str(move),
            actor=actor,
            sentence=sentence,
            from_position=before.to_json(),
            to_position=position.to_json(),
        )
        entries.append(ledger.append(entries[-1] if entries else None, body))
    return position, entries


def harmed(metric: str, where: str, challenger: tuple[int, int], champion: tuple[int, int]) -> Harmed:
    """One stratum, from (units, events) of both arms."""
    (units, events), (baseline_units, baseline_events) = challenger, champion
    return Harmed(
        metric=metric,
        where=where,
        units=units,
        events=events,
        baseline_units=baseline_units,
        baseline_events=baseline_events,
    )


def evidence() -> list[Evidence]:
    """One line of each verdict, as a judge would hand them over: guardrails before the goal."""
    place = {"arm": "v2", "baseline": "v1", "stage": "canary", "step": 1}
    return [
        Evidence(
            metric="errors",
            kind="rate",
            units={"v1": 8120, "v2": 412},
            estimate=0.00194,
            lower=-0.0041,
            upper=None,
            confidence=0.975,
            e_value=1.9,
            e_value_safe=6.4,
            limit=0.005,
            verdict=Verdict.UNDECIDED,
            values={"v1": 0.0119, "v2": 0.01384},
            events={"v1": 97, "v2": 6},
            **place,
        ),
        Evidence(
            metric="latency",
            kind="quantile",
            units={"v1": 8120, "v2": 412},
            estimate=1.4,
            lower=-3.2,
            upper=5.9,
            confidence=0.975,
            e_value=0.2,
            e_value_safe=88.0,
            limit=9.4,
            verdict=Verdict.SAFE,
            values={"v1": 47.1, "v2": 48.5},
            assumptions=("one request a unit and bucket",),
            **place,
        ),
        Evidence(
            metric="revenue",
            kind="mean",
            better="higher",
            units={"v1": 0, "v2": 0},
            confidence=0.975,
            verdict=Verdict.UNMEASURED,
            reason="no unit's 24 h are over yet",
            window=86400.0,
            immature=8532,
            **place,
        ),
        Evidence(
            metric="purchase",
            kind="rate",
            role="goal",
            better="higher",
            units={"v1": 7900, "v2": 400},
            estimate=-0.031,
            lower=-0.052,
            upper=-0.0087,
            confidence=0.975,
            e_value=612.0,
            e_value_safe=0.01,
            limit=0.0,
            verdict=Verdict.HARMFUL,
            values={"v1": 0.052, "v2": 0.021},
            events={"v1": 411, "v2": 8},
            window=86400.0,
            **place,
        ),
    ]


DECISION = Decision(
    move=None,
    rule="wait",
    sentence="Watching 5 %: errors is not decided yet; goes to 20 % at 00:35:00 if nothing is harmful.",
    until=START + 2100.0,
)

INPUTS = {
    "exposure": Exposure(actual=0.0483, units={"v1": 8120, "v2": 412}),
    "arms": {
        "v1": ArmCounts(requests=30_211, failures=360, fallbacks=0, share=0.951),
        "v2": ArmCounts(requests=1_560, failures=21, fallbacks=4, share=0.049),
    },
    "harm": Harm(
        units=496,
        strata=(
            Harmed(metric="purchase", where="canary 1 %", units=84, events=2, baseline_units=8300, baseline_events=430),
            Harmed(
                metric="purchase", where="canary 5 %", units=400, events=8, baseline_units=7900, baseline_events=411
            ),
            Harmed(metric="errors", where="canary 5 %", units=412, events=6, baseline_units=8120, baseline_events=97),
        ),
    ),
    "progress": Progress(
        requests=31_771, mirrored=5000, dropped=12, missing_units=3, orphans=0, faults=0, lease_held=True
    ),
    "outcomes": OutcomeCounts(
        received=2411,
        duplicates=17,
        contradictions=0,
        late=4,
        early=2,
        corrected=9,
        astray=0,
        orphans=0,
        windows={"purchase": Windowed(open=132, settled=8400, late=4), "revenue": Windowed(open=0, settled=0, late=0)},
    ),
}
