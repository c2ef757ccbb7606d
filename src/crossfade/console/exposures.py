"""`POST /api/v1/exposures`: take in what a router or a program says it served, and answer once it is on the disk.

Whoever says this decides what rollouts are judged by, so that it always takes a token.
"""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from crossfade.console import receiving
from crossfade.console.access import Access, Caller
from crossfade.console.events import Events
from crossfade.console.models import Problem, Taken
from crossfade.console.problems import Refused
from crossfade.rim.exposures import reading
from crossfade.rim.tokens import REPORT

EXAMPLE = {
    "decision_id": "5a9c55b7-7c1f-4b7e-9b7e-0190b2c47a6e",
    "rollout": "ranker-v2",
    "unit": "user-42",
    "arm": "v2",
    "at": 1790000000.25,
    "status": 200,
    "latency_ms": 12.5,
}


def _schema() -> dict[str, Any]:
    """The JSON Schema of an item, in one piece."""
    schema = dict(reading.ITEM)
    named = schema.pop("$ref", "").rpartition("/")[2]
    return dict(schema.get("$defs", {}).get(named, schema))


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [{"type": "array", "items": _schema()}, _schema()]},
                "examples": {"one": {"summary": "one request that a router served", "value": [EXAMPLE]}},
            },
            "application/x-ndjson": {"schema": {"type": "string", "description": "One exposure a line."}},
        },
    }
}


def router(events: Events, access: Access, door: receiving.Door) -> APIRouter:
    """The endpoint."""
    routes = APIRouter(tags=["exposures"])

    def keep(body: bytes, lines: bool) -> dict[str, Any]:
        now = time.time()
        found = reading.read(body, events.arriving.context(now), lines=lines)
        taken = events.inbox().accept(found.exposures, now) if found.exposures else None
        return {
            "accepted": taken.accepted if taken else 0,
            "duplicates": taken.duplicates if taken else 0,
            "rejected": found.rejected,
        }

    @routes.post(
        "/api/v1/exposures",
        status_code=202,
        response_model=Taken,
        openapi_extra=BODY,
        responses={
            400: {"model": Problem, "description": "The body broke off."},
            401: {"model": Problem, "description": "The bearer token is missing or wrong."},
            403: {"model": Problem, "description": "The token may not do this."},
            408: {"model": Problem, "description": "The body took too long to arrive."},
            413: {
                "model": Problem,
                "description": f"More than {receiving.LARGEST_BODY} bytes, or than {reading.MOST_ITEMS} items.",
            },
            415: {"model": Problem, "description": "The content type is neither JSON nor NDJSON."},
            422: {"model": Problem, "description": "The body as a whole cannot be read."},
            429: {"model": Problem, "description": "More than this reporter may send; retry-after says when it may."},
            503: {"model": Problem, "description": "It could not be written to the disk; nothing was kept."},
        },
        summary="Report exposures",
    )
    async def report(request: Request, caller: Caller = Depends(access.to(REPORT))) -> JSONResponse:  # noqa: B008
        """Keep exposures that Crossfade's gateway did not see, because a router of yours carries the traffic. Of two
        with one `decision_id` the first counts, so that a batch whose answer was lost can be sent again. One without
        an `order` is placed by its time. Items that are wrong are listed and cost only themselves."""
        lines = receiving.is_lines(request.headers.get("content-type", ""))
        who = receiving.named(caller)
        body = await door.take(request, who, patience=receiving.PATIENCE)
        try:
            told = await run_in_threadpool(keep, body, lines)
        except reading.TooMany as error:
            raise Refused(413, str(error), "send it in smaller batches") from error
        except reading.Unreadable as error:
            raise Refused(422, str(error), "send a JSON array of exposures, or one a line as NDJSON") from error
        door.spend(who, told["accepted"] + told["duplicates"] + len(told["rejected"]))
        return JSONResponse(told, 202)

    return routes
