"""Models that mean harm, or merely do it: what a hidden one sends costs nobody who waits for the champion."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from crossfade.facts import Compared
from crossfade.live.exchange.messages import Head
from crossfade.live.model_names import Restoring

from .gateway_kit import ask, gate, post, route
from .toy_server import ToyServer, says

GZIPPED = b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n"

BOMB = gzip.compress(b'{"a": [' + b",".join([b"[]"] * 5_000_000) + b"]}", 9)
"""Fifteen megabytes in as many kilobytes: as many small things as a document of that size can hold."""


@asynccontextmanager
async def stalls() -> AsyncIterator[list[float]]:
    """The longest that the event loop did not turn, in seconds."""
    longest = [0.0]

    async def watch() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.002)
            now = time.monotonic()
            longest[0], last = max(longest[0], now - last), now

    watching = asyncio.create_task(watch())
    try:
        yield longest
    finally:
        watching.cancel()


async def test_a_bomb_from_a_hidden_model_stalls_nobody() -> None:
    async with (
        ToyServer(says(b'{"a": 1}')) as v1,
        ToyServer(says(BOMB, headers=GZIPPED)) as v2,
        gate(route(v1.url, v2.url, mode="shadow", mirror=1.0)) as gw,
        stalls() as longest,
    ):
        assert (await ask(gw.port, post())).body == b'{"a": 1}'
        (compared,) = await gw.kept.wait(Compared, 1, 30.0)
    assert not compared.challenger_failed, "nobody looked whether it is usable"
    assert longest[0] < 0.5


async def test_a_bomb_that_a_user_gets_is_passed_on_unread() -> None:
    async with (
        ToyServer(says(b'{"a": 1}')) as v1,
        ToyServer(says(BOMB, headers=GZIPPED)) as v2,
        gate(route(v1.url, v2.url, mode="canary", weight=1.0)) as gw,
        stalls() as longest,
    ):
        answer = await ask(gw.port, post())
        (exposed,) = await gw.exposed()
    assert answer.body == BOMB
    assert exposed.served_by == "v2"
    assert not exposed.failed
    assert longest[0] < 0.5


def test_a_reply_that_comes_in_crumbs_is_not_looked_through_again_and_again() -> None:
    restoring, began = Restoring(b"model_name", b'"public"'), time.monotonic()
    assert restoring.take(Head(200, b"OK", ((b"Content-Type", b"application/json"),)), b"[" * 100, False) is None
    for _ in range(300_000 // 256):
        if restoring.take(None, b"[]" * 128, False) is not None:
            break
    assert time.monotonic() - began < 3.0
