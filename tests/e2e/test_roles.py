"""Each process of a rollout on several hosts with a database role of its own, that an administrator made by our SQL."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from crossfade import ledger
from crossfade.rim.store import Store
from crossfade.rim.store_address import VARIABLE
from rim.engine.postgres_kit import INITDB, MISSING, postgres
from rim.gateway_kit import ask
from rim.s3_kit import NO_S3, WITHOUT, environment, made, s3
from rim.toy_server import ToyServer, says

from .test_hosts import ONE, SPEC, TWO, Host, host, purchases, served, until

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(400),
    pytest.mark.skipif(INITDB is None, reason=MISSING),
    pytest.mark.skipif(NO_S3, reason=WITHOUT),
]


def crossfade(*arguments: str) -> str:
    command = [sys.executable, "-m", "crossfade.cli.main", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def moved(console: Host, act: str) -> bytes:
    token = (console.data / "run" / "token").read_text().strip()
    body = json.dumps({"reason": "to see whether it may"}).encode()
    head = f"POST /api/v1/rollouts/alpha/{act} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def test_each_process_works_with_a_role_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres() as where, s3() as url:
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        lake = f"{made(url, tmp_path.name)}/crossfade"
        with psycopg.connect(where, autocommit=True) as admin:
            admin.execute(crossfade("store", "roles").encode())
            at = f"{admin.info.host}:{admin.info.port}/{admin.info.dbname}"

        def become(role: str) -> None:
            monkeypatch.setenv(VARIABLE, f"postgresql://crossfade_{role}@{at}")

        become("gateway")
        early = subprocess.run(
            [sys.executable, "-m", "crossfade.cli.main", "gateway", "--data", str(tmp_path / "early"), "--lake", lake],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert early.returncode != 0
        assert "run `crossfade store migrate` once as the role that owns the tables" in early.stderr
        become("owner")
        assert "rights were given to crossfade_controller, crossfade_console, crossfade_gateway" in crossfade(
            "store", "migrate", "--data", str(tmp_path / "owner")
        )
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(ToyServer(says(ONE)))
            two = await stack.enter_async_context(ToyServer(says(TWO)))
            spec = tmp_path / "spec.yaml"
            spec.write_text(SPEC.format(one=one.url, two=two.url))
            become("controller")
            await stack.enter_async_context(host("controller", tmp_path / "c", lake, str(spec)))
            become("console")
            console = await stack.enter_async_context(host("console", tmp_path / "o", lake, "--control-port", "0"))
            become("gateway")
            gateway = await stack.enter_async_context(host("gateway", tmp_path / "g", lake, "--port", "0"))

            async def sees(*bodies: bytes) -> bool:
                return {await served(gateway, n) for n in range(20)} == set(bodies)

            await until(lambda: sees(ONE, TWO), 60)
            token = (console.data / "run" / "token").read_text().strip()
            assert (await ask(console.port, purchases(token, 50), 30)).status == 202
            assert (await ask(console.port, moved(console, "hold"), 30)).status == 200
            assert (await ask(console.port, moved(console, "resume"), 30)).status == 200
            # The controller must have looked at facts that came from the gateway's host.
            become("controller")
            store = Store(tmp_path / "look")
            deadline = time.monotonic() + 90

            async def measured() -> bool:
                view = await asyncio.to_thread(store.view, "alpha")
                return view is not None and any((line.get("units") or {}).get("v2") for line in view["evidence"])

            await until(measured, deadline - time.monotonic())
            become("console")
            told = await asyncio.to_thread(
                crossfade, "rollback", "alpha", "--now", "--reason", "enough", "--data", str(tmp_path / "o"), "--json"
            )
            assert "rollback" in told
            await until(lambda: sees(ONE), 15)
        assert ledger.verify(store.entries("alpha"), store.head("alpha")).intact
        moves = [entry.move for entry in store.entries("alpha") if entry.move]
        assert (moves[:3], moves[-1]) == (["start", "hold", "resume"], "rollback")
        store.close()
        for log in tmp_path.glob("*/logs/*.log"):
            assert "permission denied" not in log.read_text(), log
