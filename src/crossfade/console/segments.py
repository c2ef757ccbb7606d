"""Segments on a rollout's page: under each metric the values that are judged, those that come to harm first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.console.charting import figure
from crossfade.console.evidence import denominators
from crossfade.console.markup import Markup, el
from crossfade.view.charts import Chart, forest
from crossfade.view.words import whole

Record = Mapping[str, Any]

Pair = tuple[Record, Record]

WORDS = (("segment", None), ("difference", "number"), ("limit", "number"), ("verdict", None))

ORDER = ("harmful", "undecided", "safe", "unmeasured")

MOST_DRAWN = 24
"""Segments of one metric that are drawn; the table has them all."""


def segments_section(record: Record, base: str) -> Markup | None:
    """All lines by segment; None where the spec declares none."""
    told = record.get("segments")
    lines = zip(record["evidence"], record["lines"], strict=True)
    pairs = [(line, said) for line, said in lines if line["segment"] is not None]
    if not told or not (told["available"] or pairs):
        return None
    if not pairs:
        words = "? No value has enough units to be judged yet."
        return el("section", el("h2", "Segments"), el("p", words, class_="empty"))
    harmful = [el("li", one["text"]) for one in told["harmful"]]
    metrics = dict.fromkeys((line["metric"], line["arm"]) for line, _ in pairs)
    arms = len({arm for _, arm in metrics})
    return el(
        "section",
        el("h2", "Segments"),
        el("p", told["text"], class_="quiet"),
        el("ul", harmful, class_="harmful") if harmful else None,
        [_metric(name, arm, arms > 1, pairs, base) for name, arm in metrics],
    )


def _metric(name: str, arm: str, several: bool, pairs: list[Pair], base: str) -> Markup:
    """One metric's segments, folded unless one of them is harmed."""
    own = in_order(pairs, name, arm)
    counts = [(verdict, sum(line["verdict"] == verdict for line, _ in own)) for verdict in ORDER]
    told = ", ".join(f"{whole(count)} {verdict}" for verdict, count in counts if count)
    title = el(
        "summary",
        el("strong", f"{name} of {arm}" if several else name),
        f" in {whole(len(own))} {'segment' if len(own) == 1 else 'segments'}: {told}",
    )
    chart = _chart(own, name, arm)
    head = el("tr", *(el("th", word, scope="col", class_=how) for word, how in WORDS))
    rows = [_row(line, said) for line, said in own]
    table = el("table", el("thead", head), el("tbody", rows), class_="evidence stacked")
    opened = counts[0][1] > 0
    return el("details", title, figure(chart, base, folded=True), el("div", table, class_="panel"), open=opened or None)


def segment_charts(record: Record) -> dict[str, Chart]:
    """By name, one chart for each metric that is judged by segment."""
    lines = zip(record["evidence"], record["lines"], strict=True)
    pairs = [(line, said) for line, said in lines if line["segment"] is not None]
    metrics = dict.fromkeys((line["metric"], line["arm"]) for line, _ in pairs)
    charts = [_chart(in_order(pairs, name, arm), name, arm) for name, arm in metrics]
    return {chart.name: chart for chart in charts}


def _chart(own: list[Pair], name: str, arm: str) -> Chart:
    drawn = own[:MOST_DRAWN]
    return forest([line for line, _ in drawn], [said for _, said in drawn], name=f"segments-{name}-{arm}", title="")


def in_order(pairs: list[Pair], name: str, arm: str) -> list[Pair]:
    """One metric's lines, harmed ones first."""
    own = [pair for pair in pairs if (pair[0]["metric"], pair[0]["arm"]) == (name, arm)]
    return sorted(own, key=lambda pair: ORDER.index(pair[0]["verdict"]))


def _row(line: Record, said: Record) -> Markup:
    return el(
        "tr",
        el("th", line["segment"], el("small", " · ".join(denominators(said))), scope="row"),
        el("td", said["estimate"], el("small", said["interval"]), class_="number", data_label="difference"),
        el("td", said["limit"], class_="number", data_label="limit"),
        el(
            "td",
            el("span", f"{said['shape']} {line['verdict']}", class_=f"verdict {line['verdict']}"),
            # So near to one that percent without decimals would say 100.
            el("small", said["reason"] or f"at {100.0 * line['confidence']:.4g} %"),
            data_label="verdict",
        ),
    )
