"""What tools that own the traffic ask before they go on: Argo Rollouts' `web` metric, and Flagger's webhooks.

Neither is ever told to go on by silence: what is not measured is answered with 503, which both take for no.
"""

from __future__ import annotations

import logging
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from crossfade.console import models
from crossfade.console.access import Access
from crossfade.console.problems import Refused
from crossfade.rim.standing import standing
from crossfade.rim.store import Store
from crossfade.rim.tokens import READ
from crossfade.view.overall import Answer, Overall, begun, by_metric, overall

log = logging.getLogger("crossfade.console")

SCHEMA = "crossfade.judged/1"

PATIENCE = 60.0
"""Seconds after which a look is too old to go on by; a longer lease is waited for."""

Name = Annotated[str, Path(description="The rollout's name, as in its spec.", examples=["ranker-v2"])]

HOOKS = {
    "confirm-rollout": "200 once the rollout is started and a controller looks at it",
    "pre-rollout": "the same",
    "rollout": "200 while it is measured and not harmful",
    "confirm-traffic-increase": "200 once everything is proven safe, or the plan covers `metadata.weight`",
    "confirm-promotion": "the same",
    "rollback": "200 once it is harmful, or was rolled back: Flagger then goes back",
    "post-rollout": "200: noted in the log",
    "event": "200: noted in the log",
}
"""Flagger's types of webhook, and when each is answered with 200."""

Hook = Annotated[
    str, Path(description="Which of Flagger's webhooks asks; " + "; ".join(f"{k}: {v}" for k, v in HOOKS.items()))
]

ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"model": models.Problem, "description": "The token is missing or wrong."},
    403: {"model": models.Problem, "description": "The token may not read."},
    404: {"model": models.Problem, "description": "No rollout has that name, or no webhook."},
    422: {"model": models.Problem, "description": "The request cannot be read."},
    503: {"model": models.Problem, "description": "It is not measured, or the store cannot be read."},
}
NOT_NOW: dict[int | str, dict[str, Any]] = {
    409: {"model": models.Problem, "description": "No, and why."},
}

_bearer = HTTPBearer(auto_error=False, description="Flagger cannot send it; it puts the token into metadata.token.")


def router(store: Store, access: Access) -> APIRouter:
    """The endpoints. Where reading takes a token, they do."""
    routes = APIRouter(prefix="/api/v1/rollouts", tags=["judging for others"])
    _add_argo(routes, store)
    _add_flagger(routes, store, access)
    return routes


def _add_argo(routes: APIRouter, store: Store) -> None:
    @routes.get("/{name}/argo", response_model=models.Judged, responses=ANSWERS, summary="For Argo Rollouts")
    def argo(
        name: Name,
        metric: Annotated[
            list[str], Query(max_length=50, description="Only these metrics of the spec; all unless given.")
        ] = [],  # noqa: B006
        weight: Annotated[
            float | None,
            Query(ge=0.0, le=100.0, description="Percent: has the plan come that far? Without it: is all proven?"),
        ] = None,
    ) -> JSONResponse:
        """`answer` is go, wait or stop, for the conditions of an AnalysisTemplate; 503 while it is not measured, which
        is an error of the measurement there, and never a success."""
        said = _overall(store, name, metric, weight)
        return JSONResponse(_record(store, name, said))


def _add_flagger(routes: APIRouter, store: Store, access: Access) -> None:
    @routes.post(
        "/{name}/flagger/{hook}",
        response_model=models.Judged,
        responses={**ANSWERS, **NOT_NOW},
        summary="For Flagger's webhooks",
    )
    def flagger(
        request: Request,
        name: Name,
        hook: Hook,
        asked: models.FlaggerIn,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None,
    ) -> JSONResponse:
        """200 lets Flagger do what the webhook is about; 409 is a no with its reason, 503 that nobody knows."""
        metadata = asked.metadata or {}
        if access.asks(request.headers):
            access.check(given.credentials if given else metadata.get("token"), READ)
        if hook not in HOOKS:
            raise Refused(404, f"Flagger has no webhook {hook!r}", f"one of {', '.join(HOOKS)}")
        said = _hooked(store, name, hook, metadata)
        log.info("Flagger asks %s of %s: %r/%r is %r", hook, name, asked.namespace, asked.name, asked.phase)
        if said.answer is Answer.UNKNOWN and hook not in ("post-rollout", "event"):
            raise _unmeasured(said)
        if not _passes(hook, said):
            raise Refused(
                409, f"{said.verdict}, {said.answer}: {said.reason}", "ask again; GET the rollout to see more"
            )
        return JSONResponse(_record(store, name, said))


def _hooked(store: Store, name: str, hook: str, metadata: dict[str, str]) -> Overall:
    now, record = time.time(), standing(store, name, time.time())
    patience = _patience(store, name)
    if hook in ("confirm-rollout", "pre-rollout"):
        return begun(record, now=now, patience=patience)
    metrics = [one.strip() for one in metadata.get("metric", "").split(",") if one.strip()]
    _known(store, name, metrics)
    try:
        share = float(metadata["weight"]) / 100.0 if "weight" in metadata else None
    except ValueError:
        share = -1.0
    if share is not None and not 0.0 <= share <= 1.0:
        raise Refused(422, f"metadata.weight is {metadata['weight']!r}", 'a percentage such as "20", up to 100')
    return overall(record, now=now, patience=patience, metrics=metrics, weight=share)


def _passes(hook: str, said: Overall) -> bool:
    match hook:
        case "rollback":
            return said.answer is Answer.STOP
        case "rollout":
            return said.answer in (Answer.GO, Answer.WAIT)
        case "post-rollout" | "event":
            return True
        case _:
            return said.answer is Answer.GO


def _overall(store: Store, name: str, metrics: list[str], weight: float | None) -> Overall:
    now = time.time()
    record = standing(store, name, now)
    _known(store, name, metrics)
    share = None if weight is None else weight / 100.0
    said = overall(record, now=now, patience=_patience(store, name), metrics=metrics, weight=share)
    if said.answer is Answer.UNKNOWN:
        raise _unmeasured(said)
    return said


def _patience(store: Store, name: str) -> float:
    return max(PATIENCE, store.get(name).rollout.lease)


def _known(store: Store, name: str, metrics: list[str]) -> None:
    there = [metric.name for metric in store.get(name).rollout.metrics]
    for one in metrics:
        if one not in there:
            raise Refused(422, f"{name} has no metric {one!r}", f"one of {', '.join(there)}")


def _unmeasured(said: Overall) -> Refused:
    return Refused(503, f"unmeasured: {said.reason}", "do not go on by this; GET the rollout to see what is missing")


def _record(store: Store, name: str, said: Overall) -> dict[str, Any]:
    record = standing(store, name, time.time())
    return {
        "schema": SCHEMA,
        "name": name,
        "revision": record["revision"],
        "answer": str(said.answer),
        "verdict": str(said.verdict),
        "reason": said.reason,
        "phase": record["phase"],
        "stage": record["stage"],
        "step": record["step"],
        "planned": record["exposure"]["planned"],
        "at": record["at"],
        "metrics": by_metric(record),
    }
