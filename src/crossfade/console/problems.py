"""How the control port says no: always `{error, what_to_do}`, with the status that tells whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from crossfade.rim.batches import JournalError
from crossfade.rim.standing import nearest
from crossfade.rim.store import StaleDecision, Store, StoreError, UnknownRollout
from crossfade.state import IllegalMove

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


def install(app: FastAPI, store: Store) -> None:
    """Answer every error that can come out of `app` in our shape."""

    def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refused)
        return problem(error.status, error.error, error.what_to_do, error.headers)

    def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase.lower()
        todo = HINTS.get(error.status_code, "see /openapi.json")
        return problem(error.status_code, str(error.detail or phrase), todo, error.headers)

    def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        told = [f"{_place(found['loc'])}: {_complaint(found)}" for found in error.errors()]
        return problem(422, "; ".join(told), 'send a JSON object such as {"reason": "why"}')

    def unknown(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, UnknownRollout)
        close = nearest(error, store)
        todo = f"did you mean {', '.join(close)}?" if close else "GET /api/v1/rollouts lists them"
        return problem(404, str(error), todo)

    def illegal(_: Request, error: Exception) -> JSONResponse:
        return problem(409, str(error), "GET the rollout to see where it stands, then ask for a move it allows")

    def broken(_: Request, error: Exception) -> JSONResponse:
        return problem(503, str(error), "nothing was changed; repair what is said here and send it again")

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(UnknownRollout, unknown)
    app.add_exception_handler(IllegalMove, illegal)
    app.add_exception_handler(StaleDecision, illegal)
    app.add_exception_handler(StoreError, broken)
    app.add_exception_handler(JournalError, broken)


def _complaint(found: Mapping[str, Any]) -> str:
    # The one pattern asked for is that something is there.
    return "must not be empty" if found["type"] == "string_pattern_mismatch" else str(found["msg"]).lower()


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location if part != "body") or "body"
