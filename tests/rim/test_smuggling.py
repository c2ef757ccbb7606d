"""Requests that could be read in two ways: what becomes of each here, and that nginx is nowhere stricter."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
import yaml

from crossfade.rim.limits import Limits

from .gateway_kit import gate, route
from .nginx_kit import MISSING, NGINX, nginx

CASES: Mapping[str, Mapping[str, Any]] = yaml.safe_load((Path(__file__).parent / "smuggling.yaml").read_text())
REFUSED = [name for name, case in CASES.items() if "passes" not in case]
PASSED = [name for name, case in CASES.items() if "passes" in case]

_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\x00-\x08\x0a-\x1f\x7f]*")
_REQUEST_LINE = re.compile(rb"([A-Z-]+) ([\x21-\x7e]+) HTTP/1\.[01]")


def fill(name: str, text: str) -> bytes:
    data = text.replace("CASE", name).replace("BIG", "b" * 70_000).encode("latin-1")
    return data.replace(b"LENGTH", b"%d" % len(data.partition(b"\r\n\r\n")[2]))


def sent(name: str) -> bytes:
    follow = f"GET /{name}/smuggled HTTP/1.1\r\nHost: a\r\n\r\n" if name in REFUSED else ""
    return fill(name, CASES[name]["send"]) + follow.encode()


@dataclass
class Logged:
    """One request as a reader without any leniency finds it on the wire."""

    method: str
    target: str
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.target}|{self.body.decode('latin-1')}"


@dataclass
class StrictModel:
    """A server that reads with rules of its own, not with the gateway's parser, and keeps a log."""

    log: list[Logged] = field(default_factory=list)
    odd: list[bytes] = field(default_factory=list)
    """Heads that are not exactly as a careful client writes them."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await self._one(head, reader)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            writer.close()

    async def _one(self, head: bytes, reader: asyncio.StreamReader) -> None:
        first, *lines = head[:-4].split(b"\r\n")
        request = _REQUEST_LINE.fullmatch(first)
        names = [line.partition(b":")[0].lower() for line in lines]
        lengths = [line.partition(b": ")[2] for line in lines if line.lower().startswith(b"content-length:")]
        good = (
            request is not None
            and all(_LINE.fullmatch(line) for line in lines)
            and names.count(b"host") == 1
            and len(lengths) <= 1
            and all(length.isdigit() for length in lengths)
            and b"transfer-encoding" not in names
        )
        if not good or request is None:
            self.odd.append(head)
            return
        body = await reader.readexactly(int(lengths[0])) if lengths else b""
        self.log.append(Logged(request[1].decode(), request[2].decode(), body))

    def of(self, name: str) -> list[str]:
        return [str(one) for one in self.log if re.search(rf"/{re.escape(name)}(?![a-z0-9.-])", one.target)]


@dataclass
class Seen:
    """What one proxy did with the whole corpus."""

    replies: dict[str, bytes]
    model: StrictModel


async def converse(port: int, data: bytes) -> bytes:
    """Send, and read until the proxy closes or has nothing to say for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    got = b""
    try:
        while True:
            async with asyncio.timeout(3.0):
                more = await reader.read(65536)
            if not more:
                return got
            got += more
    except (TimeoutError, OSError):
        return got + b"<open>"
    finally:
        writer.close()


async def _run(proxy: Any) -> Seen:
    model = StrictModel()
    server = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[1]
    async with proxy(upstream) as port:
        replies = await asyncio.gather(*(converse(port, sent(name)) for name in CASES))
    server.close()
    return Seen(dict(zip(CASES, replies, strict=True)), model)


def _whole(proxy: Any) -> Seen:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(proxy))


class _Ours:
    def __init__(self, upstream: int) -> None:
        url = f"http://127.0.0.1:{upstream}"
        self._gate = gate(
            route(url, url, prefix="/"), limits=Limits(idle_seconds=0.6, request_seconds=0.6, linger_seconds=0.1)
        )

    async def __aenter__(self) -> int:
        return (await self._gate.__aenter__()).port

    async def __aexit__(self, *_: object) -> None:
        await self._gate.__aexit__(None, None, None)


@pytest.fixture(scope="module")
def ours() -> Seen:
    """The corpus through the gateway."""
    return _whole(_Ours)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """The corpus through nginx."""
    if NGINX is None:
        pytest.skip(MISSING)

    class Theirs:
        def __init__(self, upstream: int) -> None:
            self._nginx = nginx(tmp_path_factory.mktemp("nginx"), upstream)

        async def __aenter__(self) -> int:
            return self._nginx.__enter__()

        async def __aexit__(self, *_: object) -> None:
            self._nginx.__exit__(None, None, None)

    return _whole(Theirs)


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(ours: Seen, name: str) -> None:
    head, _, body = ours.replies[name].partition(b"\r\n\r\n")
    status = CASES[name].get("status", 400)
    assert head.startswith(b"HTTP/1.1 %d " % status), ours.replies[name]
    assert b"\r\nConnection: close" in head
    assert set(json.loads(body)) == {"error", "what_to_do"}, "one answer, then the connection closes"
    assert ours.model.of(name) == []


@pytest.mark.parametrize("name", PASSED)
def test_what_is_unusual_but_clear_is_passed_on_once(ours: Seen, name: str) -> None:
    assert ours.model.of(name) == [fill(name, CASES[name]["passes"]).decode("latin-1")]
    assert ours.replies[name].count(b"HTTP/1.1 200 OK") == 1


def test_the_model_gets_nothing_odd_and_nothing_else(ours: Seen) -> None:
    assert ours.model.odd == []
    assert len(ours.model.log) == len(PASSED)


@pytest.mark.parametrize("name", CASES)
def test_nginx_is_not_stricter(ours: Seen, theirs: Seen, name: str) -> None:
    here, there = ours.model.of(name), theirs.model.of(name)
    if "stricter" in CASES[name]:
        assert there == [], "the exception is not needed any more"
        return
    assert len(here) <= len(there), f"nginx forwards {there} and answers {theirs.replies[name][:80]!r}"
    if here:
        assert here[0] == there[0]


def test_nginx_was_asked_at_all(theirs: Seen) -> None:
    assert len(theirs.model.log) >= len(PASSED) - 1
    assert sum(reply.startswith(b"HTTP/1.1 400") for reply in theirs.replies.values()) > 30
