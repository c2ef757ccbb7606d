"""Segments on a rollout's page: under each metric the values that are judged, those that come to harm first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.console.drawings import forest_row
from crossfade.console.markup import Markup, el
from crossfade.view.words import whole

Record = Mapping[str, Any]

ORDER = ("harmful", "undecided", "safe", "unmeasured")


def segments_section(record: Record) -> Markup | None:
    """All lines by segment; None where the spec declares none."""
    told = record.get("segments")
    lines = zip(record["evidence"], record["lines"], strict=True)
    pairs = [(line, said, row) for row, (line, said) in enumerate(lines) if line["segment"] is not None]
    if not told or not (told["available"] or pairs):
        return None
    if not pairs:
        words = "No value has enough units to be judged yet."
        return el("section", el("h2", "Segments"), el("p", words, class_="quiet"))
    harmful = [el("li", one["text"]) for one in told["harmful"]]
    metrics = dict.fromkeys((line["metric"], line["arm"]) for line, *_ in pairs)
    arms = len({arm for _, arm in metrics})
    return el(
        "section",
        el("h2", "Segments"),
        el("p", told["text"], class_="quiet"),
        el("ul", harmful, class_="harmful") if harmful else None,
        [_metric(name, arm if arms > 1 else "", pairs, arm) for name, arm in metrics],
    )


def _metric(name: str, of: str, pairs: list[tuple[Record, Record, int]], arm: str) -> Markup:
    """One metric's segments, folded unless one of them is harmed."""
    own = [pair for pair in pairs if (pair[0]["metric"], pair[0]["arm"]) == (name, arm)]
    own.sort(key=lambda pair: ORDER.index(pair[0]["verdict"]))
    counts = [(verdict, sum(line["verdict"] == verdict for line, *_ in own)) for verdict in ORDER]
    told = ", ".join(f"{whole(count)} {verdict}" for verdict, count in counts if count)
    title = el("summary", el("strong", f"{name} of {of}" if of else name), f" in {whole(len(own))} segments: {told}")
    head = el("tr", *(el("th", word, scope="col") for word in ("segment", "", "difference", "limit", "verdict")))
    rows = [_row(row, line, said) for line, said, row in own]
    table = el("table", el("thead", head), el("tbody", rows), class_="evidence")
    opened = counts[0][1] > 0
    return el("details", title, el("div", table, class_="panel"), open=opened or None)


def _row(row: int, line: Record, said: Record) -> Markup:
    units = " · ".join(
        f"{arm} {said['values'][arm]} of {n}" if said["values"].get(arm) else f"{arm} {n} units"
        for arm, n in said["units"].items()
    )
    return el(
        "tr",
        el("th", line["segment"], el("small", units), scope="row"),
        el("td", forest_row(line, row), class_="drawn"),
        el("td", said["estimate"], el("small", said["interval"]), class_="number"),
        el("td", said["limit"], class_="number"),
        el(
            "td",
            el("span", f"{said['shape']} {line['verdict']}", class_=f"verdict {line['verdict']}"),
            # So near to one that percent without decimals would say 100.
            el("small", said["reason"] or f"at {100.0 * line['confidence']:.4g} %"),
        ),
    )
