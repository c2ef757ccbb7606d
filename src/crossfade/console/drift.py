"""The part of a rollout's page on drift: the sentence, whose it is, and a small table of what changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.console.charting import figure
from crossfade.console.markup import Markup, el
from crossfade.view.charts import drift
from crossfade.view.drift import SHAPES, about
from crossfade.view.words import moment, whole

Record = Mapping[str, Any]

SIDES = {"input": "input", "output": "prediction", "outcome": "outcome"}

MOST_QUIET = 8
"""Fields that did not change and are shown all the same."""


def drift_part(record: Record | None, base: str = "") -> Markup | None:
    """Nothing where the spec does not ask for it."""
    if not record:
        return None
    said = [
        el("p", f"{SHAPES[one['cause']]} {one['sentence']}", class_="warning" if one["cause"] == "feed" else None)
        for one in record["findings"]
    ]
    changed = [field for field in record["fields"] if field["changed"]]
    quiet = [field for field in record["fields"] if field["measured"] and not field["changed"]]
    rows = [_row(field) for field in (*changed, *quiet[:MOST_QUIET])]
    left = len(quiet) - min(len(quiet), MOST_QUIET) + record["left_out"]
    note = about(record) + (f" {whole(left)} more fields are as in the reference, or not measured." if left > 0 else "")
    table = el("div", el("table", _head(), el("tbody", rows), class_="drift"), class_="panel") if rows else None
    chart = drift(record)
    drawn = figure(chart, base, folded=True) if chart else None
    return el("section", el("h2", "Drift"), said, drawn, table, el("p", note, class_="quiet"))


def _head() -> Markup:
    words = (("field", False), ("arm", False), ("what changed", False), ("since", False), ("PSI", True), ("KS", True))
    more = (*words, ("moved", True), ("requests", True))
    return el("thead", el("tr", [el("th", word, scope="col", class_="number" if n else None) for word, n in more]))


def _row(field: Record) -> Markup:
    now = field["now"]
    chance = field["psi_by_chance"]
    return el(
        "tr",
        el("th", field["field"], el("small", SIDES[field["side"]]), scope="row"),
        el("td", field["arm"] or "all"),
        el(
            "td", el("strong", field["what"]) if field["changed"] else el("span", "as in the reference", class_="quiet")
        ),
        el("td", el("time", moment(field["since"])) if field["since"] else "", class_="quiet"),
        el("td", _number(field["psi"]), el("small", f"{_number(chance)} by chance"), class_="number")
        if field["psi"] is not None
        else el("td", "", class_="number"),
        el("td", _number(field["ks"]), class_="number"),
        el("td", f"{_number(field['wasserstein'])} sd" if field["wasserstein"] is not None else "", class_="number"),
        el("td", whole(now["requests"]) if now else "", class_="number"),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
