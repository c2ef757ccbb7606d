"""Secrets planted in processes that succeed, fail and crash: none is found in what they leave behind.

Real processes, a real PostgreSQL with a password, a real S3 server, and models of which one fails.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest

from crossfade.rim import batches
from crossfade.rim.lake_place import Place
from crossfade.rim.store_address import VARIABLE
from crossfade.rim.tokens import Tokens
from rim.engine.postgres_kit import INITDB, MISSING, postgres, schema
from rim.gateway_kit import ask, post
from rim.s3_kit import NO_S3, WITHOUT, environment, made, s3
from rim.toy_server import ToyServer, says

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(400),
    pytest.mark.skipif(INITDB is None, reason=MISSING),
    pytest.mark.skipif(NO_S3, reason=WITHOUT),
]

SPEC = """
name: alpha
route: /alpha
protocol: json
unit: header:x-user-id
lease: 5s
pseudonyms: env:PLANTED_UNIT_KEY
champion:   {{name: v1, url: "{champion}"}}
challenger: {{name: v2, url: "{challenger}"}}
metrics:
  errors:   {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
  purchase: {{from: outcome, kind: rate, window: 1h, better: higher, goal: true}}
notify:
  - webhook: {{url: "{hook}", key: env:PLANTED_HOOK_KEY}}
  - slack: {{url: env:PLANTED_SLACK}}
  - email:
      {{server: "smtp://127.0.0.1:{closed}", from: a@b.org, to: [c@b.org], user: cf, password: env:PLANTED_MAIL}}
stages:
  - canary:  {{steps: [50%], hold_for: 1h}}
  - promote: {{holdback: 2%, watch: 30d}}
"""


SEEN = "what anybody may read"
"""The reason of an act: no secret, and found where secrets would be."""


@dataclass
class Planted:
    """Every secret, by what it is, and all that was said by anybody."""

    known: dict[str, str] = field(default_factory=dict)
    said: list[tuple[str, bytes]] = field(default_factory=list)

    def new(self, what: str) -> str:
        self.known[what] = f"planted{secrets.token_hex(16)}"
        return self.known[what]

    def keep(self, where: str, what: bytes) -> bytes:
        self.said.append((where, what))
        return what

    def found(self) -> list[tuple[str, str]]:
        """Which secret was seen where, also in other clothes."""
        clothes = {
            (what, form)
            for what, secret in self.known.items()
            for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex())
        }
        return [(what, where) for where, text in self.said for what, form in clothes if form.encode() in text]


def arguments() -> bytes:
    """What the list of processes shows to everybody on this machine of ours."""
    told = b""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = place.read_bytes()
            if b"crossfade" in command:
                told += command + b"\n"
    return told


@asynccontextmanager
async def serving(
    spec: Path, data: Path, lake: str, environ: dict[str, str], kept: Planted
) -> AsyncIterator[dict[str, object]]:
    command = [sys.executable, "-m", "crossfade.cli.main", "serve", str(spec), "--data", str(data), "--lake", lake]
    command += [
        "--port",
        "0",
        "--control-port",
        "0",
        "--access-log",
        "--json",
        "--tick",
        "0.3",
        "--outcome-rate",
        "1000",
    ]
    errors = data.with_suffix(".err")
    with errors.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=out, env=environ
        )
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 120)
        assert line, errors.read_text()
        kept.keep("serve's standard output", line)
        try:
            yield json.loads(line)
        finally:
            process.terminate()
            kept.keep("serve's standard output", (await asyncio.wait_for(process.communicate(), 60))[0])
    kept.keep("serve's standard error", errors.read_bytes())


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """A PostgreSQL, an S3 server, and a bucket."""
    with postgres() as where, s3() as url:
        yield schema(where), url, f"{made(url, tmp_path.name)}/crossfade"


def port_of(told: dict[str, object], which: str) -> int:
    return int(str(told[which]).rpartition(":")[2])


async def answered(port: int, request: bytes, kept: Planted, what: str) -> None:
    with suppress(OSError, EOFError, IndexError, AssertionError, TimeoutError):
        answer = await ask(port, request, 20)
        kept.keep(what, repr((answer.status, answer.headers, answer.body)).encode())


async def test_no_secret_is_found_in_what_is_left_behind(  # noqa: PLR0915 — one story of one host
    tmp_path: Path, shared: tuple[str, str, str]
) -> None:
    address, url, lake = shared
    kept, data, spec = Planted(), tmp_path / "data", tmp_path / "spec.yaml"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = nobody.getsockname()[1]
    environ = {
        **os.environ,
        **environment(url),
        "AWS_SECRET_ACCESS_KEY": kept.new("AWS secret key"),
        "AWS_SESSION_TOKEN": kept.new("AWS session token"),
        VARIABLE: address.replace("//test@", f"//test:{kept.new('password in the address')}@"),
        "PGPASSWORD": kept.new("PGPASSWORD"),
        "PLANTED_UNIT_KEY": kept.new("pseudonym key"),
        "PLANTED_HOOK_KEY": kept.new("webhook key"),
        "PLANTED_SLACK": f"http://127.0.0.1:{closed}/services/{kept.new('slack address')}",
        "PLANTED_MAIL": kept.new("mail password"),
        "PYTHONASYNCIODEBUG": "1",
        "PYTHONDEVMODE": "1",
    }
    named = Tokens(data).add("ana", ["operator"], at=0.0, by="test")
    kept.known["named token"] = named
    unit, sent, cookie, query = (kept.new(what) for what in ("unit", "request body", "cookie", "authorization"))
    headers = b"X-User-Id: %b%%d\r\nAuthorization: Bearer %b\r\nCookie: s=%b\r\n" % (
        unit.encode(),
        query.encode(),
        cookie.encode(),
    )
    async with AsyncExitStack() as stack:
        champion = await stack.enter_async_context(ToyServer(says(b'{"score": 0.25}')))
        hook = await stack.enter_async_context(ToyServer(says(b'{"no": 1}', b"500 No")))
        spec.write_text(
            SPEC.format(
                champion=champion.url, challenger=f"http://127.0.0.1:{closed}", hook=f"{hook.url}/in", closed=closed
            )
        )
        async with serving(spec, data, lake, environ, kept) as told:
            front, control = port_of(told, "data"), port_of(told, "control")
            local = (data / "run" / "token").read_text().strip()
            kept.known["the folder's token"] = local

            async def users(count: int) -> None:
                for n in range(count):
                    body = b'{"x": "%b"}' % sent.encode() if n % 3 else sent.encode()
                    await answered(front, post(body, path=b"/alpha", headers=headers % n), kept, "a model's reply")

            await users(40)
            await answered(front, b"NONSENSE %b\r\n\r\n" % sent.encode(), kept, "a refusal")
            await answered(front, post(b"{}", path=b"/elsewhere", headers=headers % 1), kept, "a reply elsewhere")
            kept.keep("the list of processes", arguments())
            outcomes = json.dumps([{"rollout": "alpha", "unit": f"{unit}{n}", "name": "purchase"} for n in range(20)])
            for token in (named, local, kept.new("wrong token")):
                auth = b"Authorization: Bearer %b\r\nContent-Type: application/json\r\n" % token.encode()
                await answered(
                    control, post(outcomes.encode(), path=b"/api/v1/outcomes", headers=auth), kept, "an answer"
                )
                await answered(control, post(sent.encode(), path=b"/api/v1/outcomes", headers=auth), kept, "an answer")
                for act in (b"hold", b"resume", b"nothing"):
                    path = b"/api/v1/rollouts/alpha/" + act
                    await answered(
                        control, post(b'{"reason": "%b"}' % SEEN.encode(), path=path, headers=auth), kept, "an answer"
                    )
                await answered(
                    control, post(b"token=%b" % token.encode(), path=b"/sign-in"), kept, "a refusal to sign in"
                )
            pids = dict(json.loads((data / "run" / "serve.json").read_text())["pids"])
            for name, how in (
                ("gateway-0", signal.SIGSEGV),
                ("console", signal.SIGABRT),
                ("controller", signal.SIGKILL),
            ):
                os.kill(next(pid for child, pid in pids.items() if child.endswith(name)), how)
            await asyncio.sleep(6.0)
            await users(20)
            for page in (
                "/",
                "/rollouts/alpha",
                "/metrics",
                "/healthz",
                "/readyz",
                "/openapi.json",
                "/api/v1/rollouts",
                "/models",
            ):
                with suppress(OSError):
                    found = await asyncio.to_thread(
                        lambda page=page: urllib.request.urlopen(f"http://127.0.0.1:{control}{page}", timeout=30).read()
                    )
                    kept.keep(page, found)
            # The store goes away under them.
            with psycopg.connect(address, autocommit=True) as asking:
                asking.execute("ALTER TABLE counters RENAME TO gone")
                await asyncio.sleep(2.0)
                await users(3)
                asking.execute("ALTER TABLE gone RENAME TO counters")
            await asyncio.sleep(1.5)
        assert len(hook.requests) > 0, "the webhook was tried"
        for command in (
            ["doctor", str(spec), "--data", str(data)],
            ["status", "--data", str(data)],
            ["status", "--data", str(data), "--json"],
            ["explain", "alpha", "--data", str(data)],
            ["notify", "test", str(spec)],
            ["token", "list", "--data", str(data), "--json"],
            ["store", "status", "--data", str(data)],
            ["verify", "alpha", "--data", str(data)],
            ["report", "alpha", "--data", str(data), "-o", str(tmp_path / "dossier.html")],
            ["export", "alpha", "--data", str(data), "-o", str(tmp_path / "exported")],
            ["status", "--data", str(data), "wrong"],
        ):
            ran = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "crossfade.cli.main", *command],
                env=environ,
                capture_output=True,
                timeout=120,
            )
            kept.keep(" ".join(command[:2]), ran.stdout + ran.stderr)
        for broken in (
            "postgresql://nobody:{}@127.0.0.1:1/x",
            "mysql://nobody:{}@h/x",
            "postgresql://a:{}@[::1/x",
            "postgresql://a:{}@h:port/x",
        ):
            environ[VARIABLE] = broken.format(kept.new(f"password in {broken[:12]}"))
            command = [sys.executable, "-m", "crossfade.cli.main", "status", "--data", str(data)]
            ran = await asyncio.to_thread(subprocess.run, command, env=environ, capture_output=True, timeout=120)
            assert ran.returncode, "it could not be reached"
            assert b"Traceback" not in ran.stderr
            kept.keep(f"status with {broken}", ran.stdout + ran.stderr)
    collected(kept, tmp_path, address, data, url)
    told = {where for where, text in kept.said if SEEN.encode() in text}
    assert {"table ledger", "/rollouts/alpha", "dossier.html"} <= told, "what may be told is found"
    assert any(where.startswith("exported/") for where in told)
    assert any("decision" in text.decode("utf-8", "replace") for where, text in kept.said if where.endswith(", read"))
    files = {where for where, _ in kept.said}
    for part in ("gateway-0.log", "console.log", "controller.log", "jsonl"):
        assert any(part in where for where in files), part
    assert kept.found() == []


def collected(kept: Planted, folder: Path, address: str, data: Path, url: str) -> None:
    """All files, the whole database, and all that lies in the object store."""
    own = {data / "run" / "token"}
    files = [path for path in folder.rglob("*") if path.is_file() and path not in own]
    for path in files:
        kept.keep(str(path.relative_to(folder)), path.read_bytes())
        if path.suffix == ".parquet":
            kept.keep(f"{path.name}, read", repr(pq.read_table(path).to_pylist()).encode())
    for path in batches.journals(data):
        connection = batches.connect(path)
        facts = [fact for row in batches.rows(connection, 0, 100_000) for fact in row.facts]
        kept.keep(f"{path.name}, read", repr(facts).encode())
        connection.close()
    assert any("logs" in str(path) for path in files)
    assert any("exported" in str(path) for path in files)
    with psycopg.connect(address) as asking:
        for (table,) in asking.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchall():
            rows = asking.execute(f"SELECT * FROM {table}".encode()).fetchall()
            kept.keep(f"table {table}", repr(rows).encode())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(url).items():
            patch.setenv(name, value)
        place = Place(data)
        for kind in ("exposed", "outcome", "parcels", ""):
            with suppress(Exception):
                for name in place.names(kind):
                    kept.keep(f"{kind}/{name}", place.read(kind, name))
