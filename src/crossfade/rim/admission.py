"""Specs that come to be served: recorded, started, and refused in words where another has their route."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from crossfade.rim.one_route import RouteTaken, set_back, taken
from crossfade.rim.pseudonym_keys import Keys
from crossfade.rim.store import Store, StoreError
from crossfade.spec.parse import SpecProblems, parse
from crossfade.state import Move, Phase


def admit(store: Store, texts: Sequence[str], *, start: bool, actor: str, at: float) -> list[str]:
    """Put each spec into the store (a changed one is a new revision) and start the pending ones."""
    names: list[str] = []
    keys = Keys(store.data)
    for text in texts:
        rollout = parse(text)
        keys.of(rollout)
        why_not = taken(rollout, store.rollouts())
        if why_not:
            raise RouteTaken(why_not)
        store.add(text, rollout, at)
        names.append(rollout.name)
        if start and store.get(rollout.name).position.phase is Phase.PENDING:
            lost = set_back(rollout, store.rollouts())
            if lost:
                todo = "where that is not meant, serve a spec with the right champion"
                sys.stderr.write(f"crossfade: {rollout.name}: {lost}; {todo}\n")
            store.act(
                rollout.name,
                Move.START,
                actor=actor,
                rule="manual",
                sentence=f"Started by {actor}, although {lost}." if lost else f"Started by {actor}.",
                evidence=[],
                at=at,
                by={"through": "serve", "user": actor},
            )
    return names


def readmit(store: Store, reread: Callable[[], Sequence[str]], *, start: bool, actor: str) -> None:
    """Record what has changed. Whatever is wrong with it, what is served goes on as it was."""
    _, refused = admit_each(store, reread(), start=start, actor=actor, at=time.time())
    for why in refused:
        sys.stderr.write(f"crossfade: {why}; what is served goes on as it was\n")


def admit_each(
    store: Store, texts: Sequence[str], *, start: bool, actor: str, at: float
) -> tuple[list[str], list[str]]:
    """The same, one by one: the names that were admitted, and why others were not."""
    names: list[str] = []
    refused: list[str] = []
    for text in texts:
        try:
            names += admit(store, [text], start=start, actor=actor, at=at)
        except (StoreError, SpecProblems) as error:
            refused.append(str(error))
    return names, refused
