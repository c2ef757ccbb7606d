"""Units by what their requests said in the spec's segment fields, as queries; and how a sum becomes one for each.

A unit's value of a field is what its first request in the stage said: a value that an arm may change does not move a
unit. Of each field the values with enough units are told apart, in the order in which they came to have enough; those
beyond the first `MOST` are counted together. That order looks at all arms alike, so that it says nothing of any.
"""

from __future__ import annotations

from typing import Any

import ibis

from crossfade.judge.measure.tables import EXPOSURES, FACTS, LOOK, UNITS, Expr, counted, during, element
from crossfade.judge.plan import MOST_SEGMENTS

MOST = MOST_SEGMENTS
"""Values of one field that are told apart."""

SUPPORT = 100
"""Units (in shadow: mirrored requests), of all arms together, that a value needs before it is told apart."""

OTHER = -1
"""The place under which values that are not told apart are counted."""

SEGMENT = ("field", "place")
"""The columns that say which segment a row belongs to: the spec's field, and the place of the value in it."""

SAID: Expr = ibis.table({"unit": "string", "field": "int64", "value": "string", "entered": "float64"}, name="said")
"""`said` of the look, kept by an engine that does not want to compute it once per metric."""

NAMED: Expr = ibis.table({"field": "int64", "value": "string", "place": "int64"}, name="named")
"""`named` of the look, likewise."""

LABELS: Expr = ibis.table({"unit": "string", "field": "int64", "place": "int64"}, name="labels")
"""`labels` of the look, likewise."""


def said(fields: int, exposed: Expr = EXPOSURES, entered: Expr = UNITS) -> Expr:
    """Each unit's value of each field at its first exposure in the stage, and when that was; '' where it had none."""
    begun = entered.select(whose="unit", begun="entered")
    # Of requests at the very same moment the smallest value counts, so that nobody has to keep decision ids.
    at_first = exposed.join(begun, [exposed["unit"] == begun["whose"], exposed["elapsed"] == begun["begun"]])
    values = {f"value_{place}": ibis.coalesce(element(at_first["segments"], place), "") for place in range(fields)}
    valued = at_first.select("unit", "elapsed", **values)
    one = valued.group_by("unit", "elapsed").agg(**{name: valued[name].min() for name in values})
    return _union(
        [
            one.select("unit", field=ibis.literal(place, "int64"), value=one[name], entered=one["elapsed"])
            for place, name in enumerate(values)
        ]
    )


def named(valued: Expr = SAID) -> Expr:
    """The values of each field that are told apart, in the order in which they came to have enough units."""
    ranked = valued.select("field", "value", "entered")
    ranked = ranked.mutate(rank=ibis.row_number().over(group_by=["field", "value"], order_by=["entered"]))
    enough = ranked.filter(ranked["rank"] == SUPPORT - 1)
    enough = enough.select("field", "value", reached=enough["entered"])
    placed = enough.mutate(place=ibis.row_number().over(group_by="field", order_by=["reached", "value"]))
    kept = placed.filter(placed["place"] < MOST)
    return kept.select("field", "value", place=kept["place"].cast("int64"))


def labels(valued: Expr = SAID, apart: Expr = NAMED) -> Expr:
    """Each unit in each field in which its value is told apart, with the place of that."""
    told, same = _named_too(valued, apart)
    both = valued.join(told, same)
    return both.select("unit", "field", place=both["at"])


def heard(valued: Expr = SAID, apart: Expr = NAMED) -> Expr:
    """Per field and place how many units, and the value; together for those that are not told apart, and how many."""
    told, same = _named_too(valued, apart)
    both = valued.left_join(told, same)
    placed = both.select("field", "value", place=ibis.coalesce(both["at"], OTHER).cast("int64"))
    return placed.group_by("field", "place").agg(
        value=placed["value"].min(), units=placed.count(), values=placed["value"].nunique()
    )


def spread(table: Expr, by: tuple[str, ...]) -> Expr:
    """A table of units with a row for each field that the unit has a segment in; as it is where nobody asks `by` it."""
    return table.join(LABELS, "unit") if by else table


def pairs_heard(fields: int, compared: Expr = FACTS["compared"], look: Expr = LOOK) -> Expr:
    """`heard` of mirrored requests. Each has its own values: nobody saw an answer that could have changed them."""
    valued = _pairs_said(during(compared, look), fields)
    return heard(valued, named(valued))


def pairs_signed(pairs: Expr, fields: int, compared: Expr = FACTS["compared"], look: Expr = LOOK) -> Expr:
    """Counts of `d` > 0, < 0 and = 0 of mirrored requests, per arm and segment."""
    apart = named(_pairs_said(during(compared, look), fields))
    valued = _pairs_said(pairs, fields, "arm", "d")
    told, same = _named_too(valued, apart)
    both = valued.join(told, same)
    told = both.select("arm", "d", "field", place=both["at"], bucket=ibis.literal(0, "int64"))
    return told.group_by(*SEGMENT, "arm", "bucket").agg(
        plus=counted(told["d"] > 0).sum(),
        minus=counted(told["d"] < 0).sum(),
        zero=counted(told["d"] == 0).sum(),
    )


def slice_of(elapsed: Expr) -> Expr:
    """Slices of time whose length grows with what came before them: four for each doubling.

    Inference learns anew only when the units have grown by a quarter or more, so that finer slices of each segment
    would be work for nothing.
    """
    second = ibis.greatest(elapsed, 0.0).floor()
    cases: list[tuple[Any, Any]] = [(second < 8.0, second)]
    for power in range(3, 30):
        within = ((second - float(2**power)) / float(2 ** (power - 2))).floor()
        cases.append((second < float(2 ** (power + 1)), within + float(8 + 4 * (power - 3))))
    return ibis.cases(*cases, else_=float(8 + 4 * 27)).cast("int64")


def _named_too(valued: Expr, apart: Expr) -> tuple[Expr, list[Any]]:
    """`named` under other names, and how it goes together with values."""
    told = apart.select(of="field", what="value", at="place")
    return told, [valued["field"] == told["of"], valued["value"] == told["what"]]


def _pairs_said(pairs: Expr, fields: int, *more: str) -> Expr:
    return _union(
        [
            pairs.select(
                *more,
                field=ibis.literal(place, "int64"),
                value=ibis.coalesce(element(pairs["segments"], place), ""),
                entered=pairs["elapsed"],
            )
            for place in range(fields)
        ]
    )


def _union(parts: list[Expr]) -> Expr:
    return parts[0].union(*parts[1:]) if len(parts) > 1 else parts[0]
