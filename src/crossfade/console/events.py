"""`POST /api/v1/events`: CloudEvents of serving platforms, taken in as exposures once they are on the disk."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from crossfade.console import receiving
from crossfade.console.access import Access, bearer
from crossfade.console.models import Problem, Rejected
from crossfade.console.problems import Refused
from crossfade.rim.batches import JournalError
from crossfade.rim.exposures import envelope, kserve
from crossfade.rim.exposures.arriving import Arriving
from crossfade.rim.exposures.halves import Halves, Reply
from crossfade.rim.exposures.halves import Request as Asked
from crossfade.rim.exposures.inbox import ExposureInbox
from crossfade.rim.store import Store
from crossfade.rim.tokens import REPORT

SWEEP = 5.0
"""Seconds between looks for what does not come any more."""

EVENT: dict[str, Any] = {
    "type": "object",
    "description": "One CloudEvent 1.0: `specversion`, `id`, `source`, `type`, and `data` or `data_base64`.",
}


class Told(BaseModel):
    """What became of the events of one request."""

    accepted: int
    """New ones, which are on the disk."""
    duplicates: int
    """Known by source and id."""
    unknown: int
    """Of types that are not read here; counted in /metrics."""
    rejected: list[Rejected]
    """What is wrong with the others."""


class Events:
    """What arrives at one control port: events, and exposures that are told outright."""

    def __init__(self, data: Path, store: Store) -> None:
        self._data = data
        self.arriving = Arriving(data, store)
        self._lock = threading.Lock()
        self._inbox: ExposureInbox | None = None
        self.halves = Halves(data, self.inbox)
        self._swept = 0.0

    def take(self, found: list[envelope.Event | str], rollout: str, arm: str) -> dict[str, Any]:
        """Keep events. Raises StoreError, SecretError or JournalError."""
        now = time.time()
        context = self.arriving.context(now)
        halves: list[Asked | Reply] = []
        rejected, counted = [], Counter[str]()
        for index, event in enumerate(found):
            problem = event if isinstance(event, str) else ""
            if isinstance(event, str):
                pass
            elif event.type == kserve.RESPONSE:
                halves.append(Reply(event=event))
            elif event.type == kserve.REQUEST:
                fact = kserve.exposed(event, context, rollout=rollout, arm=arm)
                if isinstance(fact, str):
                    problem = fact
                else:
                    halves.append(Asked(event=event, fact=fact, deadline=context.rollouts[fact.rollout].deadline))
            else:
                counted["unknown"] += 1
            if problem:
                rejected.append({"index": index, "problem": problem})
        counted["rejected"] = len(rejected)
        told = self.halves.take(halves, counted, now)
        return {
            "accepted": told["accepted"],
            "duplicates": told["duplicate"],
            "unknown": told["unknown"],
            "rejected": rejected,
        }

    def sweep(self) -> None:
        """Give up waiting for what does not come, now and then."""
        now = time.monotonic()
        if now - self._swept >= SWEEP:
            self._swept = now
            # A disk that is full is told by whoever writes there next.
            with contextlib.suppress(JournalError):
                self.halves.sweep(time.time())

    def close(self) -> None:
        """Let go of the files."""
        self.halves.close()
        if self._inbox is not None:
            self._inbox.close()

    def inbox(self) -> ExposureInbox:
        """Where exposures are kept. Made when the first one comes: most control ports never get any."""
        with self._lock:
            if self._inbox is None:
                self._inbox = ExposureInbox(self._data)
            return self._inbox


def router(events: Events, access: Access, door: receiving.Door) -> APIRouter:
    """The endpoint."""
    routes = APIRouter(tags=["exposures"])

    @routes.post(
        "/api/v1/events",
        response_model=Told,
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": "In binary mode any body with the attributes in `ce-` headers; else one of these.",
                "content": {
                    envelope.STRUCTURED: {"schema": EVENT},
                    envelope.BATCH: {"schema": {"type": "array", "items": EVENT}},
                },
            }
        },
        responses={
            400: {"model": Problem, "description": "The body broke off."},
            401: {"model": Problem, "description": "The token is missing or wrong."},
            403: {"model": Problem, "description": "The token may not do this."},
            408: {"model": Problem, "description": "The body took too long to arrive."},
            413: {
                "model": Problem,
                "description": f"More than {receiving.LARGEST_BODY} bytes, or than {envelope.MOST_EVENTS} events.",
            },
            422: {"model": Problem, "description": "It is no CloudEvent."},
            429: {"model": Problem, "description": "More than this reporter may send; retry-after says when it may."},
            503: {"model": Problem, "description": "It could not be written to the disk; nothing was kept."},
        },
        summary="Take in CloudEvents of a serving platform",
    )
    async def take(
        request: Request,
        rollout: Annotated[str, Query(max_length=200, description="Whose they are, where they do not say it.")] = "",
        arm: Annotated[str, Query(max_length=200, description="Whose they are, where they do not say it.")] = "",
    ) -> JSONResponse:
        """Keep what KServe's inference logger tells, in binary or structured mode or as a batch: a request and its
        reply become one exposure. Of two events with one source, id and type the first counts. Others are counted.
        The token comes as a bearer, or as the password in the address."""
        who = receiving.named(await run_in_threadpool(access.check, bearer(request.headers), REPORT))
        body = await door.take(request, who, patience=receiving.PATIENCE)
        try:
            found = await run_in_threadpool(envelope.read, request.headers, body)
        except envelope.TooMany as error:
            raise Refused(413, str(error), "send it in smaller batches") from error
        except envelope.NoEvents as error:
            raise Refused(422, str(error), "send CloudEvents 1.0 over HTTP") from error
        door.spend(who, len(found))
        return JSONResponse(await run_in_threadpool(events.take, found, rollout, arm))

    return routes
