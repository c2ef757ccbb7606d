"""The pages: a list of rollouts, and one rollout in the order sentence, exposure, evidence, ledger.

They are rendered here and show the record that the JSON API and the terminal give. None needs a script; one renews
their parts while somebody looks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from crossfade.console.acts import acts_bar
from crossfade.console.drawings import forest_row, staircase
from crossfade.console.drift import drift_part
from crossfade.console.frame import live, live_parts, page, rollout_bar
from crossfade.console.markup import Markup, el, join
from crossfade.console.segments import segments_section
from crossfade.console.twins import as_csv, as_json, twin_links
from crossfade.rim.standing import all_standing, nearest, standing
from crossfade.rim.store import Store, UnknownRollout
from crossfade.view import status
from crossfade.view.outcomes import WORDS
from crossfade.view.words import clock, duration, moment, of_which, percent, untold, whole

Record = Mapping[str, Any]

ENDED = ("rolled_back", "finished")

STALE = 15.0
"""Seconds after which a living rollout's record is called old."""

LIST_COLUMNS = ("name", "phase", "stage", "step", "planned", "actual", "units", "sentence", "revision", "route", "at")

EVIDENCE_COLUMNS = (
    "metric", "role", "arm", "baseline", "stage", "step", "segment", "verdict", "estimate", "lower", "upper", "limit",
    "confidence", "e_value", "e_value_safe", "units", "values", "events", "immature", "reason",
)  # fmt: skip

MARKS = {"grey": "●", "accent": "▶", "amber": "?", "red": "✖", "green": "◆"}


def router(store: Store) -> APIRouter:
    """The list of rollouts, and the page of each."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/", response_class=HTMLResponse)
    def home() -> HTMLResponse:
        return HTMLResponse(shown(store, "/", time.time()))

    @routes.get("/rollouts.json")
    def all_told() -> Response:
        return as_json(status(all_standing(store, time.time())))

    @routes.get("/rollouts.csv")
    def all_rows() -> Response:
        return as_csv([list_row(record) for record in all_standing(store, time.time())], LIST_COLUMNS, "rollouts")

    @routes.get("/rollouts/{name}.json")
    def told(name: str) -> Response:
        return as_json(standing(store, name, time.time()))

    @routes.get("/rollouts/{name}.csv")
    def rows(name: str) -> Response:
        return as_csv(standing(store, name, time.time())["evidence"], EVIDENCE_COLUMNS, f"{name}-evidence")

    @routes.get("/rollouts/{name}", response_class=HTMLResponse)
    def one(name: str) -> HTMLResponse:
        now = time.time()
        try:
            return HTMLResponse(rollout_page(standing(store, name, now), now))
        except UnknownRollout as error:
            return HTMLResponse(missing_page(name, nearest(error, store), now), 404)

    return routes


def shown(store: Store, path: str, now: float) -> str | None:
    """The page at a path that is renewed while somebody looks; None where there is none. Raises UnknownRollout."""
    if path == "/":
        records = all_standing(store, now)
        return rollout_page(records[0], now) if len(records) == 1 else list_page(records, now)
    prefix, name = path[:10], unquote(path[10:])
    return rollout_page(standing(store, name, now), now) if prefix == "/rollouts/" and "/" not in name else None


def list_row(record: Record) -> Record:
    """A rollout as a row of the list's CSV."""
    exposure = {key: record["exposure"][key] for key in ("planned", "actual")}
    return {**record, **exposure, "units": sum(record["exposure"]["units"].values())}


def list_page(records: Sequence[Record], now: float) -> str:
    """Every rollout with its sentence and where it stands."""
    if not records:
        begin = el("p", "Begin with ", el("code", "crossfade serve SPEC"), ".")
        body = el("section", el("h1", "No rollouts yet"), begin)
        return page("Rollouts", body, now, refresh=5)
    cards = [
        live(
            record["name"],
            el(
                "a",
                el("div", _name(record), el("p", record["sentence"])),
                staircase(record["stages"], record["exposure"]["actual"]),
                href=_link(record["name"]),
                class_="card",
            ),
        )
        for record in records
    ]
    listed = el("section", el("h1", "Rollouts"), cards, class_="cards")
    return page("Rollouts", [listed, twin_links("/rollouts")], now, refresh=5)


def missing_page(name: str, close: Sequence[str], now: float) -> str:
    """No such rollout."""
    hints = [el("a", other, href=_link(other)) for other in close]
    body = el(
        "section",
        el("h1", f"No rollout is named {name}"),
        el("p", "Did you mean ", hints, "?") if hints else None,
        el("p", el("a", "All rollouts", href="/")),
    )
    return page(name, body, now)


def rollout_page(record: Record, now: float) -> str:
    """One rollout: sentence, exposure, evidence, ledger."""
    told = [_sentence(record, now), _exposure(record), _evidence(record), segments_section(record)]
    body = [
        told[0],
        acts_bar(record),
        *told[1:],
        _harm(record["harm"]),
        _ageing(record.get("ageing")),
        _outcomes(record.get("outcomes")),
        drift_part(record.get("drift")),
        _arms(record),
        _ledger(record),
    ]
    name = record["name"]
    whole_page = [rollout_bar(name, ""), *live_parts(body), twin_links(_link(name))]
    return page(name, whole_page, now, refresh=30 if record["phase"] in ENDED else 3)


def _link(name: str) -> str:
    return f"/rollouts/{quote(name, safe='')}"


def _name(record: Record, *more: Markup) -> Markup:
    tone = record["tone"]
    phase = el("span", f"{MARKS[tone]} {record['phase'].replace('_', ' ')}", class_=f"phase {tone}")
    return el("div", el("strong", record["name"]), phase, more, class_="name")


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
        _name(record, el("code", record["route"])),
        el("h1", record["sentence"], class_=record["tone"]),
        el("p", " · ".join(told), class_="quiet") if told else None,
        el("p", f"? Measured {duration(age)} ago: the controller has been silent since.", class_="warning")
        if stale
        else None,
        class_="sentence",
    )


def _exposure(record: Record) -> Markup:
    exposure, stopped = record["exposure"], record["phase"] == "rolled_back"
    figures = [
        _figure(percent(exposure["planned"]), "planned share of units"),
        _figure(percent(exposure["actual"]), "share before it stopped" if stopped else "actual share, the line across"),
        *(_figure(whole(n), f"units on {arm}") for arm, n in exposure["units"].items()),
    ]
    return el(
        "section",
        el("h2", "Exposure"),
        el("div", staircase(record["stages"], exposure["actual"]), class_="panel"),
        el("div", figures, class_="figures"),
        _losses(record),
    )


def _figure(value: str, label: str) -> Markup:
    return el("div", el("b", value), el("span", label))


def _ageing(ageing: Record | None) -> Markup | None:
    """Each metric's difference by days since first exposure: novelty wears off, learning grows, erosion turns."""
    if not ageing:
        return None
    tables = []
    for metric in ageing["metrics"]:
        arms = (metric["arm"], metric["baseline"])
        rows = [
            el(
                "tr",
                el("th", f"day {day['age'] + 1}", scope="row"),
                el("td", day["text"]["estimate"], class_="number"),
                el("td", day["text"]["interval"], class_="number"),
                [
                    el("td", f"{day['text']['values'][arm]} of {day['text']['units'][arm]}", class_="number")
                    for arm in arms
                ],
            )
            for day in metric["days"]
        ]
        head = _head((metric["metric"], "difference", f"{ageing['confidence']} interval", *arms), {1, 2, 3, 4})
        tables.append(el("div", el("table", head, el("tbody", rows)), class_="panel"))
    return el(
        "section", el("h2", "By days since first exposure"), el("p", ageing["note"] + ".", class_="quiet"), tables
    )


def _outcomes(outcomes: Record | None) -> Markup | None:
    """How many there were of each sort, what that means, and whose windows are still open."""
    if not outcomes:
        return None
    rows = [
        el(
            "tr",
            el("th", word, scope="row"),
            el("td", whole(outcomes[key]), class_="number"),
            el("td", means, class_="quiet"),
        )
        for key, (word, means) in WORDS.items()
    ]
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
        el("div", el("table", _head(("outcomes", "", ""), {1}), el("tbody", rows)), class_="panel"),
        el("div", el("table", _head(("metric", "immature", ""), {1}), el("tbody", windows)), class_="panel"),
    ]
    return el("section", el("h2", "Outcomes"), tables)


def _arms(record: Record) -> Markup:
    rows = [
        el(
            "tr",
            el("th", name, class_="challenger" if arm["role"] == "challenger" else None, scope="row"),
            el("td", arm["role"], class_="quiet"),
            [el("td", whole(arm[key]), class_="number") for key in ("requests", "failures", "fallbacks")],
            el("td", percent(arm["share"]), class_="number"),
            el("td", el("code", arm["url"]), class_="quiet"),
        )
        for name, arm in record["arms"].items()
    ]
    words = ("arm", "", "requests", "failed", "fell back", "share", "")
    table = el("table", _head(words, {2, 3, 4, 5}), el("tbody", rows))
    return el("section", el("h2", "Arms"), el("div", table, class_="panel"))


def _head(words: Sequence[str], numbers: set[int]) -> Markup:
    cells = [el("th", word, class_="number" if i in numbers else None, scope="col") for i, word in enumerate(words)]
    return el("thead", el("tr", cells))


def _losses(record: Record) -> Markup | None:
    """What was not measured; shown only where there was anything."""
    counts = record["counts"]
    words = {
        "dropped": f"shadow copies dropped{of_which(counts.get('dropped_share'), counts.get('dropped_why'))}",
        "missing_units": "requests named no unit",
        "orphans": "outcomes joined nothing",
        "faults": "faults of ours",
    }
    told = [f"{whole(counts[key])} {text}" for key, text in words.items() if counts.get(key)]
    if excluded := counts.get("excluded"):
        told.append(f"{whole(sum(excluded.values()))} interleaved lists are no evidence{of_which(None, excluded)}")
    told += [untold(one) for one in record.get("notices") or () if one["error"]]
    if named := [one for one in (record.get("found") or {}).get("found", ()) if not one["explained_by"]]:
        told.append("exploratory: " + "; ".join(one["sentence"] for one in named))
    if record.get("excluded"):
        told.append(f"kept on the champion: {', '.join(record['excluded'])}")
    if record["lease"]["held"] is False:
        told.append("the gateways do not hear the controller: only the champion serves")
    return el("p", "? " + " · ".join(told), class_="warning") if told else None


def _evidence(record: Record) -> Markup:
    lines = zip(record["evidence"], record["lines"], strict=True)
    pairs = [(line, said) for line, said in lines if line["segment"] is None]
    if not pairs:
        text = "Nothing has been measured yet."
        return el("section", el("h2", "Evidence"), el("p", text, class_="quiet"))
    axis = el("div", el("span", "← worse"), el("span", "0"), el("span", "better →"), class_="effect")
    head = el(
        "tr",
        el("th", "metric", scope="col"),
        el("th", axis, scope="col"),
        el("th", "difference", scope="col", class_="number"),
        el("th", "limit", scope="col", class_="number"),
        el("th", "verdict", scope="col"),
    )
    rows = [_evidence_row(row, line, said) for row, (line, said) in enumerate(pairs)]
    note = f"{record['harm']['arm']} − champion. Intervals are always-valid: looking often does not spoil them."
    table = el("table", el("thead", head), el("tbody", rows), class_="evidence")
    votes = el("p", record["votes"]["text"]) if record["votes"] else None
    shown = el("div", table, class_="panel")
    return el("section", el("h2", "Evidence"), el("p", note, class_="quiet"), votes, shown, _worth(record.get("worth")))


def _worth(worth: Record | None) -> Markup | None:
    """What a preference may be worth, and what earlier rollouts that were tested both ways have shown."""
    if not worth:
        return None
    told = [el("p", one["text"][:1].upper() + one["text"][1:], ".") for one in worth["expected"]]
    past = [el("li", one["text"]) for one in worth["both"]]
    note = el("p", worth["note"], class_="quiet") if worth["note"] else None
    return el("div", el("h3", "What a preference may be worth"), told, note, el("ul", past) if past else None)


def _evidence_row(row: int, line: Record, said: Record) -> Markup:
    denominators = [
        f"{arm} {said['values'][arm]} of {n}" if said["values"].get(arm) else f"{arm} {n} units"
        for arm, n in said["units"].items()
    ]
    toward = said["toward"]
    distance = [f"{percent(round(toward[way], 2))} toward {way}" for way in ("safe", "harm") if toward[way]]
    undecided = line["verdict"] == "undecided"
    return el(
        "tr",
        el("th", el("strong", line["metric"]), el("small", line["role"]), scope="row"),
        el("td", forest_row(line, row), el("small", " · ".join(denominators)), class_="drawn"),
        el("td", said["estimate"], el("small", said["interval"]), class_="number"),
        el("td", said["limit"], class_="number"),
        el(
            "td",
            el("span", f"{said['shape']} {line['verdict']}", class_=f"verdict {line['verdict']}"),
            el("small", said["reason"] or (" · ".join(distance) if undecided else f"at {said['confidence']}")),
        ),
    )


def _harm(harm: Record) -> Markup | None:
    if not harm["units"]:
        return None
    items = []
    for metric in harm["metrics"]:
        items.append(el("li", metric["text"], [el("small", text) for text in metric["arithmetic"]]))
    served = f"{whole(harm['units'])} units have been served by {harm['arm']}."
    return el("section", el("h2", "Harm"), el("p", served), el("ul", items) if items else None)


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
        return el("section", el("h2", "Ledger"), el("p", "No moves yet.", class_="quiet"))
    head = _head(("n", "at (UTC)", "move", "why", "by"), {0})
    differences = el("a", "where replies differ", href=f"{_link(record['name'])}/differences")
    source = el("a", "the whole chain as JSON", href=f"/api/v1/rollouts/{quote(record['name'], safe='')}/ledger")
    return el(
        "section",
        el("h2", "Ledger"),
        el("div", el("table", head, el("tbody", rows), class_="ledger"), class_="panel"),
        el("p", join(["Revision ", el("code", record["revision"]), " · ", source, " · ", differences]), class_="quiet"),
    )
