"""Changes while users are served: positions, specs, lost controllers, full disks, two gateways, and the end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from crossfade.facts import Exposed, Fault, Lease
from crossfade.rim.lake import Lake
from crossfade.rim.standing import standing
from crossfade.rim.store import Store
from crossfade.state import Move
from rim.gateway_kit import Answer, Client, ask, post
from rim.toy_server import ToyServer, says

SPEC = """
name: {name}
route: /{name}
protocol: json
unit: header:x-user-id
lease: {lease}
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
stages:
  - canary:  {{steps: [98%], hold_for: {hold}}}
  - promote: {{holdback: 2%, watch: 30d}}
"""


class Serving:
    """`crossfade serve` as a process."""

    def __init__(self, data: Path, process: asyncio.subprocess.Process, port: int) -> None:
        self.data = data
        self.process = process
        self.port = port
        self.store = Store(data)
        self._lake: Lake | None = None

    def pid(self, name: str) -> int:
        return int(json.loads((self.data / "run" / "serve.json").read_text())["pids"][name])

    def move(self, name: str, what: Move) -> None:
        self.store.act(name, what, actor="ann", rule="manual", sentence="So.", at=time.time())

    async def until(self, path: str, body: bytes, seconds: float = 10.0) -> float:
        """Seconds until ten requests in a row, each on a connection of its own, get this answer."""
        began, row = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            row = row + 1 if (await ask(self.port, post(path=path.encode()), 10)).body == body else 0
            if row == 10:
                return time.monotonic() - began
        raise AssertionError(f"no {body!r} within {seconds} s")

    def status(self) -> dict[str, Any]:
        """What `crossfade status --json` prints."""
        return standing(self.store, "alpha", time.time())

    def facts(self, kind: type[Any], name: str) -> list[Any]:
        """Every fact of a kind, once nothing serves any more."""
        if self._lake is None:
            self._lake = Lake(self.data)
            self._lake.compact_journals()
        rows = [row for file in self._lake.files(name) for row in pq.read_table(file).to_pylist()]
        made = [kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}) for row in rows]
        return sorted(made, key=lambda fact: fact.at)


@asynccontextmanager
async def serving(data: Path, *specs: Path, workers: int = 1, **how: Any) -> AsyncIterator[Serving]:
    command = [sys.executable, "-m", "crossfade.cli.main", "serve", *map(str, specs), "--data", str(data), "--json"]
    command += ["--port", "0", "--control-port", "0", "--tick", "0.2", "--workers", str(workers)]
    process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1, **how)
    assert process.stdout is not None
    try:
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 90))
        yield Serving(data, process, int(str(ready["data"] or ":0").rpartition(":")[2]))
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 20)


def written(folder: Path, name: str, one: str, two: str, *, lease: str = "5s", hold: str = "10m") -> Path:
    spec = folder / f"{name}.yaml"
    spec.write_text(SPEC.format(name=name, one=one, two=two, lease=lease, hold=hold))
    return spec


@pytest.mark.timeout(120)
async def test_two_rollouts_two_gateways_new_positions_and_new_specs(tmp_path: Path) -> None:
    async with (
        ToyServer(says(b'"one"')) as one,
        ToyServer(says(b'"two"')) as two,
        ToyServer(says(b'"three"')) as three,
    ):
        specs = [written(tmp_path, name, one.url, two.url) for name in ("alpha", "beta")]
        async with serving(tmp_path / "data", *specs, workers=2) as there:
            await there.until("/alpha", b'"two"')
            await there.until("/beta", b'"two"')
            # One moves, the other stays; a kept connection lives through it.
            kept = await Client.to(there.port)
            kept.send(post(path=b"/alpha"))
            assert (await kept.answer()).body == b'"two"'
            there.move("alpha", Move.ROLLBACK)
            moved, last = time.monotonic(), b""
            while last != b'"one"' or time.monotonic() - moved < 0.5:
                assert time.monotonic() - moved < 1.0 or last == b'"one"'
                kept.send(post(path=b"/alpha"))
                last = (await kept.answer()).body
                await asyncio.sleep(0.01)
            await there.until("/alpha", b'"one"', 1.0)
            assert (await ask(there.port, post(path=b"/beta"))).body == b'"two"'

            # A bad spec changes nothing, a good one is a new revision, and no process is new.
            pids = [there.pid(name) for name in ("gateway-0", "gateway-1", "controller", "console")]
            specs[1].write_text(specs[1].read_text().replace("lease", "leese"))
            there.process.send_signal(signal.SIGHUP)
            assert there.process.stderr is not None
            said = b""
            while b"goes on as it was" not in said:
                said += await asyncio.wait_for(there.process.stderr.readline(), 10)
            assert b"leese" in said
            before = there.store.get("beta").revision
            written(tmp_path, "beta", one.url, three.url)
            there.process.send_signal(signal.SIGHUP)
            assert await there.until("/beta", b'"three"') < 2.0
            assert there.store.get("beta").revision != before
            assert pids == [there.pid(name) for name in ("gateway-0", "gateway-1", "controller", "console")]
            kept.close()


@pytest.mark.full
@pytest.mark.timeout(120)
async def test_load_is_shared_and_a_told_server_loses_no_request(tmp_path: Path) -> None:
    async with ToyServer(says(b'"one"')) as one:
        spec = written(tmp_path, "alpha", one.url, one.url)
        async with serving(tmp_path / "data", spec, workers=2) as there:
            counts: Counter[str] = Counter()

            async def user(number: int) -> None:
                """Sends one request after the other on a kept connection, and goes when told that it was the last."""
                client = await Client.to(there.port)
                while True:
                    client.send(post(path=b"/alpha", headers=b"X-User-Id: u%d\r\n" % number))
                    try:
                        answer: Answer = await client.answer(10)
                    except (IndexError, ConnectionError):
                        counts["lost"] += 1
                        return
                    counts[str(answer.status)] += 1
                    if answer.get(b"connection") == b"close":
                        counts["told"] += 1
                        client.close()
                        return
                    await asyncio.sleep(0.05 + 0.01 * (number % 10))

            users = [asyncio.ensure_future(user(number)) for number in range(60)]
            await asyncio.sleep(1.5)
            there.process.terminate()
            await asyncio.wait_for(asyncio.gather(*users), 15)
            assert await asyncio.wait_for(there.process.wait(), 15) == 0
            assert counts["lost"] == 0
            assert counts["told"] == 60
            assert set(counts) == {"200", "told", "lost"} or set(counts) == {"200", "told"}
        shares = Counter(
            json.loads((tmp_path / "data" / "run" / f"metrics-gateway-{index}.json").read_text())["worker"]
            for index in range(2)
            for _ in range(_requests(tmp_path / "data", index))
        )
        assert sum(shares.values()) == counts["200"], "each answer was counted by the gateway that gave it"
        assert min(shares.values()) > 0.35 * sum(shares.values()), shares


def _requests(data: Path, index: int) -> int:
    figures = json.loads((data / "run" / f"metrics-gateway-{index}.json").read_text())
    return int(sum(figures["requests"].values()))


@pytest.mark.timeout(120)
async def test_a_controller_that_stops_costs_exposure_and_nothing_else(tmp_path: Path) -> None:
    async with ToyServer(says(b'"one"')) as one, ToyServer(says(b'"two"')) as two:
        spec = written(tmp_path, "alpha", one.url, two.url, lease="1s")
        async with serving(tmp_path / "data", spec) as there:
            await there.until("/alpha", b'"two"')
            controller = there.pid("controller")
            os.kill(controller, signal.SIGSTOP)
            try:
                assert await there.until("/alpha", b'"one"') < 3.0
                await asyncio.sleep(1.2)
                assert there.status()["lease"]["held"] is False
            finally:
                os.kill(controller, signal.SIGCONT)
            assert await there.until("/alpha", b'"two"') < 5.0
            await asyncio.sleep(1.2)
            assert there.status()["lease"]["held"] is True
        assert [fact.held for fact in there.facts(Lease, "lease")] == [
            True,
            False,
            True,
        ]


@pytest.mark.full
@pytest.mark.timeout(120)
async def test_a_journal_that_cannot_grow_costs_exposure_and_no_answer(tmp_path: Path) -> None:
    import resource

    async with ToyServer(says(b'"one"')) as one, ToyServer(says(b'"two"')) as two:
        spec = written(tmp_path, "alpha", one.url, two.url)
        async with serving(tmp_path / "data", spec) as there:
            await there.until("/alpha", b'"two"')
            # No file of the gateway may grow any more, as on a full disk.
            gateway = there.pid("gateway-0")
            soft, hard = resource.prlimit(gateway, resource.RLIMIT_FSIZE)
            resource.prlimit(gateway, resource.RLIMIT_FSIZE, (1, hard))
            try:
                assert await there.until("/alpha", b'"one"', 20) < 20.0
                assert (await ask(there.port, post(path=b"/alpha"))).status == 200
            finally:
                resource.prlimit(gateway, resource.RLIMIT_FSIZE, (soft, hard))
            await there.until("/alpha", b'"two"', 20)
            assert there.pid("gateway-0") == gateway
            until = time.monotonic() + 10
            while True:
                record = there.status()
                if (record["counts"]["faults"] or 0) >= 1 or time.monotonic() > until:
                    break
                await asyncio.sleep(0.2)
            assert record["counts"]["faults"] >= 1
        faults = there.facts(Fault, "fault")
        assert {fact.what for fact in faults} == {"journal"}
        seen = [fact.decision_id for fact in there.facts(Exposed, "exposed")]
        assert len(seen) == len(set(seen)) == len(one.requests) + len(two.requests), "and no fact was lost or doubled"
