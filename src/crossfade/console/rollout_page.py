"""One rollout's page, in the order sentence, exposure, evidence, segments, ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from crossfade.console.acts import acts_bar
from crossfade.console.charting import figure
from crossfade.console.drift import drift_part
from crossfade.console.evidence import evidence_part
from crossfade.console.frame import live_parts, page, rollout_bar
from crossfade.console.list_page import ENDED, link, phase_of
from crossfade.console.markup import Markup, el, join
from crossfade.console.path import path
from crossfade.console.router_part import router_part
from crossfade.console.segments import segments_section
from crossfade.console.twins import twin_links
from crossfade.view.charts import Chart, charts_of
from crossfade.view.outcomes import WORDS
from crossfade.view.words import clock, duration, known_at, moment, percent, unmeasured, untold, whole

Record = Mapping[str, Any]

Charts = Mapping[str, Chart]

LONG = 130
"""Characters of a sentence that fill more than three lines of a heading: it is set smaller."""

STALE = 15.0
"""Seconds after which a living rollout's record is called old."""


def rollout_page(record: Record, past: Record, now: float) -> str:
    """The whole page; `past` is the rollout's history."""
    charts, base = charts_of(record, past), link(record["name"])
    parts = [
        _sentence(record, now),
        acts_bar(record),
        router_part(record.get("router")),
        _exposure(record, charts, base),
        evidence_part(record, charts, base),
        segments_section(record, base),
        _harm(record, charts, base),
        _ageing(record.get("ageing"), charts, base),
        _outcomes(record.get("outcomes")),
        drift_part(record.get("drift"), base),
        _arms(record),
        _ledger(record),
    ]
    whole_page = [rollout_bar(record["name"], ""), *live_parts(parts), twin_links(base)]
    return page(record["name"], whole_page, now, refresh=30 if record["phase"] in ENDED else 3)


def _sentence(record: Record, now: float) -> Markup:
    told = []
    if record["progress"]:
        told.append(record["progress"]["text"])
    following = record["next"]
    if following["what"]:
        told.append(following["what"])
    if record["held"]:
        told.append(f"held by {record['held']['by']} since {clock(record['held']['since'])}")
    approval = record.get("approval")
    if approval:
        given = ", ".join(one["by"] for one in approval["given"]) or "nobody yet"
        told.append(f"{approval['stage']} needs the approval of {approval['wanted']}; given by {given}")
    age = now - record["at"]
    stale = record["phase"] not in (*ENDED, "pending") and age > STALE
    return el(
        "section",
        el("div", phase_of(record), el("code", record["route"]), class_="name"),
        el("h1", record["sentence"], class_=record["tone"] + (" long" if len(record["sentence"]) > LONG else "")),
        el("p", " · ".join(told), class_="quiet") if told else None,
        el("p", f"? Measured {duration(age)} ago: the controller has been silent since.", class_="warning")
        if stale
        else None,
        path(record["stages"]),
        class_="sentence",
    )


def _exposure(record: Record, charts: Charts, base: str) -> Markup:
    exposure, stopped = record["exposure"], record["phase"] == "rolled_back"
    figures = [
        _figure(percent(exposure["planned"]), "planned share of units"),
        _figure(percent(exposure["actual"]), "share before it stopped" if stopped else "actual share"),
        *(_figure(whole(n), f"units on {arm}") for arm, n in exposure["units"].items()),
    ]
    return el(
        "section",
        el("h2", "Exposure"),
        el("div", figures, class_="figures"),
        figure(charts["exposure"], base)
        if "exposure" in charts
        else el(
            "p",
            f"? {record['harm']['arm']} has seen no traffic. This begins when somebody starts it.",
            class_="empty",
        ),
        _losses(record),
    )


def _figure(value: str, label: str) -> Markup:
    return el("div", el("b", value), el("span", label))


def _ageing(ageing: Record | None, charts: Charts, base: str) -> Markup | None:
    """Each metric's difference by days since first exposure: novelty wears off, learning grows, erosion turns."""
    if not ageing:
        return None
    told = []
    for metric in ageing["metrics"]:
        drawn = charts.get(f"ageing-{metric['metric']}-{metric['arm']}")
        told.append(figure(drawn, base) if drawn else None)
        told.append(_by_day(metric, ageing["confidence"]))
    note = el("p", ageing["note"] + ".", class_="quiet")
    return el("section", el("h2", "By days since first exposure"), note, told)


def _by_day(metric: Record, confidence: str) -> Markup:
    arms = (metric["arm"], metric["baseline"])
    rows = [
        el(
            "tr",
            el("th", f"day {day['age'] + 1}", scope="row"),
            el("td", day["text"]["estimate"], class_="number", data_label="difference"),
            el("td", day["text"]["interval"], class_="number", data_label="interval"),
            [
                el(
                    "td",
                    f"{day['text']['values'][arm]} of {day['text']['units'][arm]}",
                    class_="number",
                    data_label=arm,
                )
                for arm in arms
            ],
        )
        for day in metric["days"]
    ]
    head = _head((metric["metric"], "difference", f"{confidence} interval", *arms), {1, 2, 3, 4})
    return el("div", el("table", head, el("tbody", rows), class_="stacked"), class_="panel")


def _outcomes(outcomes: Record | None) -> Markup | None:
    """How many there were of each sort, what that means, and whose windows are still open."""
    if not outcomes:
        return None
    if all(outcomes[key] is None for key in WORDS):
        words = "? None has been counted yet. Report them to POST /api/v1/outcomes under the id of each reply."
        return el("section", el("h2", "Outcomes"), el("p", words, class_="empty"))
    rows = [
        el(
            "tr",
            el("th", word, scope="row"),
            el("td", whole(outcomes[key]), class_="number"),
            el("td", means, class_="quiet"),
        )
        for key, (word, means) in WORDS.items()
        if outcomes[key] or key == "received"
    ]
    none = [word for key, (word, _) in WORDS.items() if outcomes[key] == 0 and key != "received"]
    unknown = [word for key, (word, _) in WORDS.items() if outcomes[key] is None and key != "received"]
    absent = [f"None is {', '.join(none)}." if none else "", f"Not counted: {', '.join(unknown)}." if unknown else ""]
    windows = [
        el(
            "tr",
            el("th", name, scope="row"),
            el("td", percent(seen["immature"]), class_="number"),
            el("td", seen["text"], class_="quiet"),
        )
        for name, seen in outcomes["windows"].items()
    ]
    tables = [
        el("div", el("table", _head(("outcomes", "number", "what they are"), {1}), el("tbody", rows)), class_="panel"),
        el("p", " ".join(filter(None, absent)), class_="quiet") if any(absent) else None,
        el("div", el("table", _head(("metric", "immature", "why"), {1}), el("tbody", windows)), class_="panel"),
    ]
    return el("section", el("h2", "Outcomes"), tables)


def _arms(record: Record) -> Markup:
    rows = [
        el(
            "tr",
            el("th", name, class_="challenger" if arm["role"] == "challenger" else None, scope="row"),
            el("td", arm["role"], class_="quiet"),
            [
                el("td", whole(arm[key]), class_="number", data_label=word)
                for key, word in (("requests", "requests"), ("failures", "failed"), ("fallbacks", "fell back"))
            ],
            el("td", percent(arm["share"]), class_="number", data_label="share"),
            el("td", el("code", arm["url"]), class_="quiet"),
        )
        for name, arm in record["arms"].items()
    ]
    words = ("arm", "role", "requests", "failed", "fell back", "share", "where")
    table = el("table", _head(words, {2, 3, 4, 5}), el("tbody", rows), class_="stacked")
    return el("section", el("h2", "Arms"), el("div", table, class_="panel"))


def _head(words: Sequence[str], numbers: set[int]) -> Markup:
    cells = [el("th", word, class_="number" if i in numbers else None, scope="col") for i, word in enumerate(words)]
    return el("thead", el("tr", cells))


def _losses(record: Record) -> Markup | None:
    """What was not measured; shown only where there was anything."""
    told = unmeasured(record["counts"])
    told += [untold(one) for one in record.get("notices") or () if one["error"]]
    if named := [one for one in (record.get("found") or {}).get("found", ()) if not one["explained_by"]]:
        told.append("exploratory: " + "; ".join(one["sentence"] for one in named))
    if record.get("excluded"):
        told.append(f"kept on the champion: {', '.join(record['excluded'])}")
    if record["lease"]["held"] is False:
        told.append("the gateways do not hear the controller: only the champion serves")
    return el("p", "? " + " · ".join(told), class_="warning") if told else None


def _harm(record: Record, charts: Charts, base: str) -> Markup | None:
    harm = record["harm"]
    if not harm["units"]:
        return None
    items = [
        el("li", metric["text"], [el("small", text) for text in metric["arithmetic"]]) for metric in harm["metrics"]
    ]
    served = f"{whole(harm['units'])} units have been served by {harm['arm']}; {known_at(record)}."
    return el(
        "section",
        el("h2", "Harm"),
        el("p", served),
        figure(charts["harm"], base) if "harm" in charts else None,
        el("ul", items, class_="sums") if items else None,
    )


def _ledger(record: Record) -> Markup:
    rows = [
        el(
            "tr",
            el("td", entry["n"], class_="number quiet"),
            el("td", el("time", moment(entry["at"])), class_="quiet"),
            el("td", el("strong", entry["move"] or entry["rule"])),
            el("td", entry["reason"]),
            el("td", entry["actor"] if entry["actor"] != "rule" else f"rule {entry['rule']}", class_="quiet"),
        )
        for entry in reversed(record["decisions"])
    ]
    if not rows:
        return el(
            "section",
            el("h2", "Ledger"),
            el(
                "p",
                "No moves yet. Each one will stand here with its reason, chained to the one before it.",
                class_="empty",
            ),
        )
    head = _head(("n", "at (UTC)", "move", "why", "by"), {0})
    differences = el("a", "where replies differ", href=f"{link(record['name'])}/differences")
    source = el("a", "the whole chain as JSON", href=f"/api/v1/rollouts/{quote(record['name'], safe='')}/ledger")
    return el(
        "section",
        el("h2", "Ledger"),
        el("div", el("table", head, el("tbody", rows), class_="ledger stacked"), class_="panel"),
        el("p", join(["Revision ", el("code", record["revision"]), " · ", source, " · ", differences]), class_="quiet"),
    )
