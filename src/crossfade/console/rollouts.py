"""`/api/v1/rollouts`: the records that the page shows, as JSON, and a person's moves."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request

from crossfade import ledger
from crossfade.console import approving, excluding, models, muting
from crossfade.console.access import Access, Caller
from crossfade.console.problems import Refused
from crossfade.rim import examples
from crossfade.rim.calibrating import Calibrating
from crossfade.rim.differing import Differing
from crossfade.rim.listing import Listing
from crossfade.rim.reads import Reads
from crossfade.rim.standing import all_standing, move_by_hand, standing
from crossfade.rim.store import Store
from crossfade.rim.tokens import APPROVE, MOVE, STOP
from crossfade.state import Move
from crossfade.view import status

SAFE = (Move.HOLD, Move.ROLLBACK)
"""Moves that never raise exposure."""

MOVES = (Move.START, Move.HOLD, Move.RESUME, Move.ADVANCE, Move.ROLLBACK, Move.PROMOTE)

Name = Annotated[str, Path(description="The rollout's name, as in its spec.", examples=["ranker-v2"])]

Responses = dict[int | str, dict[str, Any]]

READ: Responses = {
    503: {"model": models.Problem, "description": "The store cannot be read."},
}
OF_ONE: Responses = {
    **READ,
    404: {"model": models.Problem, "description": "No rollout has that name."},
    422: {"model": models.Problem, "description": "The request cannot be read."},
}
MOVED: Responses = {
    **OF_ONE,
    400: {"model": models.Problem, "description": "The body is not text."},
    401: {"model": models.Problem, "description": "The bearer token is missing or wrong."},
    403: {
        "model": models.Problem,
        "description": "The token has not the role for it, or there is none.",
    },
    409: {"model": models.Problem, "description": "The present phase does not allow the move."},
    422: {"model": models.Problem, "description": "The reason is missing."},
}


def router(store: Store, access: Access) -> APIRouter:
    """The endpoints; a person's acts take a token with the role for it."""
    routes = APIRouter(prefix="/api/v1/rollouts", tags=["rollouts"])
    _add_reads(routes, store)
    _add_absent(routes, store)
    _add_examples(routes, store, access)
    _add_calibration(routes, store)

    for move in MOVES:
        _add_move(routes, store, move, access.to(STOP if move in SAFE else MOVE))
    approving.add(routes, store, access.to(APPROVE), MOVED)
    muting.add(routes, store, access.to(MOVE), MOVED)
    # Whoever may roll back everything may keep a part of it on the champion.
    excluding.add(routes, store, {"exclude": access.to(STOP), "include": access.to(MOVE)}, MOVED)
    return routes


def _add_reads(routes: APIRouter, store: Store) -> None:
    @routes.get("", response_model=models.Status, responses=READ, summary="Every rollout")
    def rollouts() -> JSONResponse:
        """The records of every rollout, by name."""
        return JSONResponse(status(all_standing(store, time.time())))

    @routes.get("/{name}", response_model=models.RolloutRecord, responses=OF_ONE, summary="One rollout")
    def rollout(name: Name) -> JSONResponse:
        """The record that terminal and page show."""
        return JSONResponse(standing(store, name, time.time()))

    @routes.get("/{name}/evidence", response_model=models.EvidenceOf, responses=OF_ONE, summary="Its evidence")
    def evidence(name: Name) -> JSONResponse:
        """Each metric's estimate, always-valid interval, limit, units and verdict."""
        return JSONResponse({"name": name, "evidence": standing(store, name, time.time())["evidence"]})

    @routes.get("/{name}/exposure", response_model=models.ExposureOf, responses=OF_ONE, summary="Its exposure")
    def exposure(name: Name) -> JSONResponse:
        """Planned and actual exposure, the steps passed and ahead, and what each arm served."""
        record = standing(store, name, time.time())
        return JSONResponse({"name": name, **{key: record[key] for key in ("exposure", "stages", "arms")}})

    @routes.get("/{name}/ledger", response_model=models.LedgerOf, responses=OF_ONE, summary="Its ledger")
    def entries(name: Name) -> JSONResponse:
        """Every entry in full, with the evidence as it stood, and whether the chain holds."""
        found = store.entries(name)
        checked = ledger.verify(found, store.head(name))
        return JSONResponse(
            {
                "name": name,
                "intact": checked.intact,
                "first_broken": checked.first_broken,
                "entries": [entry.to_json() for entry in found],
            }
        )

    @routes.get("/{name}/drift", response_model=models.DriftOf, responses=OF_ONE, summary="Its drift")
    def drift(name: Name) -> JSONResponse:
        """Whether inputs, predictions and outcomes are as in the reference, and whether the world, a model or the feed
        has changed; or why that is not known."""
        told = standing(store, name, time.time()).get("drift")
        reason = "" if told else "the spec does not ask for it by `drift`, or nothing has been looked at yet"
        return JSONResponse({"name": name, "available": told is not None, "reason": reason, "drift": told})

    differing = Differing(store.data)

    @routes.get(
        "/{name}/differences", response_model=models.DifferencesOf, responses=OF_ONE, summary="Where replies differ"
    )
    def differences(name: Name) -> JSONResponse:
        """Fields in which mirrored replies differ, by challenger: how often, beyond the champion's own noise, or why
        that is not known."""
        stored = store.get(name)
        return JSONResponse(differing.explored(stored.rollout, stored.position))

    listing = Listing(store.data)

    @routes.get("/{name}/lists", response_model=models.ListsOf, responses=OF_ONE, summary="Its interleaved lists")
    def lists(name: Name) -> JSONResponse:
        """How evenly the places of interleaved lists were dealt, and the latest lists of which something was picked,
        with whose each item was; or why there are none."""
        return JSONResponse(listing.of(store.get(name).rollout))


def _add_calibration(routes: APIRouter, store: Store) -> None:
    calibrating = Calibrating(store.data)

    @routes.get(
        "/{name}/calibration",
        response_model=models.CalibrationOf,
        responses=OF_ONE,
        summary="Whether probabilities come true as often as they say",
    )
    def curves(name: Name) -> JSONResponse:
        """Both models' curves by bins and their expected calibration errors on mirrored requests whose label has come,
        with an always-valid interval for the difference; or why there are none."""
        stored = store.get(name)
        return JSONResponse(calibrating.of(stored.rollout, stored.position, time.time()))


def _add_examples(routes: APIRouter, store: Store, access: Access) -> None:
    data, reads = store.data, Reads(store)

    @routes.get(
        "/{name}/examples",
        response_model=models.ExamplesOf,
        responses=OF_ONE,
        summary="Replies that differ, side by side",
    )
    def kept(
        request: Request,
        name: Name,
        field: Annotated[str, Query(max_length=500, description="Only pairs that differ there or below.")] = "",
        arm: Annotated[str, Query(max_length=100, description="Only this challenger.")] = "",
        most: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> JSONResponse:
        """Pairs kept by `examples:` in the spec, the latest first, without the fields that `redact:` names. That
        somebody looked is put into the ledger first, once an hour a reader."""
        store.get(name)
        found = examples.kept(data, name, field=field, arm=arm, most=most)
        if found:
            reads.note(name, *access.reader(request), time.time())
        return JSONResponse({"name": name, "examples": found})


def _add_absent(routes: APIRouter, store: Store) -> None:
    @routes.get("/{name}/segments", response_model=models.SegmentsOf, responses=OF_ONE, summary="Its segments")
    def segments(name: Name) -> JSONResponse:
        """Which values of the declared fields are judged, how many units they have, and the evidence of each; or why
        there is nothing to tell. `found`, exploratory, is what was searched for beyond that."""
        record = standing(store, name, time.time())
        lines = [line for line in record["evidence"] if line["segment"] is not None]
        known = record.get("segments") or {"available": False, "reason": "nothing has been measured yet", "fields": []}
        searched = {"found": record["found"]} if "found" in record else {}
        return JSONResponse({"name": name, **known, "evidence": lines, **searched})


def _add_move(routes: APIRouter, store: Store, move: Move, allowed: Any) -> None:
    passed = Depends(allowed)

    @routes.post(
        f"/{{name}}/{move}",
        response_model=models.EntryRecord,
        responses=MOVED,
        summary=str(move).capitalize(),
        name=str(move),
        operation_id=str(move),
    )
    def act(name: Name, asked: models.MoveIn, caller: Caller = passed) -> JSONResponse:
        """Make the move and answer with its ledger entry; routes follow within a second."""
        try:
            actor = caller.actor(asked.actor, "actor" in asked.model_fields_set)
            entry = move_by_hand(store, name, move, actor=actor, reason=asked.reason, at=time.time(), by=caller.by)
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            raise Refused(422, str(error), 'send {"reason": "why", "actor": "who"}') from error
        return JSONResponse(entry.to_json())
