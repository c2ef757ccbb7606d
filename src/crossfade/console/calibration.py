"""Calibration on a shadow's page: a chart and a table by bins of what both models said and what came true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.console.charting import figure
from crossfade.console.markup import Markup, el
from crossfade.view.charts import calibration
from crossfade.view.words import percent, signed, whole

Record = Mapping[str, Any]


def calibration_of(record: Record, base: str = "") -> list[Markup]:
    """A section for each challenger; nothing where nobody asked for it, and the reason where there is nothing yet."""
    return [_arm(arm, base) for arm in record["arms"]]


def _arm(arm: Record, base: str) -> Markup:
    ours, theirs = arm["champion"], arm["challenger"]
    interval = (
        "an interval needs 100 labels"
        if arm["lower"] is None
        else f"{signed(arm['lower'], 'pp')} to {signed(arm['upper'], 'pp')}"
    )
    told = (
        f"Expected calibration error over {whole(arm['labels'])} labels: champion {percent(ours['error'])}, "
        f"{arm['arm']} {percent(theirs['error'])}. Difference without what chance alone adds: "
        f"{signed(arm['difference'], 'pp')} ({interval})."
    )
    words = ("said", "champion said", "came true", "labels", f"{arm['arm']} said", "came true", "labels")
    head = el("tr", [el("th", word, scope="col", class_="number" if at else None) for at, word in enumerate(words)])
    rows = [_row(a, b) for a, b in zip(ours["bins"], theirs["bins"], strict=True) if a["n"] or b["n"]]
    table = el("table", el("thead", head), el("tbody", rows), class_="fields")
    title = el("h2", f"Calibration of {arm['arm']} against the champion")
    return el(
        "section", title, el("p", told), figure(calibration(arm), base, folded=True), el("div", table, class_="panel")
    )


def _row(ours: Record, theirs: Record) -> Markup:
    told = [text for one in (ours, theirs) for text in (percent(one["said"]), percent(one["came"]), whole(one["n"]))]
    said = f"{percent(ours['from'])} to {percent(ours['to'])}"
    return el("tr", el("th", said, scope="row"), [el("td", text, class_="number") for text in told])
