"""One vote a unit from interleaved lists: signs and graded credits, against the same said in plain Python."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from functools import cache

import duckdb
import ibis
import pyarrow as pa
import pytest

from crossfade.facts import Outcome, Shown
from crossfade.judge.measure.votes import votes
from crossfade.judge.moments import GRAIN
from crossfade.judge.slices import bucket
from crossfade.rim.lake_columns import columns
from crossfade.spec.model import Credit
from rim.facts_made import START, outcome, shown

SETTLE = 5.0
NOW = START + 60.0
CREDIT = (Credit(outcome="click"), Credit(outcome="buy", weight=5.0), Credit(outcome="dwell", weight=0.1, valued=True))


def world(seed: int, arms: tuple[str, ...]) -> tuple[list[Shown], list[Outcome]]:
    rng = random.Random(seed)
    lists, reports = [], []
    for n in range(120):
        items = tuple(rng.sample("abcdefgh", rng.randint(1, 5)))
        arm = rng.choice(arms)
        graded = rng.random() < 0.5
        owners = tuple(rng.choice(["v1", arm, ""]) for _ in items)
        lists.append(
            shown(
                n,
                at=START + rng.uniform(0.0, 62.0),
                unit=rng.choice(["", *(f"u{m}" for m in range(30))]),
                stage=2,
                items=items,
                owners=owners,
                excluded=rng.choice(["", "", "", "", "same"]),
                credits=tuple(rng.choice([-1_000_000, -333_333, 0, 250_000]) for _ in items) if graded else (),
                arm=rng.choice([arm, arm, ""]),
            )
        )
        for repeat in range(rng.choice([0, 1, 2, 3])):
            reports.append(
                outcome(
                    f"o{n}-{repeat}",
                    rollout="",
                    unit="",
                    decision_id=f"d{n}",
                    name=rng.choice(["click", "click", "buy", "dwell", "look"]),
                    item=rng.choice("abcdefgh"),
                    value=rng.choice([0.0, 1.0, 7.25, -3.0]),
                    received_at=lists[-1].at + rng.uniform(0.0, 6.0),
                )
            )
    return lists, reports


def by_hand(lists: list[Shown], reports: list[Outcome], arms: tuple[str, ...], whole: bool) -> dict:
    weights = {one.outcome: one for one in CREDIT}
    cells: dict = defaultdict(lambda: [0, 0, 0, 0, 0])
    voted: set[str] = set()
    for fact in sorted(lists, key=lambda fact: (fact.at, fact.decision_id)):
        owned = next((name for name in arms if name in fact.owners), arms[0] if len(arms) == 1 else "")
        arm = fact.arm or owned
        if fact.excluded or not fact.unit or fact.unit in voted or not arm or fact.at > NOW:
            continue
        if whole and fact.credits:
            continue
        engaged: dict[tuple[str, str], float] = {}
        for report in reports:
            one = weights.get(report.name)
            late = report.received_at - START > fact.at - START + SETTLE
            if report.decision_id != fact.decision_id or one is None or late or not report.value:
                continue
            if report.item in fact.items:
                weight = round(one.weight * (max(report.value, 0.0) if one.valued else 1.0), 3)
                key = (report.name, report.item)
                engaged[key] = max(engaged.get(key, 0.0), weight)
        worth = {}
        for slot, item in enumerate(fact.items):
            whose = {"v1": -1.0, arm: 1.0}.get(fact.owners[slot], 0.0)
            worth[item] = fact.credits[slot] / 1e6 if fact.credits else whose
        if not any(weight and worth[item] for (_, item), weight in engaged.items()):
            continue
        voted.add(fact.unit)
        if fact.at - START + SETTLE > NOW - START:
            continue
        credit = sum(weight * worth[item] for (_, item), weight in engaged.items()) / sum(engaged.values())
        d = -credit if not whole else float((credit < -1e-9) - (credit > 1e-9))
        grains = math.copysign(math.floor(abs(d) * GRAIN + 0.5), d) if not whole else d
        cell = cells[arm, bucket(fact.at - START + SETTLE)]
        cell[0 if grains > 0 else 1 if grains < 0 else 2] += 1
        cell[3] += int(grains)
        cell[4] += int(grains) ** 2
    return dict(cells)


@cache
def question(arms: tuple[str, ...], whole: bool) -> str:
    return str(ibis.to_sql(votes(CREDIT, "v1", arms, settle=SETTLE, whole=whole), dialect="duckdb"))


def asked(lists: list[Shown], reports: list[Outcome], arms: tuple[str, ...], whole: bool) -> dict:
    connection = duckdb.connect()
    look = pa.table({"rollout": ["r1"], "stage": [2], "mode": ["interleave"], "since": [START], "now": [NOW]})
    for name, rows in (("shown", columns("shown", lists)), ("outcome", columns("outcome", reports)), ("look", look)):
        connection.register(name, rows)
    found = connection.execute(question(arms, whole)).fetchall()
    return {(row[0], row[1]): [*map(int, row[2:])] for row in found}


@pytest.mark.parametrize("arms", [("v2",), ("v2", "v3")])
@pytest.mark.parametrize("whole", [True, False])
def test_votes_are_what_plain_python_counts(arms: tuple[str, ...], whole: bool) -> None:
    cast = 0
    for seed in range(25):
        lists, reports = world(seed, arms)
        expected = by_hand(lists, reports, arms, whole)
        if whole:
            expected = {cell: counts[:3] for cell, counts in expected.items()}
        assert asked(lists, reports, arms, whole) == expected
        cast += sum(sum(counts[:3]) for counts in expected.values())
    assert cast > 100


def test_a_purchase_outweighs_clicks_and_dwelling_counts_by_its_seconds() -> None:
    lists = [shown(1, stage=2, items=("a", "b"), owners=("v1", "v2"), unit="u1", arm="v2")]

    def vote(*reports: tuple[str, str, float]) -> list[int]:
        told = [
            outcome(
                f"o{n}", rollout="", unit="", decision_id="d1", name=name, item=item, value=value, received_at=START
            )
            for n, (name, item, value) in enumerate(reports)
        ]
        (counts,) = asked(lists, told, ("v2",), True).values()
        return counts

    assert vote(("click", "a", 1.0), ("click", "b", 1.0)) == [0, 0, 1]
    assert vote(("click", "a", 1.0), ("click", "a", 1.0), ("click", "b", 1.0)) == [0, 0, 1]
    assert vote(("click", "a", 1.0), ("buy", "b", 1.0)) == [0, 1, 0]
    assert vote(("click", "a", 1.0), ("dwell", "b", 9.0)) == [1, 0, 0]
    assert vote(("click", "a", 1.0), ("dwell", "b", 11.0)) == [0, 1, 0]


def test_a_list_of_one_slot_votes_whoever_owns_it() -> None:
    """The list says whose it was; by its owners alone only the challenger's wins would be seen."""
    lists = [shown(1, stage=2, items=("a",), owners=("v1",), unit="u1", arm="v3")]
    told = [outcome("o", rollout="", unit="", decision_id="d1", name="click", item="a", value=1.0, received_at=START)]
    assert list(asked(lists, told, ("v2", "v3"), True).values()) == [[1, 0, 0]]
    assert next(iter(asked(lists, told, ("v2", "v3"), True)))[0] == "v3"
