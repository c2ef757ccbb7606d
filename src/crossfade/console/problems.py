"""How the control port says no: always `{error, what_to_do}`, with the status that tells whose turn it is.

A person who looks at a page is told the same on a page.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from crossfade.console.frame import page
from crossfade.console.markup import el
from crossfade.rim.batches import JournalError
from crossfade.rim.standing import nearest
from crossfade.rim.store import StaleDecision, Store, StoreError, UnknownRollout
from crossfade.state import IllegalMove

log = logging.getLogger("crossfade.console")

SAID = {
    404: "there is nothing at {path}",
    405: "{path} cannot be asked with {method}",
}

HINTS = {
    404: "GET /openapi.json lists every path",
    405: "GET /openapi.json lists what each path takes",
}


class Refused(Exception):
    """A request that is answered with an error of ours."""

    def __init__(self, status: int, error: str, what_to_do: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.what_to_do, self.headers = status, error, what_to_do, headers


def problem(status: int, error: str, what_to_do: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The one shape of an error."""
    return JSONResponse({"error": error, "what_to_do": what_to_do}, status, headers=dict(headers or {}))


def answer(scope: Scope, refused: Refused) -> Response:
    """The answer to who asked: a page for who looks at pages, else the one shape."""
    headers = Headers(scope=scope)
    looks = "text/html" in headers.get("accept", "") and not scope["path"].startswith("/api/")
    if not looks:
        return problem(refused.status, refused.error, refused.what_to_do, refused.headers)
    html = error_page(refused.status, refused.error, refused.what_to_do, time.time())
    return HTMLResponse(html, refused.status, headers=dict(refused.headers or {}))


def error_page(status: int, error: str, what_to_do: str, now: float) -> str:
    """What went wrong and what to do, for a person."""
    phrase = HTTPStatus(status).phrase
    said = el("p", f"{status} · {phrase}", class_="quiet")
    todo = el("p", what_to_do[:1].upper() + what_to_do[1:], ".")
    back = el("p", el("a", "All rollouts", href="/"), " · ", el("a", "Models and health", href="/health"))
    body = el("section", said, el("h1", error[:1].upper() + error[1:]), todo, back, class_="sentence")
    return page(phrase, body, now)


def install(app: FastAPI, store: Store) -> None:
    """Answer every error that can come out of `app` in our shape."""

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return answer(request.scope, error)

    def failed(request: Request, error: Exception) -> Response:
        # The path as it was asked for may hold the end of a line.
        log.error("%s %r failed: %r", request.method, request.url.path, error)
        told = "the control port has failed at this request: the fault is ours"
        return answer(request.scope, Refused(500, told, "see its log; rollouts and gateways go on without it"))

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase.lower()
        todo = HINTS.get(error.status_code, "see /openapi.json")
        said = str(error.detail or phrase)
        if said == HTTPStatus(error.status_code).phrase and error.status_code in SAID:
            said = SAID[error.status_code].format(method=request.method, path=request.url.path)
        return answer(request.scope, Refused(error.status_code, said, todo, error.headers))

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        told = [f"{_place(found['loc'])}: {_complaint(found)}" for found in error.errors()]
        body = any(found["loc"][0] == "body" for found in error.errors())
        todo = 'send a JSON object such as {"reason": "why"}' if body else "/openapi.json says what may be asked"
        return answer(request.scope, Refused(422, "; ".join(told), todo))

    def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, UnknownRollout)
        close = nearest(error, store)
        todo = f"did you mean {', '.join(close)}?" if close else "GET /api/v1/rollouts lists them"
        return answer(request.scope, Refused(404, str(error), todo))

    def illegal(request: Request, error: Exception) -> Response:
        todo = "GET the rollout to see where it stands, then ask for a move it allows"
        return answer(request.scope, Refused(409, str(error), todo))

    def broken(request: Request, error: Exception) -> Response:
        todo = "nothing was changed; repair what is said here and send it again"
        return answer(request.scope, Refused(503, str(error), todo))

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(Exception, failed)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(UnknownRollout, unknown)
    app.add_exception_handler(IllegalMove, illegal)
    app.add_exception_handler(StaleDecision, illegal)
    app.add_exception_handler(StoreError, broken)
    app.add_exception_handler(JournalError, broken)


def _complaint(found: Mapping[str, Any]) -> str:
    if found["type"] != "string_pattern_mismatch":
        return str(found["msg"]).lower()
    if found["loc"][-1] == "field":
        return f"{found['input'][:80]!r} is no field: expected a path such as $.took_ms or $.items[*].score"
    return "must not be empty, or hold what cannot be seen"


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location if part != "body") or "body"
