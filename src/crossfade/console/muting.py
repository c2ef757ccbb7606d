"""`/api/v1/rollouts/{name}/mute` and `unmute`: a person says whether differences of a field count."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from crossfade.console import models, noting
from crossfade.console.access import Caller
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
        return noting.noted(
            mute_by_hand,
            store,
            name,
            asked.field,
            asked,
            caller,
            on=word == MUTE,
            illegal=IllegalMute,
            see="GET …/differences lists fields and their mutes",
            send='send {"field": "$.took_ms", "reason": "why", "actor": "who"}',
        )

    noting.add(routes, word, act, SUMMARY[word], responses)
