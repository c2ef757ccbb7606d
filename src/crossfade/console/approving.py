"""`/api/v1/rollouts/{name}/approve`: a person lets a rollout go on to the stage that it waits to enter."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from crossfade.approvals import IllegalApproval
from crossfade.console import models
from crossfade.console.access import Caller
from crossfade.console.problems import Refused
from crossfade.rim.approving import approve_by_hand
from crossfade.rim.store import Store

Name = Annotated[str, Path(description="The rollout's name, as in its spec.", examples=["ranker-v2"])]


def add(routes: APIRouter, store: Store, allowed: Any, responses: Any) -> None:
    """Add the endpoint to the rollouts' own, for whoever `allowed` lets pass."""
    passed = Depends(allowed)

    @routes.post(
        "/{name}/approve",
        response_model=models.EntryRecord,
        responses=responses,
        summary="Approve going on to the next stage",
        name="approve",
        operation_id="approve",
    )
    def approve(name: Name, asked: models.ApproveIn, caller: Caller = passed) -> JSONResponse:
        """Write it to the ledger, with the evidence that was shown, and answer with the entry; once everybody whom the
        spec asks for has approved, the rollout goes on at the next look."""
        actor = caller.actor(asked.actor, "actor" in asked.model_fields_set)
        try:
            entry = approve_by_hand(
                store, name, actor=actor, reason=asked.reason, at=time.time(), by=caller.by, shown=asked.shown
            )
        except IllegalApproval as error:
            raise Refused(409, str(error), "GET the rollout: `approval` says who may approve what, and when") from error
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            raise Refused(422, str(error), 'send {"reason": "why"}') from error
        return JSONResponse(entry.to_json())
