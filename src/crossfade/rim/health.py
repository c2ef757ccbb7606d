"""How challengers fare on this worker: what users' requests and probes tell, and who is left out because of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from crossfade.facts import Exposed
from crossfade.live.exchange.examine import LIMIT, flaw
from crossfade.live.exchange.messages import Head
from crossfade.live.health import EXPOSING, Outlier, told
from crossfade.live.protocols import WIRES
from crossfade.live.routes import RouteTable
from crossfade.rim.endpoints import endpoint
from crossfade.rim.http_text import request_head
from crossfade.rim.upstream import Pool
from crossfade.spec.model import Arm, Protocol

log = logging.getLogger("crossfade.gateway")

_LINES: Final = b"User-Agent: crossfade-probe\r\nAccept: application/json\r\n"


@dataclass(slots=True)
class _Watched:
    arm: Arm
    protocol: Protocol
    outlier: Outlier
    task: asyncio.Task[None] | None = field(default=None)


class Health:
    """Every challenger of the routes in force. Belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> None:
        self._loop = loop
        self._now = now
        self._pool = Pool(loop)
        self._watched: dict[tuple[str, str], _Watched] = {}

    @property
    def out(self) -> int:
        """How many are left out now."""
        return sum(one.outlier.out for one in self._watched.values())

    def adopt(self, table: RouteTable) -> None:
        """Watch the challengers of these routes. One that is as it was keeps its history."""
        before, self._watched = self._watched, {}
        for route in table.routes:
            for arm in route.challengers:
                key = (route.rollout, arm.name)
                one = before.pop(key, None)
                if one is None or one.arm != arm:
                    _stop(one)
                    outlier = Outlier(probed=arm.probe is not None, trial_seconds=min(arm.timeout, route.deadline))
                    one = _Watched(arm, route.protocol, outlier)
                self._watched[key] = one
                if arm.probe is None or route.mode not in EXPOSING:
                    _stop(one)
                elif one.task is None:
                    one.task = self._loop.create_task(self._probe(key, one))
        for gone in before.values():
            _stop(gone)

    def admits(self, rollout: str, arm: str) -> bool:
        """Whether this request may be sent to the challenger it was assigned to."""
        one = self._watched.get((rollout, arm))
        return one is None or not one.outlier.out or one.outlier.admits(self._now())

    def told(self, fact: Exposed) -> None:
        """Learn from a request."""
        one = self._watched.get((fact.rollout, fact.arm))
        if one is not None:
            well = told(fact)
            if well is not None:
                self._note(fact.rollout, one, "" if well else fact.reason)

    def close(self) -> None:
        """Probe no more."""
        for one in self._watched.values():
            _stop(one)
        self._pool.close()

    def _note(self, rollout: str, one: _Watched, failure: str) -> None:
        now, outlier = self._now(), one.outlier
        if not failure:
            if outlier.succeeded(now):
                log.warning("%s: %s answers again and gets its users back", rollout, one.arm.name)
        elif outlier.failed(now):
            log.warning(
                "%s: %s is left out for %g s (%s); the champion serves its users",
                rollout,
                one.arm.name,
                outlier.pause,
                failure,
            )

    async def _probe(self, key: tuple[str, str], one: _Watched) -> None:
        assert one.arm.probe is not None
        every = one.arm.probe.every
        while True:
            began = self._now()
            try:
                failure = await self._ask(one, every)
            except Exception as error:
                log.exception("a probe of %s broke", one.arm.name)
                failure = type(error).__name__
            self._note(key[0], one, failure and f"probe: {failure}")
            await asyncio.sleep(max(0.001, every - (self._now() - began)))

    async def _ask(self, one: _Watched, timeout: float) -> str:
        """Why the arm is not well; empty when it is."""
        probe, where = one.arm.probe, endpoint(one.arm.url)
        assert probe is not None
        body = probe.body.encode()
        lines = _LINES + (b"Content-Type: application/json\r\n" if body else b"")
        method = "POST" if body else "GET"
        head = request_head(method, probe.path.encode(), where, lines, len(body) if body else None)
        reply = _Reply(self._loop)
        asking = self._pool.ask(reply, 0, where, (head, body) if body else (head,))
        try:
            async with asyncio.timeout(timeout):
                failure = await reply.done
        except TimeoutError:
            failure = "timeout"
        finally:
            if not reply.ended:
                asking.cancel()
        if failure:
            return failure
        assert reply.head is not None
        if not 200 <= reply.head.status < 300:
            return f"status {reply.head.status}"
        wire = WIRES.get(one.protocol)
        if body and wire is not None:
            found = flaw(wire, reply.head, b"".join(reply.parts))
            return "" if found is None else found.reason
        return ""


class _Reply:
    """Gathers one probe's reply."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[str] = loop.create_future()
        self.head: Head | None = None
        self.parts: list[bytes] = []
        self.ended = False
        self._size = 0

    def arrived(self, call: int, head: Head | None, body: bytes, ended: bool) -> None:
        """Some of the reply."""
        self.head = head or self.head
        self.parts.append(body)
        self._size += len(body)
        self.ended = self.ended or ended
        if ended:
            self._settle("")
        elif self._size > LIMIT:
            self._settle("large")

    def failed(self, call: int, kind: str) -> None:
        """No reply."""
        self.ended = True
        self._settle(kind)

    def _settle(self, failure: str) -> None:
        with suppress(asyncio.InvalidStateError):
            self.done.set_result(failure)


def _stop(one: _Watched | None) -> None:
    if one is not None and one.task is not None:
        one.task.cancel()
        one.task = None
