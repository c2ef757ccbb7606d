"""Outcomes that are late, early, corrected or lost: what counts, and what is counted of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from crossfade.facts import Fact, Outcome
from crossfade.judge.measure import Measured
from crossfade.judge.measure.counts import WAITING
from crossfade.judge.measure.measured import Received, Windowed
from crossfade.judge.moments import MeanMoments, RateMoments
from crossfade.rim.engine import Engine
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.lake_columns import columns
from crossfade.spec.model import Better, Kind, Metric, Rollout, Source
from crossfade.state import Phase, Position
from rim.by_hand import ROLLOUT
from rim.facts_made import START, exposed, outcome

AB = Position(phase=Phase.RUNNING, stage=3, stage_since=START, step_since=START)
MONEY = Metric(name="money", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER, window=10.0)
BUY = Metric(name="buy", source=Source.OUTCOME, kind=Kind.RATE, better=Better.HIGHER, window=10.0)


def spec(*metrics: Metric) -> Rollout:
    return replace(ROLLOUT, metrics=metrics)


def units(many: int = 2) -> list[Fact]:
    """u0 on the champion, u1 on the challenger, and so on, all at the start."""
    return [exposed(n, unit=f"u{n}", arm=("v1", "v2")[n % 2], stage=3, at=START) for n in range(many)]


def report(key: str, unit: str, value: float, at: float, received: float | None = None, of: str = "") -> Outcome:
    return outcome(
        key,
        rollout="r1",
        unit=unit,
        name="money",
        value=value,
        at=START + at,
        received_at=START + (at if received is None else received),
        corrects=of,
    )


class Told:
    """Looks after each telling, kept up and anew."""

    def __init__(self, data: Path, rollout: Rollout) -> None:
        self._data, self._rollout = data, rollout
        self._lake = Lake(data)
        self._engine = Engine(self._lake, threads=1)
        self._inbox = OutcomeInbox(data)

    def look(self, now: float, facts: Sequence[Fact]) -> Measured:
        """Take facts in and look."""
        self._inbox.accept([fact for fact in facts if isinstance(fact, Outcome)])
        others = [fact for fact in facts if not isinstance(fact, Outcome)]
        if others:
            Journal(self._data, "w0").append(others)
        self._lake.compact_journals()
        kept = self._engine.measure(self._rollout, AB, START + now)
        anew = self._engine.measure(self._rollout, AB, START + now, facts=kept.facts)
        assert kept.progress == anew.progress
        assert kept.reach == anew.reach
        for key, moments in kept.metrics.items():
            assert str(moments) == str(anew.metrics[key])
        return kept

    def kept(self) -> pa.Table:
        """The outcomes in the lake."""
        return self._lake.table("outcome")


def total(measured: Measured, metric: str = "money") -> tuple[float, float]:
    """What the units of each arm have."""
    moments = measured.metrics[metric, "v2"]
    assert isinstance(moments, MeanMoments)
    return float(moments.sum_a.sum()), float(moments.sum_b.sum())


def test_what_happened_in_the_window_and_came_after_it_is_late(tmp_path: Path) -> None:
    told = Told(tmp_path, spec(MONEY))
    facts = [report("a", "u0", 1.0, 9.0), report("b", "u0", 2.0, 9.0, 10.5), report("c", "u1", 4.0, 11.0)]
    measured = told.look(20.0, [*units(), *facts])
    assert total(measured) == (1.0, 0.0)
    # What happened after the window is no loss.
    assert measured.progress.windows == {"money": Windowed(open=0, settled=2, late=1)}


def test_an_allowance_waits_for_what_happened_in_the_window(tmp_path: Path) -> None:
    told = Told(tmp_path, spec(replace(MONEY, arrives_within=100.0)))
    facts = [
        report("a", "u0", 1.0, 9.0, 90.0),
        report("b", "u1", 2.0, 9.0, 110.0),
        report("c", "u1", 4.0, 9.0, 110.5),
        report("d", "u1", 8.0, 10.5, 11.0),
    ]
    early = told.look(109.0, [*units(), *facts])
    assert early.progress.windows == {"money": Windowed(open=2, settled=0, late=0)}
    measured = told.look(120.0, [])
    assert total(measured) == (1.0, 2.0)
    assert measured.progress.windows == {"money": Windowed(open=0, settled=2, late=1)}


def test_who_comes_before_its_exposure_waits_and_is_an_orphan_in_the_end(tmp_path: Path) -> None:
    told = Told(tmp_path, spec(replace(MONEY, window=2000.0)))
    early = [outcome(key, decision_id="d7", name="money", received_at=START + 1.0) for key in "ab"]
    lost = outcome("c", decision_id="nobody", name="money", received_at=START + 1.0)
    first = told.look(2.0, [*units(), *early, lost]).progress
    assert (first.early, first.orphans) == (3, 0)
    then = told.look(3.0, [exposed(7, unit="u7", arm="v2", stage=3, at=START)]).progress
    assert (then.early, then.orphans) == (1, 0)
    assert then.received == Received(received=2, corrected=0, astray=0)
    last = told.look(WAITING + 2.0, []).progress
    assert (last.early, last.orphans) == (0, 1)


TELLINGS = {
    "in order": [["o"], ["one"], ["two"]],
    "the last first": [["two"], ["one"], ["o"]],
    "the first last": [["one", "two"], ["o"]],
    "all at once": [["two", "o", "one"]],
    "told twice": [["o", "one"], ["one", "two"], ["two"]],
}


@pytest.mark.parametrize("tellings", TELLINGS.values(), ids=TELLINGS)
def test_a_correction_of_a_correction_counts_whatever_the_order(tmp_path: Path, tellings: list[list[str]]) -> None:
    """The window is long closed when they come; what counts is when the first was received."""
    told = Told(tmp_path, spec(MONEY, replace(BUY, outcome="money")))
    facts = {
        "o": report("o", "u1", 5.0, 1.0),
        "one": report("one", "u1", 0.0, 1.0, 40.0, of="o"),
        "two": report("two", "u1", 7.0, 1.0, 30.0, of="one"),
    }
    measured = told.look(50.0, units())
    known: set[str] = set()
    for names in tellings:
        measured = told.look(50.0, [facts[name] for name in names])
        known |= set(names)
        assert measured.progress.received is not None
        assert measured.progress.received.received == int("o" in known)
    assert total(measured) == (0.0, 7.0)
    assert measured.progress.received == Received(received=1, corrected=1, astray=0)
    assert measured.reach.events["buy", "v2"] == 1


def test_an_event_that_did_not_happen_is_taken_back(tmp_path: Path) -> None:
    told = Told(tmp_path, spec(replace(BUY, outcome="money")))
    by_decision = outcome("d", decision_id="d1", name="money", at=START + 1.0, received_at=START + 1.0)
    before = told.look(50.0, [*units(), report("o", "u0", 1.0, 1.0), by_decision])
    assert before.reach.events == {("buy", "v1"): 1, ("buy", "v2"): 1, ("buy", "v3"): 0}
    back = outcome("e", decision_id="d1", name="money", value=0.0, received_at=START + 45.0, corrects="d")
    after = told.look(50.0, [report("x", "u0", 0.0, 1.0, 45.0, of="o"), back])
    assert after.reach.events == {("buy", "v1"): 0, ("buy", "v2"): 0, ("buy", "v3"): 0}
    moments = after.metrics["buy", "v2"]
    assert isinstance(moments, RateMoments)
    assert (moments.n_a.sum(), moments.k_a.sum(), moments.n_b.sum(), moments.k_b.sum()) == (1, 0, 1, 0)


def test_of_two_corrections_the_one_received_last_counts_and_a_look_knows_only_what_was_received(
    tmp_path: Path,
) -> None:
    told = Told(tmp_path, spec(MONEY))
    facts = [
        report("o", "u1", 1.0, 1.0),
        report("p", "u1", 2.0, 1.0, 21.0, of="o"),
        report("q", "u1", 4.0, 1.0, 20.0, of="o"),
        report("r", "u1", 8.0, 1.0, 60.0, of="o"),
    ]
    assert total(told.look(20.5, [*units(), *facts])) == (0.0, 4.0)
    assert total(told.look(50.0, [])) == (0.0, 2.0)
    assert total(told.look(61.0, [])) == (0.0, 8.0)


def test_a_correction_that_leads_nowhere_counts_nothing_and_is_counted(tmp_path: Path) -> None:
    told = Told(tmp_path, spec(MONEY))
    facts = [
        report("o", "u1", 1.0, 1.0),
        report("p", "u1", 2.0, 1.0, 20.0, of="nobody"),
        report("q", "u0", 4.0, 1.0, 20.0, of="o"),  # another unit's
        report("r", "u1", 8.0, 1.0, 20.0, of="s"),
        report("s", "u1", 16.0, 1.0, 20.0, of="r"),
        report("t", "u1", 32.0, 1.0, 20.0, of="s"),
    ]
    measured = told.look(50.0, [*units(), *facts])
    assert total(measured) == (0.0, 1.0)
    assert measured.progress.received == Received(received=1, corrected=0, astray=5)


def test_what_an_earlier_version_recorded_can_be_corrected(tmp_path: Path) -> None:
    """Its files have no column that says what an outcome corrects."""
    old = columns("outcome", [report("o", "u1", 5.0, 1.0)]).drop_columns(["corrects"])
    write_deltalake(tmp_path / "lake" / "outcome", old)
    told = Told(tmp_path, spec(MONEY))
    assert total(told.look(50.0, units())) == (0.0, 5.0)
    assert total(told.look(50.0, [report("p", "u1", 7.0, 1.0, 40.0, of="o"), report("q", "u0", 1.0, 1.0)])) == (
        1.0,
        7.0,
    )
    assert sorted(told.kept()["corrects"].to_pylist(), key=str) == ["", None, "o"]


def test_a_long_chain_of_corrections_is_followed_to_its_end(tmp_path: Path) -> None:
    told = Told(tmp_path, spec(MONEY))
    chain = [report(f"c{n}", "u1", float(n), 1.0, 20.0 if n else 1.0, of=f"c{n - 1}" if n else "") for n in range(40)]
    measured = told.look(50.0, [*units(), *chain[::-1]])
    assert total(measured) == (0.0, 39.0)
    assert measured.progress.received == Received(received=1, corrected=1, astray=0)
