"""Both parser boundaries of the data port with transports made of lists: any bytes, cut anywhere, and what must hold.

No input may raise; what is passed on is exactly what a careful client would have written; and where the bytes were cut
into reads changes nothing.
"""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import yaml

from crossfade.live.exchange.messages import Head
from crossfade.rim.endpoints import endpoint
from crossfade.rim.http_request import Request
from crossfade.rim.http_server import ClientConnection
from crossfade.rim.limits import Limits, Refusal
from crossfade.rim.upstream_connection import Asking, Connection
from crossfade.spec.model import Arm

ARM = Arm(name="m", url="http://127.0.0.1:1")
REQUEST_LINE = re.compile(rb"[A-Z-]+ /[\x21-\x7e\x80-\xff]* HTTP/1\.1")
HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\x00-\x08\x0a-\x1f\x7f]*")
STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
SEEDS = Path(__file__).parent.parent / "rim" / "smuggling.yaml"


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def writelines(self, data: Any) -> None:
        self.written.extend(data)

    def close(self) -> None:
        self.closed = True

    abort = write_eof = close

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


class Client:
    """A gateway that answers every request at once and remembers it."""

    draining = False
    access = None

    def refused(self, refusal: Refusal) -> None:
        pass

    def __init__(self) -> None:
        self.limits = Limits(stream_bytes=300_000, linger_seconds=0.0)
        self.held = self.in_flight = 0
        self.asked: list[tuple[Any, ...]] = []

    def now(self) -> float:
        return 0.0

    def room(self, target: bytes, size: int) -> bool:
        return size <= self.limits.stream_bytes

    def joined(self, connection: ClientConnection) -> Refusal | None:
        return None

    def parted(self, connection: ClientConnection) -> None:
        pass

    def turn(self, connection: ClientConnection, request: Request) -> Any:
        self.asked.append((request.method, request.target, tuple(request.headers), request.body, request.modern))
        canonical(request)
        return _Now(connection)


class _Now:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def begin(self) -> None:
        self._connection.reply(Head(200, b"OK", ((b"content-length", b"2"),)), (), b"ok", True)

    def gone(self) -> None:
        pass

    hold = unhold = gone


def canonical(request: Request) -> None:
    """What a model would get can be read in one way only."""
    data = b"".join(request.bytes_for(ARM))
    head, found, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert found, data
    assert REQUEST_LINE.fullmatch(first), first
    for line in lines:
        assert HEADER.fullmatch(line), line
    names = [line.partition(b":")[0].lower() for line in lines]
    assert names.count(b"host") == 1, names
    assert b"transfer-encoding" not in names
    lengths = [line.partition(b": ")[2] for line in lines if line.lower().startswith(b"content-length:")]
    assert [int(length) for length in lengths] == ([len(body)] if request.framed else []), lengths
    assert body == request.body
    # Whatever else is computed of a request must stand any bytes too.
    assert isinstance(request.path, str)
    assert request.digest()
    request.lowered()
    request.document()


async def requests(reads: list[bytes]) -> tuple[list[tuple[Any, ...]], list[bytes], bool]:
    """The requests found in these reads, the answers' statuses, and whether the connection was closed."""
    host, wire = Client(), Wire()
    connection = ClientConnection(host)
    connection.connection_made(wire)  # type: ignore[arg-type]
    for data in reads:
        if wire.closed:
            break
        connection.data_received(data)
        # The gateway takes pipelined requests one turn of the loop at a time.
        while connection.busy:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    connection.connection_lost(None)
    assert host.held == host.in_flight == 0
    # `100 Continue` depends on whether the body is there already, and the words of a refusal on what was met first.
    statuses = [status for status in STATUS.findall(b"".join(wire.written)) if status != b"100"]
    return host.asked, statuses, wire.closed


class Sink:
    """Whoever made a call."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.body = b""
        self.end = ""

    def arrived(self, call: int, head: Head | None, body: bytes, ended: bool) -> None:
        assert not self.end, "nothing may follow the end"
        assert (self.head is None) == (head is not None), "the head comes first, and once"
        self.head = head or self.head
        self.body += body
        self.end = "ended" if ended else ""

    def failed(self, call: int, kind: str) -> None:
        assert not self.end
        self.end = kind


class Pool:
    """Keeps count of what is offered for keeping."""

    def __init__(self) -> None:
        self.kept = 0

    def opened(self, connection: Connection) -> None:
        pass

    lost = opened

    def keep(self, connection: Connection) -> None:
        self.kept += 1

    def retry(self, asking: Asking) -> None:
        raise AssertionError("a fresh connection is never stale")


def reply(reads: list[bytes], *, bodyless: bool) -> tuple[Any, ...]:
    """The reply found in these reads."""
    pool, wire, sink = Pool(), Wire(), Sink()
    where = endpoint(ARM.url)
    connection = Connection(pool, where)
    connection.connection_made(wire)  # type: ignore[arg-type]
    asking = Asking(sink, 0, where, (b"GET / HTTP/1.1\r\n\r\n",), bodyless, None)
    connection.start(asking)
    for data in reads:
        if wire.closed:
            break
        connection.data_received(data)
    if not wire.closed:
        connection.eof_received()
    connection.connection_lost(None)
    assert sink.end, "every call comes to an end"
    whole = sink.end == "ended"
    # Of a reply that was cut nobody relies on how much came; what follows a whole one is not ours.
    return (whole, sink.head, sink.body) if whole else (whole,)


def cut(data: bytes, where: random.Random) -> list[bytes]:
    """The same bytes in several reads."""
    places = sorted({where.randrange(len(data) + 1) for _ in range(where.randrange(1, 8))})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]


async def one(data: bytes) -> None:
    """One input: the first two bytes say what it is and how it is cut."""
    if len(data) < 3:
        return
    kind, seed, data = data[0], data[1], data[2:]
    pieces = cut(data, random.Random(seed))
    if kind % 2:
        assert reply([data], bodyless=kind % 4 == 1) == reply(pieces, bodyless=kind % 4 == 1)
    else:
        whole, cut_up = await requests([data]), await requests(pieces)
        # A line of RTSP is refused wherever it is met, which may be while an earlier request is read.
        assert whole == cut_up or b" RTSP/" in data


def seeds() -> list[bytes]:
    """Something to begin with: the smuggling corpus, and replies of all sorts."""
    cases = yaml.safe_load(SEEDS.read_text())
    asked = [b"\0\1" + case["send"].replace("BIG", "b" * 300).encode("latin-1") for case in cases.values()]
    given = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nto the end",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nxx",
        b"HTTP/1.1 199 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
    ]
    return asked + [bytes([kind, 2]) + one for one in given for kind in (1, 3)]


WORDS = (
    *(b"\r\n", b"\n", b"\r", b"\0", b"%", b"Content-Length: ", b"Transfer-Encoding: chunked", b"Host: a", b" HTTP/1.1"),
    *(b"Connection: Upgrade", b"Upgrade: h2c", b"Expect: 100-continue", b"Connection: close", b"GET / ", b"0\r\n\r\n"),
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, dropped, doubled, or a word put in."""
    out = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(5):
            case 0:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del out[at : at + chance.randrange(1, 12)]
            case 2:
                out[at:at] = out[at : at + chance.randrange(1, 60)]
            case 3:
                out[at:at] = chance.choice(WORDS)
            case _:
                out[at:at] = data[2 + chance.randrange(len(data)) :]
    return bytes(out)
