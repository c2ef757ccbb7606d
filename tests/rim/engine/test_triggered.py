"""Metrics of units at whose requests the arms' answers differ: who counts, since when, and that no arm chooses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.facts import Fact
from crossfade.judge.assess import assess
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.measure import Absent, Measured
from crossfade.judge.measure.measured import Triggered
from crossfade.judge.moments import MeanMoments
from crossfade.rim.engine import Engine
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.spec.copies import Counterfactual
from crossfade.spec.model import Ab, Better, Kind, Metric, Predicted, Rollout, Source
from crossfade.state import Phase, Position
from rim.by_hand import ROLLOUT
from rim.facts_made import START, compared, exposed, outcome

ENTER = START
LATER = START + 1_000.0
HERE = Position(phase=Phase.RUNNING, stage=0, stage_since=ENTER, step_since=ENTER)
WORTH = Metric(
    name="worth", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER, window=100.0, differing=True, goal=True
)
BOTH = Counterfactual(share=1.0, both=True)


def rollout(*metrics: Metric, copies: Counterfactual | None = BOTH) -> Rollout:
    stages = (Ab(weight=0.5, counterfactual=copies),)
    return replace(
        ROLLOUT, challengers=ROLLOUT.challengers[:1], metrics=metrics or (WORTH,), stages=stages, segments=()
    )


class Tried:
    def __init__(self, data: Path) -> None:
        self.lake, self.journal, self.inbox = Lake(data), Journal(data, "w0"), OutcomeInbox(data)
        self.engine = Engine(self.lake, threads=1)
        self._n = 0

    def add(self, facts: Sequence[Fact], reports: Sequence[Any] = ()) -> None:
        if facts:
            self.journal.append(list(facts))
        if reports:
            self.inbox.accept(list(reports))
        self.lake.compact_journals()

    def request(self, unit: str, at: float, *, differs: bool | None, arm: str = "v1", **more: Any) -> list[Fact]:
        """A copied request; `differs` None where no pair came of it."""
        self._n += 1
        name = f"d{self._n}"
        exposure = exposed(0, decision_id=name, unit=unit, arm=arm, at=ENTER + at, copied=True)
        if differs is None:
            return [exposure]
        pair = compared(0, decision_id=name, unit=unit, at=ENTER + at, served=arm, differs=differs, **more)
        return [exposure, pair]

    def look(self, spec: Rollout) -> Measured:
        """One look, the same both ways."""
        kept = self.engine.measure(spec, HERE, LATER)
        anew = self.engine.measure(spec, HERE, LATER, facts=kept.facts)
        assert kept.triggers.arms == anew.triggers.arms
        assert str(kept.metrics) == str(anew.metrics)
        return kept


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[Tried]:
    one = Tried(tmp_path)
    yield one
    one.engine.close()
    one.journal.close()
    one.lake.close()


def told(unit: str, at: float, value: float) -> Any:
    return outcome(
        f"{unit}-{at}", rollout="r1", unit=unit, name="worth", value=value, at=ENTER + at, received_at=ENTER + at
    )


def means(measured: Measured) -> tuple[int, float, int, float]:
    found = measured.metrics["worth", "v2"]
    assert isinstance(found, MeanMoments), found
    return int(found.n_a.sum()), float(found.sum_a.sum()), int(found.n_b.sum()), float(found.sum_b.sum())


def test_units_count_from_the_first_request_at_which_the_answers_differ(tried: Tried) -> None:
    tried.add(
        [
            *tried.request("early", 1.0, differs=True),
            *tried.request("late", 1.0, differs=False, arm="v2"),
            *tried.request("late", 50.0, differs=True, arm="v2"),
            *tried.request("late", 60.0, differs=None, arm="v2"),
            *tried.request("never", 1.0, differs=False, arm="v2"),
            *tried.request("alone", 3.0, differs=False, challenger_failed=True),
            *tried.request("neither", 3.0, differs=False, challenger_failed=True, champion_failed=True),
            *tried.request("unknown", 1.0, differs=None),
            *tried.request("unknown", 2.0, differs=True),
            *tried.request("not measured", 1.0, differs=False, unmeasured=("$.text: late",)),
            *tried.request("not measured", 2.0, differs=True),
            exposed(0, decision_id="plain", unit="not drawn", arm="v2", at=ENTER + 1.0),
        ],
        [
            *(told("early", 5.0, 1.0), told("late", 5.0, 10.0), told("late", 140.0, 100.0), told("late", 151.0, 7.0)),
            *(told("never", 5.0, 1000.0), told("unknown", 5.0, 1000.0), told("alone", 5.0, 2.0)),
        ],
    )
    measured = tried.look(rollout())
    # What "late" brought before its answers differed, and after its window had closed, is not counted.
    assert means(measured) == (2, 3.0, 1, 100.0)
    assert measured.triggers.arms == {
        "v1": Triggered(units=5, differing=2, lost=2, requests=7, compared=5, turned=4),
        "v2": Triggered(units=2, differing=1, lost=0, requests=4, compared=3, turned=1),
    }


def test_what_comes_late_of_an_earlier_request_moves_its_unit_or_takes_it_out(tried: Tried) -> None:
    spec = rollout()
    tried.add(tried.request("u", 10.0, differs=True), [told("u", 5.0, 1.0), told("u", 15.0, 2.0)])
    assert means(tried.look(spec)) == (1, 2.0, 0, 0.0)
    exposure, pair = tried.request("u", 4.0, differs=False)
    tried.add([exposure])
    assert isinstance(tried.look(spec).metrics["worth", "v2"], Absent), "nobody knows if an earlier one differed"
    tried.add([pair])
    assert means(tried.look(spec)) == (1, 2.0, 0, 0.0)
    tried.add(tried.request("u", 3.0, differs=True))
    assert means(tried.look(spec)) == (1, 3.0, 0, 0.0)


def test_a_prediction_for_the_request_at_which_a_unit_enters_adjusts_both_arms_alike(tried: Tried) -> None:
    """Nobody came before, and every unit has what the champion predicts of its own request, whoever served it."""
    rng = np.random.default_rng(3)
    x, arm = rng.normal(0.0, 1.0, 600), np.arange(600) % 2
    facts: list[Fact] = []
    for n in range(600):
        first = {"champion_numbers": (float(x[n]),), "challenger_numbers": (float(x[n]) + 5.0,)}
        served = ("v1", "v2")[arm[n]]
        facts += tried.request(f"u{n}", 1.0, differs=n % 3 == 0, arm=served, **first)
        # A later prediction may be an answer to what the arm did: it does not count.
        facts += tried.request(f"u{n}", 9.0, differs=False, arm=served, champion_numbers=(1e3 * float(arm[n]),))
    value = x + 0.5 * arm + rng.normal(0.0, 0.3, 600)
    tried.add(facts, [told(f"u{n}", 20.0, float(value[n])) for n in range(600)])
    all_units = replace(WORTH, differing=False)
    plain, guessed = (replace(all_units, name=name, outcome="worth") for name in ("plain", "guessed"))
    some = replace(WORTH, name="some", outcome="worth", predicted="champion")
    spec = rollout(plain, replace(guessed, predicted="champion"), some)
    spec = replace(spec, prediction=Predicted(value="$.x"))
    measured = tried.look(spec)
    lines = {line.metric: line for line in assess(spec, measured)}
    assert width(lines["guessed"]) < 0.45 * width(lines["plain"])
    assert lines["guessed"].estimate == pytest.approx(0.5, abs=0.15)
    assert "it is known for 100 % of the units" in lines["guessed"].reason
    assert sum(lines["some"].units.values()) == 200
    assert lines["some"].estimate == pytest.approx(0.5, abs=0.25)
    one_way = replace(spec, stages=(Ab(weight=0.5, counterfactual=Counterfactual(share=1.0)),))
    only = {line.metric: line for line in assess(one_way, tried.look(one_way))}
    assert "the same value for every unit" in only["guessed"].reason, "one arm's units alone would have a prediction"
    assert (only["some"].verdict, "both directions" in only["some"].reason) == (Verdict.UNMEASURED, True)


def width(line: Evidence) -> float:
    assert line.lower is not None
    assert line.upper is not None
    return line.upper - line.lower


UNITS = {"all copied": 1_500, "half lost": 1_500, "drawn by request": 6_000}


def visits(tried: Tried, how: str) -> list[Fact]:
    """Users who, served by the challenger, often leave after an answer that differs: what follows is the arm's doing.

    `how`: every request is copied; half of the copies are lost, whichever arm serves; or a third of the requests are
    copied, and nobody says so of the others.
    """
    rng = np.random.default_rng(11)
    facts: list[Fact] = []
    for n in range(UNITS[how]):
        arm = "v2" if rng.random() < 0.5 else "v1"
        for visit in range(6):
            differs, kept = bool(rng.random() < 0.25), bool(rng.random() < (0.35 if how == "drawn by request" else 0.5))
            there = tried.request(f"u{n}", visit + n / 1e4, differs=differs, arm=arm)
            if how == "drawn by request" and not kept:
                there = [exposed(0, decision_id=f"x{n}-{visit}", unit=f"u{n}", arm=arm, at=ENTER + visit)]
            facts += there[: 1 if how == "half lost" and not kept else 2]
            if differs and arm == "v2" and rng.random() < 0.9:
                break
    return facts


@pytest.mark.parametrize("how", UNITS)
def test_the_arm_has_no_part_in_who_is_counted_unless_requests_are_missing_unsaid(tried: Tried, how: str) -> None:
    facts = visits(tried, how)
    tried.add(facts, [told(f"u{n}", 30.0, 1.0) for n in range(0, UNITS[how], 3)])
    spec = rollout()
    measured = tried.look(spec)
    lines = {line.metric: line for line in assess(spec, measured)}
    counted = {arm: one.differing for arm, one in measured.triggers.arms.items()}
    share = counted["v2"] / sum(counted.values())
    spread = 0.5 / sum(counted.values()) ** 0.5
    print(how, counted, f"{(share - 0.5) / spread:.1f} standard errors from a half")
    if how == "drawn by request":
        # What copies drawn by request would give: the arm that keeps its users has more of them to be found.
        assert share < 0.5 - 4.0 * spread
        assert lines["worth"].verdict is Verdict.UNMEASURED
        assert "do not fit the plan" in lines["worth"].reason
    else:
        assert share == pytest.approx(0.5, abs=3.0 * spread)
        assert lines["worth"].verdict is not Verdict.UNMEASURED
        assert lines["worth"].estimate is not None
        assert any("by one rule for both arms" in said for said in lines["worth"].assumptions)
        assert any("left out" in said for said in lines["worth"].assumptions) is (how == "half lost")
