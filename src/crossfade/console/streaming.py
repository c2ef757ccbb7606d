"""`/live`: what changes on a page, told as server-sent events while somebody looks.

A page is drawn once however many look at it, and each client has only a number: where it is. Nobody is told more often
than five times a second, and who reads slowly is told less often, never later.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from crossfade.console.access import Access
from crossfade.console.frame import parts_of, version_of
from crossfade.console.problems import Refused
from crossfade.rim.store import StoreError, UnknownRollout
from crossfade.view.words import moment

log = logging.getLogger("crossfade.console")

APART = 0.2
"""Seconds between two events for one client, at least."""

LOOK = 0.25
"""Seconds between two looks at whether a spec or a position has changed."""

DRAW = 1.0
"""Seconds after which a page that somebody looks at is drawn anew: figures change without a move."""

SHARE = 4
"""Drawing rests this many times as long as it took: it never takes more than a fifth of a core."""

BEAT = 15.0
"""Seconds of silence after which a line is sent that says nothing, so that a dead client is noticed."""

MOST = 1000
"""Clients at a time."""

Draw = Callable[[str, float], str | None]
"""The page at a path at a time; None where it is not one of those that are renewed."""


@dataclass(slots=True)
class _Page:
    """One page that somebody looks at."""

    clients: int = 0
    version: str = ""
    before: str | None = None
    """The version from which `change` leads to the present one; None where none does."""
    parts: Mapping[str, str] = field(default_factory=dict)
    change: bytes = b""
    whole: bytes = b""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    drawing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Live:
    """The pages that are looked at now. All of it belongs to one event loop."""

    def __init__(self, draw: Draw, version: Callable[[], int]) -> None:
        """`version` changes with every change of a spec or a position."""
        self._draw, self._version = draw, version
        self._pages: dict[str, _Page] = {}
        self._task: asyncio.Task[None] | None = None
        self._leaving = False

    @property
    def clients(self) -> int:
        """How many look."""
        return sum(page.clients for page in self._pages.values())

    def leave(self) -> None:
        """End every stream; clients come back by themselves."""
        self._leaving = True
        for page in self._pages.values():
            page.news.set()

    async def stream(self, path: str, seen: str) -> AsyncIterator[bytes]:
        """The events for one client, which has seen a version. Raises Refused before the first."""
        page = self._pages.setdefault(path, _Page())
        page.clients += 1
        try:
            async with page.drawing:
                if not page.version:
                    await self._drawn(path, page)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._watch())
            yield b"retry: 2000\n\n"
            while not self._leaving:
                news = page.news
                if page.version != seen:
                    yield page.change if seen == page.before else page.whole
                    seen = page.version
                    await asyncio.sleep(APART)
                    continue
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), BEAT)
                    continue
                yield b": still here\n\n"
        finally:
            page.clients -= 1
            if not page.clients:
                self._pages.pop(path, None)

    async def _watch(self) -> None:
        """Draw what somebody looks at, as long as somebody does."""
        known, drawn = -1, time.monotonic()
        while self._pages and not self._leaving:
            began = time.monotonic()
            with contextlib.suppress(StoreError):
                now = await run_in_threadpool(self._version)
                if now != known or began - drawn >= DRAW:
                    known, drawn = now, began
                    for path, page in list(self._pages.items()):
                        await self._anew(path, page)
            await asyncio.sleep(max(LOOK, SHARE * (time.monotonic() - began)))

    async def _anew(self, path: str, page: _Page) -> None:
        try:
            async with page.drawing:
                await self._drawn(path, page)
        except (StoreError, Refused) as error:
            log.warning("%s cannot be drawn: %s", path, error)
        except Exception:
            log.exception("%s cannot be drawn", path)

    async def _drawn(self, path: str, page: _Page) -> None:
        now = time.time()
        html = await run_in_threadpool(self._draw, path, now)
        if html is None:
            raise Refused(404, f"{path} is not renewed while somebody looks", "read it anew")
        parts = await run_in_threadpool(parts_of, html)
        version = version_of(parts)
        if version == page.version:
            return
        page.whole = _event(version, now, parts, whole=True)
        if page.version and parts.keys() == page.parts.keys():
            page.before = page.version
            page.change = _event(version, now, {key: part for key, part in parts.items() if page.parts[key] != part})
        else:
            page.before, page.change = None, b""
        page.version, page.parts = version, parts
        page.news.set()
        page.news = asyncio.Event()


def router(live: Live, access: Access) -> APIRouter:
    """The endpoint, which only pages use."""

    async def may(request: Request) -> bool:
        try:
            await run_in_threadpool(access.to_read, request)
        except Refused:
            return False
        return True

    routes = APIRouter(include_in_schema=False)

    @routes.get("/live")
    async def stream(request: Request, page: str = "/", seen: str = "") -> StreamingResponse:
        if live.clients >= MOST:
            raise Refused(503, f"{MOST} pages are looked at already", "reload this one later", {"retry-after": "30"})
        events = live.stream(page, request.headers.get("last-event-id", seen))
        # Whatever refuses does so before there is a first line.
        first = await anext(events)
        return StreamingResponse(_after(first, events, partial(may, request)), media_type="text/event-stream")

    return routes


async def _after(
    first: bytes, events: AsyncIterator[bytes], may: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    try:
        yield first
        async for event in events:
            # Whose token was taken away since is told nothing more.
            if not await may():
                return
            yield event
    finally:
        await events.aclose()  # type: ignore[attr-defined]


def drawing(*pages: Draw) -> Draw:
    """Draws whatever one of several kinds of pages has at a path."""

    def draw(path: str, now: float) -> str | None:
        try:
            return next((html for one in pages if (html := one(path, now)) is not None), None)
        except UnknownRollout:
            return None

    return draw


def _event(version: str, now: float, parts: Mapping[str, str], *, whole: bool = False) -> bytes:
    said = {"at": f"{moment(now)} UTC", "whole": whole, "parts": parts}
    told = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return f"id: {version}\nevent: parts\ndata: {told}\n\n".encode()
