"""The part of a rollout's page on evidence: charts that suit the stage, and every number behind them as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.console.charting import figure, later
from crossfade.console.markup import Markup, el
from crossfade.view.charts import Chart
from crossfade.view.words import percent, promoted_by, seen_in

Record = Mapping[str, Any]

WAITS = {
    "pending": "There is nothing to judge before somebody starts it.",
    "held": "Nothing has been measured in this stage yet, and while the rollout is held its exposure stays as it is.",
}

ASKED = "always-valid: looking often does not spoil them"


def evidence_part(record: Record, charts: Mapping[str, Chart], base: str) -> Markup:
    """Differences first where answers are hidden, the preference first where lists are merged, then every metric."""
    lines = zip(record["evidence"], record["lines"], strict=True)
    pairs = [(line, said) for line, said in lines if line["segment"] is None]
    hidden = record["stage"] == "shadow"
    fields = later("fields", "Where replies differ", FIELDS, base) if hidden and pairs else None
    if not pairs:
        text = WAITS.get(record["phase"], "Nothing has been measured yet: the first look comes with requests.")
        return el("section", el("h2", "Evidence"), el("p", f"? {text}", class_="empty"))
    where = f"{seen_in(record).strip().capitalize()}: " if seen_in(record) else ""
    note = f"{where}{record['harm']['arm']} − champion. Intervals are {ASKED}."
    promotion = promoted_by(record)
    bands = [figure(chart, base) for name, chart in charts.items() if name.startswith("band-")]
    more = el("p", el("a", "Fields, examples and segments in which replies differ", href=f"{base}/differences"))
    return el(
        "section",
        el("h2", "Evidence"),
        el("p", note, class_="quiet"),
        el("p", el("a", "The evidence that promoted it", href=f"{base}/ledger/{promotion}"))
        if promotion is not None
        else None,
        el("p", record["votes"]["text"]) if record["votes"] else None,
        figure(charts["preference"], base) if "preference" in charts else None,
        el("p", el("a", "Lists as users saw them, and whether places are dealt evenly", href=f"{base}/lists"))
        if record["stage"] == "interleave"
        else None,
        figure(charts["forest"], base, folded=True) if "forest" in charts else None,
        _table(pairs),
        _worth(record.get("worth")),
        fields,
        more if hidden else None,
        el("div", bands, class_="grid") if bands else None,
    )


FIELDS = "How often replies differ by field, beside how often the champion differs from its own second answer."


def _table(pairs: Sequence[tuple[Record, Record]]) -> Markup:
    words = (("metric", False), ("values", False), ("difference", True), ("limit", True), ("verdict", False))
    head = el("tr", [el("th", word, scope="col", class_="number" if number else None) for word, number in words])
    rows = [_row(line, said) for line, said in pairs]
    return el("div", el("table", el("thead", head), el("tbody", rows), class_="evidence stacked"), class_="panel")


def _row(line: Record, said: Record) -> Markup:
    toward = said["toward"]
    distance = [f"{percent(round(toward[way], 2))} toward {way}" for way in ("safe", "harm") if toward[way]]
    undecided = line["verdict"] == "undecided"
    change = line.get("change")
    late = el("small", f"began late, {change['after']:.0f} s into the stage") if change else None
    return el(
        "tr",
        el("th", el("strong", line["metric"]), el("small", line["role"]), scope="row"),
        el("td", [el("span", text, class_="of") for text in denominators(said)], data_label="values"),
        el("td", said["estimate"], el("small", said["interval"]), class_="number", data_label="difference"),
        el("td", said["limit"], class_="number", data_label="limit"),
        el(
            "td",
            el("span", f"{said['shape']} {line['verdict']}", class_=f"verdict {line['verdict']}"),
            el("small", said["reason"] or (" · ".join(distance) if undecided else f"at {said['confidence']}")),
            el("small", said["unadjusted"]) if said.get("unadjusted") else None,
            late,
            data_label="verdict",
        ),
    )


def denominators(said: Record) -> list[str]:
    """Each arm's value with the units that it is of."""
    return [
        f"{arm} {said['values'][arm]} of {n}" if said["values"].get(arm) else f"{arm} {n} units"
        for arm, n in said["units"].items()
    ]


def _worth(worth: Record | None) -> Markup | None:
    """What a preference may be worth, and what earlier rollouts that were tested both ways have shown."""
    if not worth:
        return None
    told = [el("p", one["text"][:1].upper() + one["text"][1:], ".") for one in worth["expected"]]
    past = [el("li", one["text"]) for one in worth["both"]]
    note = el("p", worth["note"], class_="quiet") if worth["note"] else None
    return el("div", el("h3", "What a preference may be worth"), told, note, el("ul", past) if past else None)
