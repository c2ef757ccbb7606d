"""The page of interleaved lists: some as users saw them with whose each item was, and how evenly places were dealt."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from crossfade.console.frame import page, rollout_bar
from crossfade.console.list_page import link
from crossfade.console.markup import Markup, el
from crossfade.console.patience import Patience
from crossfade.console.twins import as_csv, as_json, twin_links
from crossfade.rim.listing import Listing
from crossfade.rim.store import Store
from crossfade.view.words import moment, percent, whole

Record = Mapping[str, Any]

COLUMNS = ("arm", "slot", "champion", "challenger", "nobody", "share", "worth")


def router(store: Store) -> APIRouter:
    """The page and its twins."""
    routes = APIRouter(include_in_schema=False)
    listing, patience = Listing(store.data), Patience()

    @routes.get("/rollouts/{name}/lists.json")
    def told(name: str) -> Response:
        return as_json(listing.of(store.get(name).rollout))

    @routes.get("/rollouts/{name}/lists.csv")
    def rows(name: str) -> Response:
        arms = listing.of(store.get(name).rollout)["arms"]
        lines = [{"arm": arm["arm"], **slot} for arm in arms for slot in arm["fairness"]["slots"]]
        return as_csv(lines, COLUMNS, f"{name}-lists")

    @routes.get("/rollouts/{name}/lists", response_class=HTMLResponse)
    def lists(name: str) -> HTMLResponse:
        known = patience.ask(("lists", name), partial(listing.of, store.get(name).rollout))
        as_of = None if known.fresh else known.at
        return HTMLResponse(lists_page(name, known.value, time.time(), as_of))

    return routes


def lists_page(name: str, record: Record | None, now: float, as_of: float | None = None) -> str:
    """Every challenger's lists and places; or why there are none. `record` is None while facts are being summed up."""
    bar, base = rollout_bar(name, "lists"), f"{link(name)}/lists"
    head = el("h1", f"Lists that {name} has merged")
    if record is None:
        again = el("meta", http_equiv="refresh", content="2")
        told = (
            "● The facts are being summed up. This takes some seconds the first time, and the page reads itself anew."
        )
        return page(name, [again, bar, el("section", head, el("p", told, role="status"))], now)
    late = f"● As of {moment(as_of, now)} UTC; newer facts are being summed up." if as_of is not None else None
    top = el("section", head, el("p", late, role="status") if late else None)
    if not record["available"]:
        why = el("p", f"? Nothing to show: {record['reason']}.", class_="quiet")
        asked = el("pre", "- interleave: {weight: 30%, method: team-draft, credit: click}")
        nothing = el("section", why, el("p", "A stage that merges lists:"), asked)
        return page(name, [bar, top, nothing, twin_links(base)], now)
    arms = [_arm(arm, record["method"]) for arm in record["arms"]]
    return page(name, [bar, top, *arms, twin_links(base)], now)


def _arm(arm: Record, method: str) -> Markup:
    fair, champion, challenger = arm["fairness"], arm["champion"], arm["arm"]
    keys = el(
        "p",
        el("span", f"{challenger}’s item", class_="owner challenger"),
        el("span", f"{champion}’s item", class_="owner"),
        el("span", "nobody’s", class_="owner nobody"),
        el("span", "✓ picked"),
        class_="keys quiet",
    )
    note = "The latest lists of which something was picked: no fair choice of all."
    samples = [_list(one, champion, challenger) for one in arm["samples"]]
    tone = "warning" if fair["verdict"] == "harmful" else None
    mark = {"harmful": "✖", "unmeasured": "?"}.get(fair["verdict"], "●")
    return el(
        "section",
        el("h2", f"{challenger} and {champion}, merged by {method}"),
        el("p", arm["text"]),
        el("h3", "Are places dealt evenly?"),
        el("p", f"{mark} {fair['text']}", class_=tone),
        _places(fair["slots"], champion, challenger) if fair["slots"] else None,
        el("h3", "As users saw them"),
        el("p", note, class_="quiet"),
        keys,
        el("div", samples, class_="lists"),
    )


def _places(slots: list[Record], champion: str, challenger: str) -> Markup:
    graded = any(slot["worth"] is not None for slot in slots)
    words = ["place", challenger, champion, "nobody’s", f"{challenger}’s share"]
    words += ["worth, on average"] if graded else []
    head = el("tr", [el("th", word, scope="col", class_="number" if at else None) for at, word in enumerate(words)])
    rows = [
        el(
            "tr",
            el("th", slot["slot"], scope="row"),
            [
                el("td", whole(slot[key]), class_="number", data_label=word)
                for key, word in (("challenger", challenger), ("champion", champion), ("nobody", "nobody’s"))
            ],
            el("td", _share(slot["share"]), class_="number", data_label="share"),
            el("td", f"{slot['worth']:+.3f}".replace("-", "−") if slot["worth"] is not None else "–", class_="number")
            if graded
            else None,
        )
        for slot in slots
    ]
    note = "The coin of each list decides who picks first, so that half of each place is due to either."
    table = el("div", el("table", el("thead", head), el("tbody", rows), class_="fields places-dealt"), class_="panel")
    return el("details", el("summary", "Place by place"), el("p", note, class_="quiet"), table, open=True)


def _share(share: float | None) -> list[Markup]:
    if share is None:
        return [el("span", "–")]
    meter = el(
        "svg",
        el("rect", width="100", height="8", class_="whole"),
        el("rect", width=f"{100.0 * share:.1f}", height="8", class_="part"),
        el("path", d="M50,-2 V10", class_="half"),
        viewBox="0 -2 100 12",
        class_="meter",
        aria_hidden="true",
    )
    return [meter, el("span", percent(share))]


def _list(one: Record, champion: str, challenger: str) -> Markup:
    slots = [
        el(
            "li",
            el("code", slot["item"]),
            el("small", slot["owner"] or "nobody’s", "" if slot["worth"] is None else f" {slot['worth']:+.2f}"),
            _picked(slot["engaged"]),
            class_=_owned(slot["owner"], challenger) + (" picked" if slot["engaged"] else ""),
        )
        for slot in one["slots"]
    ]
    title = el(
        "h4",
        el("time", f"{moment(one['at'])[11:]} UTC"),
        " ",
        el("code", one["decision_id"][:13], title=one["decision_id"]),
    )
    return el("article", title, el("ol", slots), el("p", one["text"], class_="quiet"), class_="list")


def _owned(owner: str, challenger: str) -> str:
    return "challenger" if owner == challenger else "champion" if owner else "nobody"


def _picked(engaged: Mapping[str, int]) -> Markup | None:
    if not engaged:
        return None
    told = ", ".join(name if times == 1 else f"{name} × {times}" for name, times in sorted(engaged.items()))
    return el("span", f"✓ {told}", class_="pick")
