"""`/api/v1/rollouts/{name}/exclude` and `include`: a person keeps a segment on the champion, or serves it again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from crossfade.console import models
from crossfade.console.access import Caller
from crossfade.console.problems import Refused
from crossfade.rim.excluding import EXCLUDE, INCLUDE, exclude_by_hand
from crossfade.rim.store import Store
from crossfade.state import IllegalExclusion

Name = Annotated[str, Path(description="The rollout's name, as in its spec.", examples=["ranker-v2"])]

SUMMARY = {EXCLUDE: "Keep a segment on the champion", INCLUDE: "Serve a segment again"}


def add(routes: APIRouter, store: Store, allowed: Mapping[str, Any], responses: Any) -> None:
    """Add both endpoints to the rollouts' own, each for whoever `allowed` lets pass."""
    for word in SUMMARY:
        _add(routes, store, word, allowed[word], responses)


def _add(routes: APIRouter, store: Store, word: str, allowed: Any, responses: Any) -> None:
    passed = Depends(allowed)

    def act(name: Name, asked: models.ExcludeIn, caller: Caller = passed) -> JSONResponse:
        """Write it to the ledger and answer with the entry; gateways follow within a second."""
        try:
            entry = exclude_by_hand(
                store,
                name,
                asked.segment,
                actor=caller.actor(asked.actor, "actor" in asked.model_fields_set),
                reason=asked.reason,
                at=time.time(),
                on=word == EXCLUDE,
                by=caller.by,
            )
        except IllegalExclusion as error:
            raise Refused(
                409, str(error), "GET …/segments lists segments, and the rollout those that are kept on the champion"
            ) from error
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            raise Refused(
                422, str(error), 'send {"segment": "header:x-country=DE", "reason": "why", "actor": "who"}'
            ) from error
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
