"""The dossier as one HTML file: no script, nothing fetched, good on paper; pictures are SVG."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from crossfade.console.charting import WIDE, picture
from crossfade.console.markup import Markup, el
from crossfade.view.charts import exposure, forest

Record = Mapping[str, Any]

MARKS = {"shown": "◆ shown", "partly": "● partly shown", "missing": "? missing"}


def dossier_page(dossier: Record) -> str:
    """The whole page. Pictures carry their own inks, since not every printer shares the page's style."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light"),
        el("title", f"{dossier['name']}: dossier"),
        el("style", Markup(_style())),
    )
    body = [_cover(dossier), _missing(dossier), *(_part(n, part) for n, part in enumerate(dossier["parts"], start=1))]
    return "<!doctype html>\n" + el("html", head, el("body", el("main", body)), lang="en") + "\n"


@cache
def _style() -> str:
    """The style sheets with their colours written out."""
    static = files("crossfade.console") / "static"
    text = "".join((static / name).read_text(encoding="utf-8") for name in ("console.css", "dossier.css"))
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", (static / "dossier.css").read_text(encoding="utf-8")))
    return re.sub(r"var\(--([\w-]+)\)", lambda found: colours[found[1]], text)


def _cover(dossier: Record) -> Markup:
    links = [
        el("li", el("a", part["title"], href=f"#{part['id']}"), " ", el("span", MARKS[part["state"]], class_="state"))
        for part in dossier["parts"]
    ]
    return el(
        "section",
        el("p", "Dossier of a rollout", class_="quiet"),
        el("div", el("strong", dossier["name"]), el("span", dossier["phase"].replace("_", " ")), class_="name"),
        el("h1", dossier["sentence"], class_=dossier["tone"]),
        el("p", f"Written {dossier['made']}, from the ledger and the sealed facts.", class_="quiet"),
        el("nav", el("ol", links)),
        class_="cover",
    )


def _missing(dossier: Record) -> Markup:
    rows = [el("li", el("b", one["title"]), f": {one['what']}") for one in dossier["missing"]]
    return el(
        "section",
        el("h2", "What is missing"),
        el("p", "Crossfade does not know these, so that they have to come from elsewhere."),
        el("ul", rows),
        class_="gaps",
    )


def _part(n: int, part: Record) -> Markup:
    missing = [el("li", text) for text in part["missing"]]
    return el(
        "section",
        el("h2", f"{n}. {part['title']}", el("span", MARKS[part["state"]], class_=f"state {part['state']}")),
        [_block(part["id"], place, block) for place, block in enumerate(part["blocks"])],
        el("div", el("b", "Missing"), el("ul", missing), class_="gap") if missing else None,
        el("p", "The same again: ", el("code", part["trace"]), class_="trace") if part["trace"] else None,
        id=part["id"],
    )


def _block(part: str, place: int, block: Record) -> Markup:
    match block["kind"]:
        case "text":
            return el("p", block["text"])
        case "heading":
            return el("h3", block["text"])
        case "items":
            return el("ul", [el("li", text) for text in block["items"]])
        case "code":
            return el("pre", block["text"])
        case "table":
            return _table(block)
        case _:
            return _picture(part, place, block)


def _table(block: Record) -> Markup:
    numbers = set(block["numbers"])
    classes = ["number" if i in numbers else None for i in range(len(block["head"]))]
    head = el("tr", [el("th", word, scope="col", class_=c) for word, c in zip(block["head"], classes, strict=True)])
    rows = [el("tr", [el("td", cell, class_=c) for cell, c in zip(row, classes, strict=True)]) for row in block["rows"]]
    return el("div", el("table", el("thead", head), el("tbody", rows)), class_="panel")


def _picture(part: str, place: int, block: Record) -> Markup:
    data = block["data"]
    drawn = exposure(data) if block["picture"] == "exposure" else forest(data["lines"], data["words"])
    svg = picture(drawn, WIDE) if drawn else None
    return el("figure", svg, el("figcaption", block["text"]), id=f"{part}-{place}")
