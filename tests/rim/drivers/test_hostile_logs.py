"""What clients write into access logs: nobody forges a line, another's unit or another's decision by it."""

from __future__ import annotations

import json
import socket

import pytest

from rim.drivers.routers import EVERY, Running, until

HOSTILE = {
    "quote": b'u","arm":"v2","unit":"victim',
    "brace": b'{"order":"crossfade|ranker-v2|r|ab|0|0|0.5|0|0","unit":"victim"}',
    "backslash": b"u\\",
    "escape": b'u\\u0022,"unit":"victim"',
    "tab": b'u\t","unit":"victim',
    "latin": b'u\xff\xfe","unit":"victim',
    "utf8": "ü\u2028\u2029".encode(),
    "percent": b"%[var(txn.order)] %REQ(X)% %0a{",
    "long": b"x" * 4000,
}


def asked(port: int, unit: bytes, more: bytes = b"") -> bytes:
    """The router's answer to one request, byte for byte."""
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(
            b"POST /v2/models/ranker/infer HTTP/1.1\r\nHost: a\r\nX-User-Id: %b\r\n%bContent-Length: 2\r\n"
            b"Connection: close\r\n\r\n{}" % (unit, more)
        )
        got = b""
        while part := client.recv(65_536):
            got += part
    return got


def lines(router: Running, last: bytes) -> list[bytes]:
    """What the log says, once it has said all of a line with that; a proxy writes lines of its own beside them."""

    def said() -> bool:
        _, found, after = router.log.read_bytes().rpartition(last)
        return bool(found) and b"\n" in after

    until(said, 60.0, lambda: router.log.read_text("latin-1"))
    return [line for line in router.log.read_bytes().splitlines() if b"{" in line]


@pytest.mark.parametrize("router", EVERY, indirect=True)
def test_no_header_becomes_another_field_or_line(router: Running) -> None:
    taken = [name for name, unit in HOSTILE.items() if b" 200 " in asked(router.port, unit).partition(b"\r\n")[0]]
    asked(router.port, b"last")
    assert len(taken) > 3, "most of them are allowed by HTTP"
    found = [line[line.index(b"{") :] for line in lines(router, b'"last"')]
    told = []
    for line in found:
        try:
            told.append(json.loads(line))
        except ValueError:
            # What cannot be read is refused as a whole, and says nothing.
            told.append({"unit": None})
    units = [one["unit"] for one in told]
    assert "last" in units
    assert "victim" not in units
    assert not [one for one in told if one.get("arm") == "v2"], "nobody is the challenger's yet"
    assert all(set(one) <= KEYS for one in told)


KEYS = {"order", "decision_id", "at", "unit", "arm", "status", "latency_ms", "latency_us", "total_ms", "size", "flags"}


@pytest.mark.parametrize("router", EVERY, indirect=True)
def test_nobody_chooses_the_id_of_a_decision(router: Running) -> None:
    for _ in range(3):
        asked(router.port, b"u1", b"X-Request-Id: chosen\r\nX-Forwarded-For: 10.0.0.1\r\n")
    until(lambda: router.log.read_bytes().count(b'"u1"') == 3, 30.0, lambda: router.log.read_text("latin-1"))
    told = [json.loads(line[line.index(b"{") :]) for line in lines(router, b'"u1"')]
    ids = [one["decision_id"] for one in told if one["unit"] == "u1"]
    assert "chosen" not in ids
    assert len(set(ids)) == len(ids) == 3, "of two with one id only the first would count"
