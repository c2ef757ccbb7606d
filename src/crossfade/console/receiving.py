"""`POST /api/v1/outcomes`: take a body in, bounded, and answer once what is good in it is on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from crossfade.console import outcomes
from crossfade.console.access import Access, Caller, bearer
from crossfade.console.allowance import BURST_SECONDS, MOST_AT_ONCE, Allowance
from crossfade.console.guard import browses
from crossfade.console.known import Known
from crossfade.console.models import OutcomeIn, Problem, Taken
from crossfade.console.problems import Refused
from crossfade.rim.control_options import OPEN, ControlOptions
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.pseudonym_keys import Keys
from crossfade.rim.store import Store
from crossfade.rim.tokens import REPORT

LARGEST_BODY = 8 * 1024 * 1024
"""Bytes in one body of outcomes."""

MOST_DISCARDED = 256 * 1024 * 1024
"""Bytes of too large a body that are read and thrown away before the connection is closed on them."""

DISCARD_SECONDS = 30.0

JSON = ("application/json",)
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines")

EXAMPLES = {
    "by decision": {
        "summary": "joined by the decision id of the reply",
        "value": [
            {
                "outcome_id": "order-7731",
                "decision_id": "0190b2c4-7a6e-7c1f-9b7e-2f6f3d1a9c55",
                "name": "purchase",
                "value": 1,
            }
        ],
    },
    "by unit": {
        "summary": "joined by unit",
        "value": [{"rollout": "ranker-v2", "unit": "user-42", "name": "revenue", "value": 19.9}],
    },
    "correction": {
        "summary": "replaces the value of an outcome that was reported before",
        "value": [
            {"rollout": "ranker-v2", "unit": "user-42", "name": "revenue", "value": 15.0, "corrects": "order-7731"}
        ],
    },
}

ITEM = OutcomeIn.model_json_schema()

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [{"type": "array", "items": ITEM}, ITEM]},
                "examples": EXAMPLES,
            },
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "One outcome a line."},
                "example": '{"decision_id": "0190b2c4-7a6e-7c1f-9b7e-2f6f3d1a9c55", "name": "click", "item": "d9"}\n',
            },
        },
    }
}


BODY_SECONDS = 60.0
"""In which a body has to be whole."""

PATIENCE = 20.0
"""Seconds for which exposures and events wait for their turn: serving platforms do not send them again."""

APART = 0.02

NETWORK = 64
"""Bits of an IPv6 address that tell networks apart."""


class Tally:
    """What has become of outcomes since this process began; read by /metrics."""

    def __init__(self) -> None:
        self.accepted = self.duplicates = self.rejected = self.limited = 0
        """The last: reports of any kind that had to wait, not what is in them."""


class Door:
    """Takes bodies of reports in. What one reporter may send holds for outcomes, exposures and events together."""

    def __init__(self, tally: Tally, options: ControlOptions = OPEN) -> None:
        self._tally, self.options = tally, options
        self._allowance = Allowance(options.outcome_rate)

    async def take(self, request: Request, who: str, *, patience: float = 0.0) -> bytes:
        """A whole body. `patience`: seconds for which it waits while others of theirs are read, for who does not send
        again. Raises Refused."""
        until = time.monotonic() + patience
        while self._allowance.busy(who) and time.monotonic() < until:
            await asyncio.sleep(APART)
        pause = self._allowance.wait(who, time.monotonic())
        if pause:
            self._tally.limited += 1
            # Its body is thrown away as it comes: who sends too much is not to cost more than the telling.
            await _discard(request, LARGEST_BODY)
            raise Refused(
                429,
                f"more than one reporter may send ({_allowed(self.options)})",
                f"send the same report again in {pause} s, as retry-after says; nothing of it was kept",
                {"retry-after": str(pause)},
            )
        self._allowance.begin(who)
        try:
            return await body_of(request)
        finally:
            self._allowance.end(who)

    def spend(self, who: str, items: int) -> None:
        """So many items were in it, good or bad."""
        self._allowance.spend(who, items, time.monotonic())


def router(store: Store, inbox: OutcomeInbox, tally: Tally, access: Access, door: Door) -> APIRouter:
    """The endpoint, over a store that knows the rollouts' names and an inbox that keeps outcomes."""
    options = door.options
    routes = APIRouter(tags=["outcomes"])
    keys, there = Keys(store.data), Known(store)

    @routes.post(
        "/api/v1/outcomes",
        status_code=202,
        response_model=Taken,
        openapi_extra=BODY,
        responses={
            400: {"model": Problem, "description": "The body broke off."},
            401: {"model": Problem, "description": "Outcomes take a token here, and this is none."},
            403: {"model": Problem, "description": "The token may not report outcomes."},
            408: {"model": Problem, "description": "The body took too long to arrive."},
            413: {
                "model": Problem,
                "description": f"More than {LARGEST_BODY} bytes, or than {outcomes.MOST_ITEMS} items.",
            },
            415: {"model": Problem, "description": "The content type is neither JSON nor NDJSON."},
            422: {"model": Problem, "description": "The body as a whole cannot be read."},
            429: {"model": Problem, "description": "More than this reporter may send; retry-after says when it may."},
            503: {"model": Problem, "description": "It could not be written to the disk; nothing was kept."},
        },
        summary="Report outcomes",
    )
    async def report(request: Request) -> JSONResponse:
        """Keep outcomes. A repeat, by `outcome_id`, is counted as a duplicate and changes nothing, so a batch whose
        answer was lost can be sent again. An id that comes back with another value, name or owner is rejected: what was
        reported first stands. A value that was wrong is put right by an outcome that `corrects` it. Items that are
        wrong are listed and cost only themselves."""
        lines = is_lines(request.headers.get("content-type", ""))
        who = await run_in_threadpool(_reporter, request, access, options)
        body = await door.take(request, who)
        known = await run_in_threadpool(there.rollouts)

        def recorded(rollout: str, unit: str) -> str:
            return keys.recorded(known[rollout], unit)

        try:
            found = await run_in_threadpool(
                outcomes.read,
                body,
                lines=lines,
                now=time.time(),
                known=known,
                recorded=recorded,
                # Who may not read is not told what there is to be read.
                hints=not access.asks(request.headers),
            )
        except outcomes.TooMany as error:
            raise Refused(413, str(error), "send it in smaller batches") from error
        except outcomes.Unreadable as error:
            raise Refused(422, str(error), "send a JSON array of outcomes, or one a line as NDJSON") from error
        door.spend(who, len(found.outcomes) + len(found.rejected))
        taken = await run_in_threadpool(inbox.accept, found.outcomes)
        tally.accepted += taken.accepted
        tally.duplicates += taken.duplicates
        rejected = found.refused(taken.conflicts)
        tally.rejected += len(rejected)
        answer = {"accepted": taken.accepted, "duplicates": taken.duplicates, "rejected": rejected}
        return JSONResponse(answer, 202)

    return routes


def _reporter(request: Request, access: Access, options: ControlOptions) -> str:
    """Whose report it is: by the token, else by the address. Raises Refused."""
    if access.asks(request.headers) and access.private and not options.outcome_token and browses(request.headers):
        # A page from elsewhere, whose name leads here, would pass for one of ours.
        access.check(bearer(request.headers), REPORT)
    if not (options.outcome_rate or options.outcome_token):
        return _address(request)
    secret = bearer(request.headers)
    if not options.outcome_token and (secret is None or not access.knows(secret)):
        return _address(request)
    return named(access.check(secret, REPORT))


def named(caller: Caller) -> str:
    """Who reports, by their token."""
    return f"token {caller.name}" if caller.name else "the data folder's token"


def _address(request: Request) -> str:
    """The address; of version 6 the network, since each client has as many addresses of its own as it likes."""
    host = request.client.host if request.client else ""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host or "nowhere"
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, NETWORK), strict=False))


def _allowed(options: ControlOptions) -> str:
    rate = f"{options.outcome_rate:g} a second, after a burst of {BURST_SECONDS:g} s" if options.outcome_rate else ""
    return rate or f"{MOST_AT_ONCE} reports at a time"


def is_lines(content_type: str) -> bool:
    """Whether the body is NDJSON. Other types are refused: a browser could send those from any page unasked."""
    kind = content_type.split(";")[0].strip().lower()
    if kind in LINES:
        return True
    if kind in JSON:
        return False
    raise Refused(
        415,
        f"the content type is {kind or 'missing'}; allowed: application/json, application/x-ndjson",
        "say which it is, as with curl -H 'content-type: application/json'",
    )


async def body_of(request: Request) -> bytes:
    """The body, once it is whole. Raises Refused for what is too large or too slow."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _body(request)
    except TimeoutError as error:
        said = f"the body was not whole after {BODY_SECONDS:g} s"
        raise Refused(408, said, "send it in one go, or in smaller batches") from error


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    chunks: list[bytes] = []
    size = 0
    if declared.isdigit() and int(declared) > LARGEST_BODY:
        # Who waits to be told to go on need not send it at all.
        if "expect" not in request.headers:
            await _discard(request, MOST_DISCARDED)
        raise _too_large()
    stream = request.stream()
    async for chunk in stream:
        size += len(chunk)
        if size > LARGEST_BODY:
            chunks.clear()
            await _discard(request, MOST_DISCARDED, stream)
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


async def _discard(request: Request, most: int, stream: AsyncIterator[bytes] | None = None) -> None:
    """Let what is too large arrive before it is refused: closing on a client that is still sending makes its kernel
    throw the answer away, and leaves it with a broken connection in place of a reason. In reason: not for ever."""
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            async for chunk in stream if stream is not None else request.stream():
                size += len(chunk)
                if size > most:
                    return


def _too_large() -> Refused:
    return Refused(
        413,
        f"the body is larger than {LARGEST_BODY} bytes (8 MiB), the most that is taken at once",
        "send it in smaller batches",
    )
