"""The table `outcome` made of what was `reported`: corrections followed, and the values that count in their place."""

from __future__ import annotations

import ibis

from crossfade.judge.measure import corrections
from crossfade.judge.measure.tables import Expr
from crossfade.rim.engine.backend import Backend


def amend(backend: Backend) -> None:
    """Let questions see each outcome with the value that counts at its look."""
    backend.keep("chains", ("chains",), corrections.chains)
    if not int(backend.rows(("any-chains",), _any)["n"][0]):
        backend.empty("replaced", corrections.REPLACED)
        backend.view("outcome", ("events",), corrections.events)
        return
    left = _unfollowed(backend)
    while left:
        backend.keep("followed", ("hop",), corrections.hop)
        backend.keep("chains", ("followed",), _followed)
        before, left = left, _unfollowed(backend)
        if left == before:
            # Those that still lead on turn in a circle: each hop brings any others nearer to their end.
            break
    backend.keep("replaced", ("replaced",), corrections.replaced)
    backend.view("outcome", ("outcomes",), corrections.outcomes)


def _any() -> Expr:
    return corrections.CHAINS.aggregate(n=corrections.CHAINS.count())


def _followed() -> Expr:
    return ibis.table(dict(corrections.CHAINS.schema().items()), name="followed")


def _unfollowed(backend: Backend) -> int:
    return int(backend.rows(("unfollowed",), corrections.unfollowed)["open"][0])
