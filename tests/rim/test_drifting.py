"""Sketches from journal to record: bit by bit or all at once with the same result, and never at a user's cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.facts import Sketched
from crossfade.judge.measure.measured import Measured
from crossfade.judge.moments import RateMoments
from crossfade.rim import drifting
from crossfade.rim.controller import Controller
from crossfade.rim.dossier import gather
from crossfade.rim.drifting import Drifting, drift_of
from crossfade.rim.exporting import export
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.record import ExportedRecord, LiveRecord
from crossfade.rim.store import Store
from crossfade.rim.verifying import check
from crossfade.spec.model import Drift, Rollout
from crossfade.spec.parse import parse
from crossfade.state import Move
from judge.drift.slices import sketched
from spec.examples import SEVERAL

SPEC = SEVERAL.replace("unit: request", "unit: request\ndrift: {sample: 100%, reference: 60s}")
START = 1_760_000_000.0


def rollout(text: str = SPEC) -> Rollout:
    return parse(text)


def measured(**changes: Any) -> Measured:
    given: dict[str, Any] = {"rollout": "three-way", "stage": 0, "step": 0, "mode": "ab", "since": START, "now": START}
    return Measured(**(given | changes))


def slices(seconds: range, *, null_from: int = 10**9, seed: int = 4, workers: int = 1) -> list[Sketched]:
    """Two arms' requests and replies, second by second."""
    facts = []
    for second in seconds:
        rng = np.random.default_rng([seed, second])
        for arm in ("v1", "v2"):
            x = [None] * 6 if second >= null_from else rng.normal(size=6)
            facts += sketched({"x": x, "y": rng.normal(size=6)}, at=START + second, arm=arm, side="input")
            facts += sketched({"p": rng.normal(size=6)}, at=START + second, arm=arm, side="output")
    return [Sketched(**{**as_dict(fact), "rollout": "three-way"}) for fact in facts]


def as_dict(fact: Sketched) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in fact.__struct_fields__}


class Record:
    """A data folder whose facts come bit by bit."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder, "w0")
        self.lake = Lake(folder)

    def add(self, facts: list[Sketched]) -> None:
        self.journal.append(facts)
        self.lake.compact_journals()

    def close(self) -> None:
        self.journal.close()
        self.lake.close()


@pytest.fixture
def there(tmp_path: Path) -> Any:
    record = Record(tmp_path)
    yield record
    record.close()


def test_nothing_is_said_unless_the_spec_asks(there: Record) -> None:
    assert Drifting(there.lake).of(rollout(SEVERAL), measured(), START) is None
    assert drift_of(rollout(SEVERAL), [], measured(), START) is None


def test_without_facts_it_is_not_measured(there: Record) -> None:
    told = Drifting(there.lake).of(rollout(), measured(), START)
    assert told is not None
    assert (told["cause"], told["sentence"]) == ("unmeasured", "Drift is not measured: nothing has been counted yet.")


def test_bit_by_bit_is_all_at_once(there: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drifting, "SPARE", 60.0)
    facts = slices(range(120), null_from=90)
    reader, said = Drifting(there.lake), []
    for begin in range(0, len(facts), 160):
        there.add(facts[begin : begin + 160])
        told = reader.of(rollout(), measured(), facts[begin].at + 30.0)
        assert told is not None
        said.append(told["cause"])
    last = reader.of(rollout(), measured(), START + 200.0)
    assert last is not None
    assert last["cause"] == "feed"
    assert "x is missing in" in last["sentence"]
    assert said[0] == "unmeasured"
    assert "feed" in said
    assert set(said) <= {"unmeasured", "none", "feed"}
    assert Drifting(there.lake).of(rollout(), measured(), START + 200.0) == last
    assert drift_of(rollout(), there.lake.files("sketched"), measured(), START + 119.0) == last


def test_two_workers_are_one(there: Record, tmp_path: Path) -> None:
    facts = slices(range(100), null_from=80)
    there.add(facts)
    alone = drift_of(rollout(), there.lake.files("sketched"), measured(), START + 99.0)
    halves = []
    for fact in facts:
        for worker in ("w0", "w1"):
            halves.append(Sketched(**{**as_dict(fact), "worker": worker}))
    other = Record(tmp_path / "other")
    other.add(halves)
    doubled = drift_of(rollout(), other.lake.files("sketched"), measured(), START + 99.0)
    other.close()
    assert alone is not None
    assert doubled is not None
    assert [field["now"]["requests"] for field in doubled["fields"]] >= [
        field["now"]["requests"] for field in alone["fields"]
    ]
    assert (doubled["cause"], doubled["fields"][0]["field"]) == (alone["cause"], "x")


def test_a_look_takes_little_time_however_much_there_is(there: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drifting, "SPARE", 0.0)
    there.add(slices(range(100)))
    reader, said = Drifting(there.lake), []
    for _ in range(200):
        told = reader.of(rollout(), measured(), START + 200.0)
        assert told is not None
        said.append(told["cause"])
        if told["cause"] != "unmeasured":
            break
    assert len(said) > 3
    assert said[-1] == "none"
    assert (
        "still being read" in drifting.drift_unread(Drift(), "what was counted so far is still being read")["sentence"]
    )


def test_a_history_that_is_long_is_read_by_its_ends(there: Record) -> None:
    there.add(slices(range(400), null_from=390))
    told = drift_of(rollout(), there.lake.files("sketched"), measured(), START + 399.0)
    assert told is not None
    assert told["cause"] == "feed"
    assert told["fields"][0]["since"] > START + 330.0


def test_what_cannot_be_read_costs_nobody_a_judgement(there: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    there.add(slices(range(10)))

    def broken(*_: Any) -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setattr(there.lake, "files", broken)
    reader = Drifting(there.lake)
    told = reader.of(rollout(), measured(), START + 20.0)
    assert told is not None
    assert told["cause"] == "unmeasured"
    assert "the disk is gone" in told["sentence"]
    monkeypatch.undo()
    again = reader.of(rollout(), measured(), START + 20.0)
    assert again is not None
    assert "the reference is not complete yet" in again["sentence"]


def outcomes(rate_a: tuple[float, float], rate_b: tuple[float, float]) -> Measured:
    """A stage of four minutes; rates before and after the second."""
    rng = np.random.default_rng(9)
    n = np.full(240, 30)
    k_a, k_b = (rng.binomial(30, np.repeat(rates, 120)) for rates in (rate_a, rate_b))
    moments = RateMoments(
        step=np.zeros(240, dtype=np.int64), bucket=np.arange(240), share=np.full(240, 0.5),
        n_a=n, k_a=k_a, n_b=n, k_b=k_b, settled=True,
    )  # fmt: skip
    return measured(metrics={("bought", "v2"): moments})


@pytest.mark.parametrize(
    ("rate_a", "rate_b", "cause", "arm"),
    [
        ((0.3, 0.3), (0.3, 0.3), "none", None),
        ((0.3, 0.1), (0.3, 0.1), "world", None),
        ((0.3, 0.3), (0.3, 0.1), "model", "v2"),
        ((0.3, 0.1), (0.3, 0.3), "model", "v1"),
    ],
)
def test_outcomes_that_fall_blame_one_arm_only_where_the_other_stays(
    there: Record, rate_a: tuple[float, float], rate_b: tuple[float, float], cause: str, arm: str | None
) -> None:
    told = drift_of(rollout(), [], outcomes(rate_a, rate_b), START)
    assert told is not None
    assert (told["cause"], told["arm"]) == (cause, arm)
    if arm:
        assert "its outcomes (bought fell from " in told["sentence"]
        other = {"v1": "v2", "v2": "v1"}[arm]
        assert told["sentence"].endswith(f"while those of {other} and the inputs are.")
        assert 25.0 < float(told["fields"][0]["what"].split()[0]) < 35.0


def test_what_was_counted_is_sealed_exported_and_judged_anew_elsewhere(tmp_path: Path) -> None:
    """The real controller over sketches; then a folder that is carried away, and a byte of it that is changed."""
    data, out, now = tmp_path / "data", tmp_path / "out", START
    store, journal = Store(data), Journal(data, "w0")
    store.add(SPEC, rollout(), START)
    store.act("three-way", Move.START, actor="ana", rule="manual", sentence="Started.", at=START)
    controller = Controller(data, clock=lambda: now)
    for begin in range(0, 120, 20):
        journal.append(slices(range(begin, begin + 20), null_from=80))
        now = START + begin + 30.0
        controller.turn()
    shown = store.view("three-way")
    controller.close()
    assert shown is not None
    assert shown["drift"]["cause"] == "feed"
    assert shown["phase"] == "running"
    record = LiveRecord(data, "three-way")
    assert check(record).intact
    assert gather(record, now=now).view["drift"]["sentence"] == shown["drift"]["sentence"]
    export(record, out, at=now)
    record.close()
    carried = ExportedRecord(out)
    assert check(carried).intact
    known = gather(carried, now=now)
    assert known.view["drift"]["sentence"] == shown["drift"]["sentence"]
    file = next(path for path in out.rglob("*.parquet") if "sketched" in str(path))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    found = check(ExportedRecord(out))
    assert not found.intact
    assert "sketched" in found.reason
    store.close()
