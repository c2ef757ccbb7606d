"""Effects by days since first exposure, counted by the engine as one counts them by hand."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from crossfade.judge.day import Day
from crossfade.rim.ageing import Ageing
from crossfade.rim.engine import Engine
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.spec.model import Better, Kind, Metric, Source
from crossfade.state import Phase, Position
from crossfade.view.ageing import ageing_record
from rim.by_hand import ROLLOUT
from rim.facts_made import START, exposed, outcome

DAY = 86_400.0
AB = 3
HERE = Position(phase=Phase.RUNNING, stage=AB, step=0, stage_since=START, step_since=START)
SPEC = replace(
    ROLLOUT,
    metrics=(
        Metric(name="buy", source=Source.OUTCOME, kind=Kind.RATE, better=Better.HIGHER, window=DAY),
        Metric(name="money", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER, window=DAY, outcome="paid"),
        Metric(name="often", source=Source.OUTCOME, kind=Kind.COUNT, better=Better.HIGHER, window=DAY, outcome="buy"),
    ),
)
UNITS = 360


def facts(seed: int = 4):
    """Units that come over a day and a half, come back, and buy; the challenger's novelty wears off after a day."""
    chance = random.Random(seed)
    shown, told, came = [], [], {}
    for n in range(UNITS):
        at, arm = START + chance.uniform(1.0, 1.5 * DAY), ("v1", "v2")[n % 2]
        came[f"u{n}"] = (arm, at)
        shown += [
            exposed(2 * n + back, at=at + back * DAY, unit=f"u{n}", arm=arm, mode="ab", stage=AB, weight=0.5)
            for back in (0, 1)
        ]
        for day in range(3):
            likely = 0.6 if arm == "v2" and day == 0 else 0.2
            for again in range(2):
                if chance.random() < likely:
                    when = at + day * DAY + chance.uniform(1.0, DAY - 1.0)
                    for name, value in (("buy", 1.0), ("paid", chance.choice([2.0, 5.0]))):
                        told.append(
                            outcome(
                                f"{name}{n}-{day}-{again}", name=name, rollout=SPEC.name, unit=f"u{n}",
                                value=value, at=when, received_at=when + 1.0,
                            )
                        )  # fmt: skip
    return shown, told, came


@pytest.fixture
def counted(tmp_path: Path):
    shown, told, came = facts()
    Journal(tmp_path, "w0").append(shown)
    OutcomeInbox(tmp_path).accept(told)
    lake = Lake(tmp_path)
    lake.compact_journals()
    engine = Engine(lake, threads=1)
    yield engine, told, came
    engine.close()
    lake.close()


def by_hand(day: Day, told, came, now: float, name: str) -> tuple[dict[str, int], dict[str, float]]:
    """Units whose day is over, and each arm's mean over them."""
    old = {unit: arm for unit, (arm, at) in came.items() if now >= at + (day.age + 1) * DAY}
    found: dict[str, list[float]] = {unit: [] for unit in old}
    for one in told:
        if one.name == name and one.unit in old and day.age * DAY <= one.at - came[one.unit][1] < (day.age + 1) * DAY:
            found[one.unit].append(one.value)
    value = {
        "buy": lambda values: float(bool(values)),
        "money": lambda values: math.fsum(values),
        "often": lambda values: float(len(values)),
    }[day.metric]
    units = {arm: sum(other == arm for other in old.values()) for arm in ("v1", "v2")}
    return units, {
        arm: math.fsum(value(found[unit]) for unit in old if old[unit] == arm) / units[arm] for arm in ("v1", "v2")
    }


def test_each_day_is_that_of_the_units_for_which_it_is_over(counted):
    engine, told, came = counted
    now = START + 3.6 * DAY
    found = [day for day in engine.days(SPEC, HERE, now) if day.arm == "v2"]
    assert {(day.metric, day.age) for day in found} == {(m, age) for m in ("buy", "money", "often") for age in range(3)}
    for day in found:
        units, values = by_hand(day, told, came, now, {"money": "paid"}.get(day.metric, "buy"))
        assert day.units == units
        assert day.values == pytest.approx(values)
    first, second = (next(d for d in found if (d.metric, d.age) == ("buy", age)) for age in (0, 1))
    assert first.lower > 0.0
    assert second.lower is None or second.lower < 0.0 < second.upper
    last = next(d for d in found if (d.metric, d.age) == ("buy", 2))
    assert 0 < min(last.units.values()) < 100
    assert last.estimate is None


@pytest.mark.parametrize("name", ["buy", "money"])
def test_one_outcome_alone_is_told_as_beside_others(counted, name):
    engine, _, _ = counted
    now = START + 3.6 * DAY
    alone = replace(SPEC, metrics=tuple(metric for metric in SPEC.metrics if metric.name == name))
    assert engine.days(alone, HERE, now)
    assert [one.values for one in engine.days(alone, HERE, now)] == [
        one.values for one in engine.days(SPEC, HERE, now) if one.metric == name
    ]


def test_what_cannot_be_told_by_days_does_not_end_the_look(counted, caplog, monkeypatch):
    engine, _, _ = counted
    ageing = Ageing(engine)
    told = ageing.days(SPEC, HERE, START + 2.0 * DAY)
    monkeypatch.setattr(engine, "_lake", None)
    assert ageing.days(SPEC, HERE, START + 2.0 * DAY + 3700.0) is told
    assert "could not tell the effect" in caplog.text


def test_the_record_tells_the_days_in_words(counted):
    engine, _, _ = counted
    record = ageing_record(SPEC, engine.days(SPEC, HERE, START + 3.0 * DAY))
    assert record["confidence"] == "95 %"
    first = record["metrics"][0]["days"][0]
    assert first["text"]["estimate"].endswith("pp")
    assert ageing_record(SPEC, ()) is None


def test_it_is_asked_once_an_hour_and_not_before_a_day_is_over(counted):
    engine, _, _ = counted
    ageing = Ageing(engine)
    assert ageing.days(SPEC, HERE, START + 0.9 * DAY) == ()
    told = ageing.days(SPEC, HERE, START + 2.0 * DAY)
    assert ageing.days(SPEC, HERE, START + 2.0 * DAY + 60.0) is told
    assert ageing.days(SPEC, HERE, START + 2.0 * DAY + 3700.0) is not told
    assert ageing.days(SPEC, replace(HERE, stage=1), START + 3.0 * DAY) == ()
