"""`/api/v1/rollouts/{name}/mute` and `unmute`: a person says whether differences of a field count."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from crossfade.console import models
from crossfade.console.access import Caller
from crossfade.console.problems import Refused
from crossfade.rim.muting import MUTE, UNMUTE, mute_by_hand
from crossfade.rim.store import Store
from crossfade.state import IllegalMute

Name = Annotated[str, Path(description="The rollout's name, as in its spec.", examples=["ranker-v2"])]

SUMMARY = {MUTE: "Mute a field", UNMUTE: "Let a field count again"}


def add(routes: APIRouter, store: Store, allowed: Any, responses: Any) -> None:
    """Add both endpoints to the rollouts' own, for whoever `allowed` lets pass."""
    for word in SUMMARY:
        _add(routes, store, word, allowed, responses)


def _add(routes: APIRouter, store: Store, word: str, allowed: Any, responses: Any) -> None:
    passed = Depends(allowed)

    def act(name: Name, asked: models.MuteIn, caller: Caller = passed) -> JSONResponse:
        """Write it to the ledger and answer with the entry; gateways and gates follow within a second."""
        try:
            entry = mute_by_hand(
                store,
                name,
                asked.field,
                actor=caller.actor(asked.actor, "actor" in asked.model_fields_set),
                reason=asked.reason,
                at=time.time(),
                on=word == MUTE,
                by=caller.by,
            )
        except IllegalMute as error:
            raise Refused(409, str(error), "GET …/differences lists fields and their mutes") from error
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            raise Refused(422, str(error), 'send {"field": "$.took_ms", "reason": "why", "actor": "who"}') from error
        return JSONResponse(entry.to_json())

    routes.add_api_route(
        f"/{{name}}/{word}",
        act,
        methods=["POST"],
        response_model=models.EntryRecord,
        responses=responses,
        summary=SUMMARY[word],
        name=word,
        operation_id=word,
    )
