"""A rollout around Python callables: the gateway's promises, on results. Store and journal are real."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from crossfade.client import Rollout
from crossfade.facts import Compared, Dropped, Exposed, Fact, Lease, Shown
from crossfade.live import units
from crossfade.live.assign import bucket
from crossfade.live.health import FAILURES
from crossfade.rim import batches
from crossfade.rim.excluding import exclude_by_hand
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move

SPEC = """
name: ranker
route: /ranker
protocol: json
unit: header:x-user-id
{groups}
salt: ranker-v2
lease: 2s
deadline: {deadline}
champion:   {{name: v1, url: "python:"}}
challenger: {{name: v2, url: "python:", timeout: {timeout}}}
ranking: {{items: $.items, id: $.id}}
metrics:
  errors: {{from: response, kind: rate, better: lower, goal: true, guardrail: {{margin: 0.5pp}}}}
stages:
  - {stage}
"""
SHADOW = "shadow: {mirror: 100%, noise: 100%, until: {requests: 5000}, gates: {disagreement: {at_most: 5%}}}"
CANARY = "canary: {steps: [50%], hold_for: 10m}"
LISTS = "interleave: {weight: 100%}"


def one(payload: Any) -> Any:
    return {"model": 1, "got": payload}


def two(payload: Any) -> Any:
    return {"model": 2, "got": payload}


class Running:
    """A rollout, and somebody who moves it and beats for the controller."""

    def __init__(self, data: Path, stage: str, arms: Mapping[str, Any], timeout: str, deadline: str, **more: Any):
        groups = more.pop("groups", "")
        self.text = SPEC.format(stage=stage, timeout=timeout, deadline=deadline, groups=groups)
        self.data = data
        self.store = Store(data)
        self.store.add(self.text, parse(self.text), time.time())
        self._stop = threading.Event()
        self._beating = threading.Thread(target=self._beat)
        self._beating.start()
        self.rollout = Rollout.open(self.text, data=data, arms=arms, **more)

    def move(self, what: Move) -> None:
        self.store.act("ranker", what, actor="ann", rule="manual", sentence="So.", at=time.time())

    def until(self, mode: str) -> float:
        began = time.monotonic()
        while self.rollout.mode != mode:
            assert time.monotonic() - began < 5
            time.sleep(0.01)
        return time.monotonic() - began

    def silence(self) -> None:
        self._stop.set()
        self._beating.join()

    def facts(self, kind: type[Any], count: int = 0) -> list[Any]:
        """The facts of a kind that are on the disk, once there are so many."""
        until = time.monotonic() + 5
        while True:
            found: list[Fact] = []
            for path in batches.journals(self.data):
                connection = batches.connect(path)
                found += [fact for row in batches.rows(connection, 0, 10**9) for fact in row.facts]
                connection.close()
            of_kind = [fact for fact in found if isinstance(fact, kind)]
            if len(of_kind) >= count:
                return of_kind
            assert time.monotonic() < until, f"{len(of_kind)} of {count} {kind.__name__}"
            time.sleep(0.02)

    def _beat(self) -> None:
        while not self._stop.wait(0.1):
            self.store.beat()

    def close(self) -> None:
        self.silence()
        self.rollout.close()
        self.store.close()


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def begin(
        stage: str = CANARY, v1: Any = one, v2: Any = two, timeout: str = "5s", deadline: str = "10s", **more: Any
    ) -> Running:
        running = Running(tmp_path, stage, {"v1": v1, "v2": v2}, timeout, deadline, **more)
        started.append(running)
        running.move(Move.START)
        running.until(stage.partition(":")[0])
        return running

    yield begin
    for running in started:
        running.close()


def mine(weight: float = 0.5) -> str:
    """A unit that the challenger owns."""
    return next(f"u{n}" for n in range(1000) if bucket("ranker-v2", f"u{n}") < weight)


def test_units_get_the_arm_that_the_gateway_would_give_them(start: Start) -> None:
    there = start()
    golden = json.loads((Path(__file__).parents[1] / "golden" / "assignment.json").read_text())
    vectors = [one for one in golden["vectors"] if one["salt"] == "ranker-v2" and units.canonical(one["unit"])][:40]
    for vector in vectors:
        wanted = 2 if vector["bucket"] < 0.5 else 1
        assert there.rollout.call_sync(vector["unit"], 7).result == {"model": wanted, "got": 7}
    seen = there.facts(Exposed, len(vectors))
    assert {(fact.arm == fact.served_by, fact.failed, fact.status, fact.mode) for fact in seen} == {
        (True, False, 200, "canary")
    }
    assert len({fact.decision_id for fact in seen}) == len(vectors) > 5


async def test_coroutines_and_functions_side_by_side(start: Start) -> None:
    async def later(payload: Any) -> Any:
        await asyncio.sleep(0)
        return {"model": 2, "got": payload}

    there = start(v2=later)
    result, decision = await there.rollout.call(mine(), "x")
    assert result == {"model": 2, "got": "x"}
    fact = there.facts(Exposed, 1)[0]
    assert (fact.decision_id, fact.arm, fact.unit) == (decision, "v2", mine())
    with pytest.raises(TypeError, match="v2 must be awaited"):
        there.rollout.call_sync("u", 1)


def test_what_a_challenger_raises_nobody_sees(start: Start) -> None:
    def breaks(_: Any) -> Any:
        raise RuntimeError("no")

    there = start(v2=breaks)
    answers = [there.rollout.call_sync(mine(), n).result["model"] for n in range(FAILURES + 3)]
    assert answers == [1] * (FAILURES + 3)
    seen = there.facts(Exposed, FAILURES + 3)
    assert {(fact.arm, fact.served_by, fact.failed) for fact in seen} == {("v2", "v1", True)}
    assert [fact.reason for fact in seen] == ["error"] * FAILURES + ["ejected"] * 3


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_challenger_that_hangs_is_given_up(start: Start, asynchronous: bool) -> None:
    release = threading.Event()

    async def sleeps(_: Any) -> Any:
        await asyncio.sleep(60)

    there = start(v2=sleeps if asynchronous else lambda _: release.wait(60), timeout="200ms")
    began = time.monotonic()
    if asynchronous:
        got = await there.rollout.call(mine(), 1)
    else:
        got = there.rollout.call_sync(mine(), 1)
    assert got.result["model"] == 1
    assert 0.15 < time.monotonic() - began < 1.0
    release.set()
    assert [(fact.reason, fact.served_by) for fact in there.facts(Exposed, 1)] == [("timeout", "v1")]


def test_hung_challengers_use_up_their_own_threads_only(start: Start) -> None:
    release = threading.Event()
    there = start(v2=lambda _: release.wait(60), timeout="50ms", threads=2)
    began = time.monotonic()
    assert [there.rollout.call_sync(mine(), 1).result["model"] for _ in range(4)] == [1] * 4
    assert time.monotonic() - began < 0.6
    assert [fact.reason for fact in there.facts(Exposed, 4)] == ["timeout", "timeout", "refused", "refused"]
    release.set()


def test_nan_is_no_answer(start: Start) -> None:
    there = start(v2=lambda _: {"score": [1.0, float("nan")]})
    assert there.rollout.call_sync(mine(), 1).result["model"] == 1
    assert there.facts(Exposed, 1)[0].reason == "nan"


async def test_the_champions_exception_is_the_callers(start: Start) -> None:
    class Mine(Exception):
        pass

    def breaks(_: Any) -> Any:
        raise Mine

    there = start(v1=breaks, v2=breaks)
    with pytest.raises(Mine):
        there.rollout.call_sync(mine(), 1)
    with pytest.raises(Mine):
        await there.rollout.call("", 1)
    seen = there.facts(Exposed, 2)
    assert [(fact.arm, fact.failed, fact.status, fact.reason) for fact in seen] == [
        ("v2", True, 500, "error"),
        ("v1", True, 500, "error"),
    ]


async def test_a_call_that_is_cancelled_is_recorded_as_left(start: Start) -> None:
    async def sleeps(_: Any) -> Any:
        await asyncio.sleep(60)

    there = start(v1=sleeps, v2=sleeps)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await there.rollout.call(mine(), 1)
    assert [(fact.reason, fact.failed, fact.served_by) for fact in there.facts(Exposed, 1)] == [
        ("client-left", False, "")
    ]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_copies_are_paired_and_nobody_waits_for_them(start: Start, asynchronous: bool) -> None:
    release = threading.Event()

    def slow(payload: Any) -> Any:
        release.wait(5)
        return {"model": 2, "got": payload}

    there = start(SHADOW, v2=slow, copies=1, waiting=4)
    began = time.monotonic()
    for _ in range(12):
        got = await there.rollout.call("u", 1) if asynchronous else there.rollout.call_sync("u", 1)
        assert got.result["model"] == 1
    assert time.monotonic() - began < 1.0
    release.set()
    pairs = there.facts(Compared, 5)
    assert {(fact.arm, fact.differs, fact.fields, fact.noise_differs) for fact in pairs} == {
        ("v2", True, ("$.model",), False)
    }
    there.rollout.close()
    assert sum(fact.count for fact in there.facts(Dropped, 1)) == 12 - len(there.facts(Compared))


async def test_copies_to_coroutines(start: Start) -> None:
    async def other(payload: Any) -> Any:
        await asyncio.sleep(0.01)
        return {"model": 1, "got": payload}

    there = start(SHADOW, v2=other)
    for _ in range(5):
        await there.rollout.call("u", 1)
    await asyncio.sleep(0.3)
    assert [(f.differs, f.challenger_failed, f.noise_differs) for f in there.facts(Compared, 5)] == [
        (False, False, False)
    ] * 5


def test_two_rankings_in_one_list(start: Start) -> None:
    def ranked(*names: str) -> Callable[[Any], Any]:
        return lambda _: {"items": [{"id": name} for name in names], "of": names[0]}

    there = start(LISTS, v1=ranked("a", "b", "c"), v2=ranked("c", "b", "a"))
    shown = [there.rollout.call_sync("u1", {"q": 1}).result for _ in range(3)]
    assert shown[0] == shown[1] == shown[2], "the same unit asking the same sees the same"
    assert shown[0]["of"] == "a", "all but the list is the champion's"
    fact = there.facts(Shown, 3)[0]
    assert list(fact.items) == [item["id"] for item in shown[0]["items"]]
    assert set(fact.owners) <= {"v1", "v2", ""}
    assert not fact.excluded
    assert {fact.served_by for fact in there.facts(Exposed, 3)} == {"v1+v2"}


def test_a_ranker_that_is_late_leaves_the_others_list(start: Start) -> None:
    release = threading.Event()
    there = start(LISTS, v1=lambda _: {"items": [{"id": "a"}]}, v2=lambda _: release.wait(60), timeout="100ms")
    assert there.rollout.call_sync("u1", 1).result == {"items": [{"id": "a"}]}
    assert [fact.excluded for fact in there.facts(Shown, 1)] == ["late"]
    release.set()


def test_positions_arrive_within_a_second_and_silence_leaves_the_champion(start: Start) -> None:
    there = start()
    there.move(Move.ROLLBACK)
    assert there.until("champion") < 1.0
    assert there.rollout.call_sync(mine(), 1).result["model"] == 1
    assert [fact.held for fact in there.facts(Lease, 1)] == [True]


def test_without_a_controller_nobody_is_exposed(start: Start) -> None:
    there = start()
    there.silence()
    assert 1.0 < there.until("champion") < 4.0
    assert [fact.held for fact in there.facts(Lease, 2)] == [True, False]


def test_two_programs_keep_journals_of_their_own(start: Start) -> None:
    there = start()
    with Rollout.open(there.text, data=there.data, arms={"v1": one, "v2": two}) as other:
        other.call_sync("a", 1)
        there.rollout.call_sync("b", 1)
    assert {fact.unit for fact in there.facts(Exposed, 2)} == {"a", "b"}
    assert sorted(path.name for path in batches.journals(there.data)) == ["client-0.db", "client-1.db"]


def test_arms_have_to_be_the_specs(tmp_path: Path) -> None:
    text = SPEC.format(stage=CANARY, timeout="5s", deadline="10s", groups="")
    with pytest.raises(ValueError, match="names v1, v2"):
        Rollout.open(text, data=tmp_path, arms={"v1": one})


def test_a_closed_rollout_says_so(start: Start) -> None:
    there = start()
    there.rollout.close()
    with pytest.raises(RuntimeError, match="is closed"):
        there.rollout.call_sync("u", 1)


HEAVY = ("numpy", "scipy", "pyarrow", "duckdb", "fastapi", "sqlalchemy", "pydantic", "crossfade.judge")


def test_importing_it_is_light() -> None:
    code = f"import sys; from crossfade.client import Rollout; print([m for m in {HEAVY} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_program_ends_although_a_challenger_hangs(tmp_path: Path) -> None:
    text = SPEC.format(stage=SHADOW, timeout="5s", deadline="10s", groups="")
    code = f"""
import time
from crossfade.client import Rollout
from crossfade.client.workers import Workers
workers = Workers("w", threads=1, waiting=1)
assert workers.submit(lambda: time.sleep(600)) and workers.submit(lambda: None) and not workers.submit(lambda: None)
with Rollout.open({text!r}, data={str(tmp_path)!r}, arms={{"v1": abs, "v2": abs}}) as rollout:
    print(rollout.call_sync("u", -3).result)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "3\n"


def test_a_segment_that_is_excluded_is_the_champions_from_then_on(start: Start) -> None:
    running = start("ab: {weight: 50%, until: {decided: true}}", groups="segments: [header:x-country]")
    unit = mine()
    assert running.rollout.call_sync(unit, 1, segments=("de",)).result["model"] == 2
    entry = exclude_by_hand(
        running.store, "ranker", "header:x-country=de", actor="ann", reason="old phones", at=time.time()
    )
    assert entry.to_position is not None
    until = time.monotonic() + 5
    while running.rollout.call_sync(unit, 1, segments=("de",)).result["model"] == 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert running.rollout.call_sync(unit, 1, segments=("fr",)).result["model"] == 2
    assert running.rollout.call_sync(unit, 1).result["model"] == 2
    with pytest.raises(ValueError, match="2 segments are given; the spec names 1, in its order"):
        running.rollout.call_sync(unit, 1, segments=("de", "ios"))
    running.rollout.close()
    kept = [fact for fact in running.facts(Exposed, 4) if fact.reason == "segment"]
    assert kept
    assert {(fact.mode, fact.arm, fact.weight, fact.segments) for fact in kept} == {("champion", "v1", 0.0, ("de",))}
