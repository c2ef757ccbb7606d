"""Fields that do not count: whether a pair still differs without them, by the fields it was recorded with."""

from __future__ import annotations

from functools import reduce
from operator import or_

import ibis

from crossfade.judge.measure.tables import Expr, element
from crossfade.spec.model import Rollout

MOST_PATHS = 8
"""Fields recorded of one pair, those that counted then first."""


def mutes_of(rollout: Rollout) -> tuple[str, ...]:
    """The muted fields of a rollout."""
    return tuple(sorted({one.path for one in rollout.compare if one.mute}))


def muted(path: Expr, mutes: tuple[str, ...]) -> Expr:
    """Whether a field, or a place above it, is muted."""
    return reduce(or_, ((path == mute) | path.startswith(f"{mute}.") | path.startswith(f"{mute}[") for mute in mutes))


def counting(flag: Expr, fields: Expr, mutes: tuple[str, ...], *, unknown: bool) -> Expr:
    """`flag`, taken back where every field that differs is muted.

    Where nothing was named, nothing is taken back; where the names fill their room there may be more, and `unknown`
    says what to think then.
    """
    if not mutes:
        return flag
    some = [ibis.coalesce(~muted(element(fields, place), mutes), False) for place in range(MOST_PATHS)]
    named = ibis.coalesce(fields.length(), 0)
    loud = ibis.or_(named == 0, *some, (named >= MOST_PATHS) & ibis.literal(unknown))
    return flag & loud
