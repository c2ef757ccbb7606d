"""What users get and what is recorded when something fails. Every party is a process; the record is what people see.

A controller that stops and a journal that cannot grow are in `test_hot.py`, killed processes in `test_kills.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crossfade.facts import Compared, Dropped, Exposed, Shown
from rim.gateway_kit import Client, post

from .test_hot import Serving, serving
from .toy_models import BROKEN, CHALLENGER, CHAMPION

pytestmark = pytest.mark.timeout(120)

DEADLINE = 0.6

SPEC = """
name: {name}
route: /{name}
protocol: json
unit: header:x-user-id
deadline: 600ms
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
ranking: {{items: $.items, id: $.id}}
metrics:
{metrics}
stages:
  - {stage}
  - promote: {{holdback: 2%, watch: 30d}}
"""
CANARY = "canary: {steps: [50%, 60%], hold_for: 10m}"
ERRORS = "  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 90pp}}"
"""A margin so wide that a test's few users prove nothing: a rollout that was rolled back would copy no more."""
GOAL = "  purchase: {from: outcome, kind: rate, window: 10m, better: higher, goal: true}"
REVENUE = "  revenue: {from: outcome, kind: mean, window: 1s, better: higher, guardrail: {margin: 2%}}"
AB = "ab: {weight: 50%, until: {decided: true, at_most: 14d}}"
INTERLEAVE = "interleave: {weight: 50%, method: team-draft, credit: click, until: {decided: true, at_most: 3d}}"
SHADOW = "shadow: {mirror: 100%, until: {requests: 100000}}\n  - canary: {steps: [50%], hold_for: 10m}"


@dataclass
class Toys:
    """The model servers of one process."""

    process: asyncio.subprocess.Process
    urls: list[str]

    async def kill(self) -> None:
        """kill -9."""
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def toys(*characters: str) -> AsyncIterator[Toys]:
    """Model servers in a process of their own."""
    env = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "e2e.toy_models", *characters]
    process = await asyncio.create_subprocess_exec(*command, stdout=-1, env=env)
    assert process.stdout is not None
    try:
        ports = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        yield Toys(process, [f"http://127.0.0.1:{port}" for port in ports])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def written(folder: Path, name: str, one: str, two: str, stage: str, metrics: str = ERRORS) -> Path:
    spec = folder / f"{name}.yaml"
    spec.write_text(SPEC.format(name=name, one=one, two=two, stage=stage, metrics=metrics))
    return spec


@dataclass(frozen=True)
class Got:
    """One user's answer."""

    status: int
    body: bytes
    seconds: float


async def users(
    there: Serving, name: str, count: int, *, first: int = 0, each: int = 1, at_once: int = 10
) -> list[Got]:
    """So many users, each on a connection of their own, ask one after the other in `at_once` rows."""
    numbers = iter(range(first, first + count))
    got: list[Got] = []

    async def row() -> None:
        for number in numbers:
            client = await Client.to(there.port)
            for _ in range(each):
                began = time.monotonic()
                client.send(post(path=f"/{name}".encode(), headers=b"X-User-Id: u%d\r\n" % number))
                answer = await client.answer(10)
                got.append(Got(answer.status, answer.body, time.monotonic() - began))
            client.close()

    await asyncio.gather(*(row() for _ in range(at_once)))
    return got


async def status(there: Serving) -> dict[str, dict[str, Any]]:
    """What `crossfade status --json` prints, by name."""
    command = [sys.executable, "-m", "crossfade.cli.main", "status", "--data", str(there.data), "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=-1)
    out, _ = await process.communicate()
    return {record["name"]: record for record in json.loads(out)["rollouts"]}


async def shows(there: Serving, what: Callable[[dict[str, Any]], Any], seconds: float = 30.0) -> dict[str, Any]:
    """The records by name, once `what` is true of each."""
    until = time.monotonic() + seconds
    while not all(map(what, (records := await status(there)).values())):
        assert time.monotonic() < until, json.dumps([one for one in records.values() if not what(one)], indent=1)
        await asyncio.sleep(0.1)
    return records


def of(there: Serving, kind: type[Any], table: str, name: str) -> list[Any]:
    """The facts of one rollout."""
    return [fact for fact in there.facts(kind, table) if fact.rollout == name]


# -- canary and A/B ----------------------------------------------------------------------------------------------------


async def test_a_failing_challenger_costs_its_users_nothing_and_stays_in_the_analysis(tmp_path: Path) -> None:
    async with toys("champion", "fails", "hangs") as there, toys("challenger") as doomed:
        champion, fails, hangs = there.urls
        bad = {"fails": fails, "hangs": hangs, "refuses": doomed.urls[0]}
        specs = [
            written(tmp_path, f"{how}-{stage.split(':')[0]}", champion, url, stage, f"{ERRORS}\n{GOAL}")
            for how, url in bad.items()
            for stage in (CANARY, AB)
        ]
        names = [spec.stem for spec in specs]
        await doomed.kill()
        async with serving(tmp_path / "data", *specs) as gw:
            asked = await asyncio.gather(*(users(gw, name, 40) for name in names))
            records = await shows(gw, lambda record: record["counts"]["requests"] == 40)
        for name, got in zip(names, asked, strict=True):
            assert {(one.status, one.body) for one in got} == {(200, CHAMPION)}, name
            assert max(one.seconds for one in got) < DEADLINE + 0.3, name
        for name, record in records.items():
            facts = of(gw, Exposed, "exposed", name)
            assert len(facts) == 40
            theirs = [fact for fact in facts if fact.arm == "v2"]
            assert 8 < len(theirs) < 32, "intention to treat: the units stay where they were assigned"
            assert all(fact.failed and fact.served_by == "v1" for fact in theirs)
            reason = {"fails": "status", "hangs": "timeout", "refuses": "refused"}[name.split("-")[0]]
            reasons = Counter(fact.reason for fact in theirs)
            assert reasons[reason] >= 5
            assert set(reasons) <= {reason, "ejected"}
            assert not any(fact.failed for fact in facts if fact.arm == "v1")
            assert record["phase"] == "running"
            (line,) = [line for line in record["evidence"] if line["metric"] == "errors"]
            assert line["units"]["v2"] == line["events"]["v2"] == len(theirs)
            assert record["arms"]["v2"]["fallbacks"] == record["arms"]["v2"]["failures"] == len(theirs)


async def test_the_champions_error_reaches_its_users_unmasked(tmp_path: Path) -> None:
    async with toys("fails", "challenger", "refuses") as there, toys("champion") as doomed:
        fails, challenger, refuses = there.urls
        specs = [
            written(tmp_path, "champion-fails", fails, challenger, CANARY),
            written(tmp_path, "both-fail", fails, refuses, CANARY),
            written(tmp_path, "champion-dead", doomed.urls[0], challenger, CANARY),
        ]
        await doomed.kill()
        async with serving(tmp_path / "data", *specs) as gw:
            alone, both, dead = await asyncio.gather(*(users(gw, spec.stem, 40) for spec in specs))
            record = (await shows(gw, lambda record: record["counts"]["requests"] == 40))["champion-fails"]
        assert {(one.status, one.body) for one in alone} == {(500, BROKEN), (200, CHALLENGER)}
        assert {(one.status, one.body) for one in both} == {(500, BROKEN)}, "the champion's error, not the challenger's"
        assert {one.status for one in dead} == {502, 200}
        assert all(b"no connection to the model 'v1'" in one.body for one in dead if one.status == 502)
        for name, reason in (("champion-fails", "status"), ("champion-dead", "refused")):
            facts = of(gw, Exposed, "exposed", name)
            ours = [fact for fact in facts if fact.arm == "v1"]
            assert {(fact.failed, fact.reason) for fact in ours} == {(True, reason)}
            assert not any(fact.failed for fact in facts if fact.arm == "v2"), "the challenger is not to blame"
        both_facts = of(gw, Exposed, "exposed", "both-fail")
        assert {(fact.arm, fact.failed, fact.status) for fact in both_facts} == {("v1", True, 500), ("v2", True, 500)}
        assert record["arms"]["v1"]["failures"] == sum(one.status == 500 for one in alone)
        assert record["arms"]["v2"]["failures"] == 0


async def test_what_cannot_be_measured_keeps_its_weight(tmp_path: Path) -> None:
    stage = "canary: {steps: [50%, 60%], hold_for: 1s}"
    async with toys("champion", "challenger") as there:
        champion, challenger = there.urls
        specs = [
            written(tmp_path, "no-outcomes", champion, challenger, stage, f"{ERRORS}\n{REVENUE}"),
            written(tmp_path, "no-traffic", champion, challenger, stage),
        ]
        async with serving(tmp_path / "data", *specs) as gw:
            assert {one.status for one in await users(gw, "no-outcomes", 60)} == {200}
            await shows(gw, lambda record: record["phase"] == "held")
            await asyncio.sleep(1.5)
            records = await status(gw)
            for name, metric in (("no-outcomes", "revenue"), ("no-traffic", "errors")):
                record = records[name]
                assert (record["phase"], record["stage"], record["step"]) == ("held", "canary", 0)
                assert record["exposure"]["planned"] == 0.5
                assert [entry["move"] for entry in record["decisions"]] == ["start", "hold"]
                assert record["decisions"][-1]["rule"] == "unmeasured"
                (line,) = [line for line in record["evidence"] if line["metric"] == metric]
                assert line["verdict"] == "unmeasured"
                assert line["reason"]
                assert line["estimate"] is line["lower"] is line["upper"] is None
                assert metric in record["sentence"] or "no unit" in record["sentence"]
            # The weight stays for users too: the same ones see the challenger as before.
            got = Counter(one.body for one in await users(gw, "no-outcomes", 60))
            assert 15 < got[CHALLENGER] < 45
            assert got[CHALLENGER] + got[CHAMPION] == 60


# -- interleaving ------------------------------------------------------------------------------------------------------


async def test_one_ranker_is_enough_when_the_other_is_slow_or_dead(tmp_path: Path) -> None:
    async with toys("champion", "challenger", "hangs", "hangs") as there, toys("champion", "challenger") as doomed:
        champion, challenger, slow_one, slow_two = there.urls
        parties = {
            "slow-challenger": (champion, slow_two),
            "slow-champion": (slow_one, challenger),
            "dead-challenger": (champion, doomed.urls[1]),
            "dead-champion": (doomed.urls[0], challenger),
        }
        specs = [written(tmp_path, name, *urls, INTERLEAVE) for name, urls in parties.items()]
        async with serving(tmp_path / "data", *specs) as gw:
            first = await users(gw, "dead-challenger", 40)
            assert {one.status for one in first} == {200}
            assert len({one.body for one in first}) > 2, "lists of one and of both"
            await doomed.kill()
            asked = dict(zip(parties, await asyncio.gather(*(users(gw, name, 40) for name in parties)), strict=True))
            records = await shows(gw, lambda record: record["counts"]["requests"] >= 40)
        for name, got in asked.items():
            # Where the champion serves alone, its death is its users' error, as without us.
            mine = CHALLENGER if name.endswith("champion") else CHAMPION
            statuses = {"slow-champion": {200, 504}, "dead-champion": {200, 502}}.get(name, {200})
            assert {one.status for one in got} == statuses, name
            assert {one.body for one in got if one.status == 200} == {mine}, name
            assert max(one.seconds for one in got) < DEADLINE + 0.3, name
        for name, excluded in (("slow-challenger", "late"), ("slow-champion", "late"), ("dead-champion", "one-ranker")):
            shown = of(gw, Shown, "shown", name)
            assert 8 < len(shown) < 32, "every list that was shown to a unit of the experiment is counted"
            assert {fact.excluded for fact in shown} <= {excluded, "ejected"}
            assert excluded in {fact.excluded for fact in shown}
            assert {owner for fact in shown for owner in fact.owners} == {""}, "nobody is credited"
        shown = [fact for fact in of(gw, Shown, "shown", "dead-challenger") if fact.excluded]
        assert {fact.excluded for fact in shown} <= {"one-ranker", "ejected"}
        assert len(shown) > 8
        for name, record in records.items():
            counted = Counter(fact.excluded for fact in of(gw, Shown, "shown", name) if fact.excluded)
            assert record["counts"]["excluded"] == counted, "each with its reason"
        failed = {fact.reason for fact in of(gw, Exposed, "exposed", "dead-challenger") if fact.failed}
        assert failed <= {"refused", "broken", "ejected"}
        assert failed & {"refused", "broken"}


# -- shadow ------------------------------------------------------------------------------------------------------------


async def test_a_sick_shadow_costs_users_nothing_and_what_it_missed_is_shown(tmp_path: Path) -> None:
    async with (
        toys("champion") as one,
        toys("challenger", "slow", "hangs") as there,
        toys("floods") as flood,
        toys("challenger") as doomed,
    ):
        urls = dict(zip(("well", "slow", "hung"), there.urls, strict=True))
        urls |= {"flooding": flood.urls[0], "down": doomed.urls[0]}
        await doomed.kill()
        specs = [written(tmp_path, name, one.urls[0], url, SHADOW, f"{REVENUE}\n{GOAL}") for name, url in urls.items()]
        async with serving(tmp_path / "data", *specs) as gw:
            asked = {name: await users(gw, name, 40, each=20) for name in urls}
            least = {"well": (800, 0), "down": (800, 0), "slow": (100, 100), "hung": (32, 100), "flooding": (0, 100)}

            def told(record: dict[str, Any]) -> bool:
                counts, (mirrored, dropped) = record["counts"], least[record["name"]]
                mirrors = counts["mirrored"] >= mirrored and counts["dropped"] >= dropped
                return bool(counts["requests"] == 800 and mirrors)

            records = await shows(gw, told)
        median = {name: sorted(one.seconds for one in got)[400] for name, got in asked.items()}
        for name, got in asked.items():
            assert {(one.status, one.body) for one in got} == {(200, CHAMPION)}, name
            # Its own pace beside a shadow that is well; the machine is shared.
            assert median[name] < 2 * median["well"] + 0.01, name
            facts = of(gw, Exposed, "exposed", name)
            assert len(facts) == 800
            assert {(fact.arm, fact.served_by, fact.failed) for fact in facts} == {("v1", "v1", False)}
        pairs = {name: of(gw, Compared, "compared", name) for name in urls}
        drops = {name: Counter[str]() for name in urls}
        for name, counts in drops.items():
            for fact in of(gw, Dropped, "dropped", name):
                counts[fact.reason] += fact.count
        assert len(pairs["well"]) == len(pairs["down"]) == 800
        assert {fact.challenger_failed for fact in pairs["well"]} == {False}
        assert {fact.reason for fact in pairs["down"]} == {"refused"}
        assert {fact.reason for fact in pairs["hung"]} == {"timeout"}
        assert pairs["flooding"] == [], "what was cut by us is no failure of the challenger"
        assert set(drops["flooding"]) <= {"flood", "large", "queue-full", "shutdown"}
        assert set(drops["hung"]) == {"queue-full", "shutdown"}
        assert pairs["hung"], "a hung shadow fails by its own time"
        for name, record in records.items():
            counts = record["counts"]
            copies = counts["dropped"] + counts["mirrored"]
            assert copies <= 800
            assert counts["dropped"] == sum(counts["dropped_why"].values()), name
            assert counts["dropped_why"].keys() <= drops[name].keys(), name
            assert counts["dropped_share"] == pytest.approx(counts["dropped"] / copies), name
            assert len(pairs[name]) + sum(drops[name].values()) == 800, "every copy is accounted for"
            assert record["arms"]["v2"]["requests"] == counts["mirrored"], name
            sick = {pair.challenger_failed for pair in pairs[name]} == {True}
            assert sick == (name in ("down", "hung")), name
            assert record["arms"]["v2"]["failures"] == (counts["mirrored"] if sick else 0), name
