"""What endpoints share by which a person notes something in the ledger that is no move: mutes, and kept segments."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from crossfade.console import models
from crossfade.console.access import Caller
from crossfade.console.problems import Refused
from crossfade.ledger import Entry
from crossfade.rim.store import Store


def noted(
    by_hand: Callable[..., Entry],
    store: Store,
    name: str,
    what: str,
    asked: models.MoveIn,
    caller: Caller,
    *,
    on: bool,
    illegal: type[ValueError],
    see: str,
    send: str,
) -> JSONResponse:
    """Note `what` of a rollout, or (`on` false) take it back; the answer is the ledger's entry.

    Raises Refused: 409 for what `illegal` says, with where to `see` what there is; 422 for words that are none, with
    what to `send` instead.
    """
    try:
        entry = by_hand(
            store,
            name,
            what,
            actor=caller.actor(asked.actor, "actor" in asked.model_fields_set),
            reason=asked.reason,
            at=time.time(),
            on=on,
            by=caller.by,
        )
    except illegal as error:
        raise Refused(409, str(error), see) from error
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise Refused(422, str(error), send) from error
    return JSONResponse(entry.to_json())


def add(routes: APIRouter, word: str, act: Callable[..., JSONResponse], summary: str, responses: Any) -> None:
    """Add `act` to the rollouts' own endpoints under its word."""
    routes.add_api_route(
        f"/{{name}}/{word}",
        act,
        methods=["POST"],
        response_model=models.EntryRecord,
        responses=responses,
        summary=summary,
        name=word,
        operation_id=word,
    )
