"""What a shadow's page shows beside where replies differ: latency, cost, failures, and what was not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.console.markup import Markup, el
from crossfade.view.words import amount, signed, whole

Record = Mapping[str, Any]


def beside(arm: Record) -> Markup:
    """Both models' latency and cost over the same requests, and replies that were none."""
    return el("div", _paired(arm), _failed(arm), _unmeasured(arm))


def _paired(arm: Record) -> Markup | None:
    lines = [(word, arm[word]) for word in ("latency", "cost") if arm.get(word) and arm[word]["units"]]
    if not lines:
        return None
    words = ("", "champion", arm["arm"], "difference", "interval", "p50", "p99")
    cells = [el("th", word, scope="col", class_="number" if word else None) for word in words]
    rows = [_line(word, figures, words[1:]) for word, figures in lines]
    missing = arm["cost"]["missing"] if arm.get("cost") else 0
    told = f"Means and their difference over {whole(arm['latency']['units'])} units; quantiles over requests."
    told += f" {whole(missing)} pairs have no cost in one of the replies and are left out." if missing else ""
    table = el("table", el("thead", el("tr", cells)), el("tbody", rows), class_="stacked")
    return el(
        "div",
        el("h3", "The same requests, side by side"),
        el("div", table, class_="panel"),
        el("p", told, class_="quiet"),
    )


def _line(word: str, figures: Record, words: Sequence[str]) -> Markup:
    unit, ours, theirs = figures["unit"], figures["champion"], figures["challenger"]
    ends = [_change(figures[end], unit) for end in ("lower", "upper")]
    interval = f"{ends[0]} to {ends[1]}" if figures["lower"] is not None else "too few units yet"
    told = (
        _size(ours["mean"], unit),
        _size(theirs["mean"], unit),
        _change(figures["difference"], unit),
        interval,
        *(f"{_size(ours[q], unit)} → {_size(theirs[q], unit)}" for q in ("p50", "p99")),
    )
    return el(
        "tr",
        el("th", word, scope="row"),
        [el("td", text, class_="number", data_label=of) for text, of in zip(told, words, strict=True)],
    )


def _size(value: float | None, unit: str) -> str:
    """A cost may be a millionth of a unit: its digits count, not its decimals."""
    return amount(value, unit) if unit or value is None else f"{value:,.4g}"


def _change(value: float | None, unit: str) -> str:
    return signed(value, unit) if unit or value is None else f"{value:+,.3g}".replace("-", "−")


def _failed(arm: Record) -> Markup | None:
    failed = arm["failed"]
    if not any(failed.values()):
        return None
    told = [
        el(
            "li",
            f"{who}: ",
            ", ".join(f"{kind} {whole(n)}" for kind, n in sorted(some.items(), key=lambda one: -one[1])),
        )
        for who, some in (("champion", failed["champion"]), (arm["arm"], failed["challenger"]))
        if some
    ]
    return el("div", el("h3", "Replies that failed"), el("ul", told))


def _most_first(counts: Record) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _unmeasured(arm: Record) -> Markup | None:
    told = [
        el("li", f"? {path}: {whole(n)} pairs left out: {why}")
        for path, reasons in arm.get("unmeasured", {}).items()
        for why, n in reasons.items()
    ]
    return el("div", el("h3", "Not measured"), el("ul", told, class_="warning")) if told else None
