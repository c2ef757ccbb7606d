"""Replies that nobody can use: how many pairs have one, of what kind, and where in the traffic they are.

Everywhere +1 speaks against the challenger.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import numpy as np

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.mutes import MOST_PATHS, muted
from crossfade.judge.measure.pairs import signed
from crossfade.judge.measure.tables import FACTS, LOOK, Expr, counted, during, element
from crossfade.judge.moments import Ints, PairedMoments

CATASTROPHIC = "catastrophic"

REASONS = ("nan", "shape", "broken", "truncated", "error")
"""Why a challenger failed where its reply is what failed; the same as `live.compare.kinds.UNUSABLE`."""

KINDS = ("nan", "invalid", "shape")
"""How a field of a reply that could be read may be unusable, the worst first."""

_ALL, _KIND, _SEGMENT = "", "kind", "segment "

MOST_NAMED = 3
"""Values of a segment named in one remark."""


def catastrophic(
    *, segments: int, mutes: tuple[str, ...] = (), compared: Expr = FACTS["compared"], look: Expr = LOOK
) -> Expr:
    """Signed counts per arm: in all (`what` is empty), by kind, and by the value of each segment field.

    +1: the challenger's reply is unusable and the champion answered; −1: the champion failed, the challenger did not.
    Rows by kind and by segment have no time, and only those with a +1 come.
    """
    pairs = during(compared, look)
    pairs = pairs.mutate(cause=_cause(pairs, mutes))
    against = (pairs["cause"] != "") & ~pairs["champion_failed"]
    for_it = pairs["champion_failed"] & ~pairs["challenger_failed"]
    pairs = pairs.mutate(d=counted(against) - counted(for_it))
    told = [_named(signed(pairs), _ALL, ibis.literal(""))]
    kinds = pairs.filter(pairs["d"] > 0)
    told.append(_timeless(kinds, _KIND, kinds["cause"]))
    for place in range(segments):
        value = ibis.coalesce(element(pairs["segments"], place), "")
        rows = _timeless(pairs, f"{_SEGMENT}{place}", value)
        told.append(rows.filter(rows["plus"] > 0))
    return told[0].union(*told[1:])


def _cause(pairs: Expr, mutes: tuple[str, ...]) -> Expr:
    """The worst that is wrong with the challenger's reply; empty where callers can work with it."""
    failed = [((pairs["challenger_failed"] & (pairs["reason"] == reason)), reason) for reason in REASONS]
    found = []
    for kind in KINDS:
        if mutes:
            places = [
                (element(pairs["kinds"], place) == kind) & ~muted(element(pairs["fields"], place), mutes)
                for place in range(MOST_PATHS)
            ]
            here = ibis.or_(*(ibis.coalesce(there, False) for there in places))
        else:
            here = ibis.coalesce(pairs["kinds"].contains(kind), False)
        found.append((~pairs["challenger_failed"] & here, kind))
    return ibis.cases(*failed, *found, else_="")


def _named(rows: Expr, what: str, name: Expr) -> Expr:
    return rows.select("arm", "bucket", "plus", "minus", "zero", what=ibis.literal(what), name=name)


def _timeless(pairs: Expr, what: str, name: Expr) -> Expr:
    named = pairs.mutate(name=name)
    rows = named.group_by("arm", "name").agg(
        plus=counted(named["d"] > 0).sum(),
        minus=counted(named["d"] < 0).sum(),
        zero=counted(named["d"] == 0).sum(),
    )
    return _named(rows.mutate(bucket=ibis.literal(0, "int64")), what, rows["name"])


def shape(rows: Rows, arm: str, segments: Sequence[str]) -> PairedMoments:
    """Rows of `catastrophic` as moments of one challenger, with a remark that names kinds and segments."""
    own = {name: column[rows["arm"] == arm] for name, column in rows.items()}
    whole = own["what"] == _ALL
    order = np.argsort(own["bucket"][whole], kind="stable")
    columns: dict[str, Ints] = {
        name: own[name][whole][order].astype(np.int64) for name in ("bucket", "plus", "minus", "zero")
    }
    return PairedMoments(**columns, remark=_remark(own, columns, segments))


def _remark(own: Rows, columns: dict[str, Ints], segments: Sequence[str]) -> str:
    bad = int(columns["plus"].sum())
    if not bad:
        return ""
    pairs = sum(int(columns[name].sum()) for name in ("plus", "minus", "zero"))
    of_kind = own["what"] == _KIND
    kinds = sorted(zip(own["plus"][of_kind].tolist(), own["name"][of_kind].tolist(), strict=True), reverse=True)
    said = ", ".join(f"{name} in {count:,}" for count, name in kinds)
    places = [_places(own, place, field, bad, pairs) for place, field in enumerate(segments)]
    best = max((found for found in places if found is not None), default=None)
    return f"{said} of {pairs:,} replies{best[1] if best else ''}"


def _places(own: Rows, place: int, field: str, bad: int, pairs: int) -> tuple[float, str] | None:
    """Where values of one segment field have more than their share: how much of it they explain, and the words."""
    here = own["what"] == f"{_SEGMENT}{place}"
    cells = [
        (int(plus), int(plus + minus + zero), str(name))
        for plus, minus, zero, name in zip(*(own[key][here] for key in ("plus", "minus", "zero", "name")), strict=True)
    ]
    cells = [cell for cell in cells if _stands_out(*cell[:2], bad, pairs)]
    cells.sort(key=lambda cell: (-cell[0] / cell[1], -cell[0], cell[2]))
    if not cells:
        return None
    named = cells[:MOST_NAMED]
    inside, there = sum(cell[0] for cell in named), sum(cell[1] for cell in named)
    values = " or ".join(f"{name or 'absent'} ({plus:,} of {count:,} there)" for plus, count, name in named)
    share = "all" if inside == bad else f"{inside:,} of them"
    return inside / bad - there / pairs, f", {share} where {field} is {values}"


def _stands_out(plus: int, count: int, bad: int, pairs: int) -> bool:
    """Twice as often inside as outside, and not the whole traffic."""
    outside = pairs - count
    return outside > 0 and plus >= 2 and plus / count >= 2.0 * (bad - plus) / outside
