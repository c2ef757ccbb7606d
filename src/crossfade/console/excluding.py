"""`/api/v1/rollouts/{name}/exclude` and `include`: a person keeps a segment on the champion, or serves it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from crossfade.console import models, noting
from crossfade.console.access import Caller
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
        return noting.noted(
            exclude_by_hand,
            store,
            name,
            asked.segment,
            asked,
            caller,
            on=word == EXCLUDE,
            illegal=IllegalExclusion,
            see="GET …/segments lists segments, and the rollout those that are kept on the champion",
            send='send {"segment": "header:x-country=DE", "reason": "why", "actor": "who"}',
        )

    noting.add(routes, word, act, SUMMARY[word], responses)
