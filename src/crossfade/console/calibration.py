"""Calibration on a shadow's page: a curve and a table by bins of what both models said and what came true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.console.markup import Markup, el
from crossfade.view.words import percent, signed, whole

Record = Mapping[str, Any]

SIZE, EDGE = 260.0, 20.0


def calibration_of(record: Record) -> list[Markup]:
    """A section for each challenger; nothing where nobody asked for it, and the reason where there is nothing yet."""
    return [_arm(arm) for arm in record["arms"]]


def _arm(arm: Record) -> Markup:
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
    return el("section", title, el("p", told), _curve(arm), el("div", table, class_="panel"))


def _row(ours: Record, theirs: Record) -> Markup:
    told = [text for one in (ours, theirs) for text in (percent(one["said"]), percent(one["came"]), whole(one["n"]))]
    said = f"{percent(ours['from'])} to {percent(ours['to'])}"
    return el("tr", el("th", said, scope="row"), [el("td", text, class_="number") for text in told])


def _curve(arm: Record) -> Markup:
    """What came true over what was said; dots as large as their labels are many, and the line of a calibrated model."""
    low, high = EDGE, SIZE - EDGE
    parts = [el("line", x1=low, y1=high, x2=high, y2=low, class_="axis")]
    for side, state in (("champion", "past"), ("challenger", "here")):
        for one in arm[side]["bins"]:
            if one["n"]:
                radius = 2.0 + 8.0 * (one["n"] / arm["labels"]) ** 0.5
                x, y = low + (high - low) * one["said"], high - (high - low) * one["came"]
                label = f"{side}: said {percent(one['said'])}, came {percent(one['came'])}, {whole(one['n'])} labels"
                parts.append(el("circle", el("title", label), cx=x, cy=y, r=radius, class_=f"stair {state}"))
    title = el("title", "What came true over what was said, by bins")
    return el("svg", title, parts, viewBox=f"0 0 {SIZE:g} {SIZE:g}", width=SIZE, height=SIZE, role="img")
