"""The dossier as one HTML file: no script, nothing fetched, good on paper; pictures are SVG."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from crossfade.console.charting import WIDE, picture
from crossfade.console.markup import Markup, coded, el, join
from crossfade.view.charts import drawable, exposure, forest

Record = Mapping[str, Any]

TORN = 14
"""Tables of more rows than this may go on on the next sheet, with their head."""

MARKS = {"shown": "◆ shown", "partly": "● partly shown", "missing": "? missing"}


def dossier_page(dossier: Record) -> str:
    """The whole page. Pictures carry their own inks, since not every printer shares the page's style."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light"),
        el("title", f"{dossier['name']}: dossier"),
        el("style", Markup(_style() + _foot(dossier["name"]))),
    )
    body = [
        _cover(dossier),
        _contents(dossier),
        _missing(dossier),
        *(_part(n, part) for n, part in enumerate(dossier["parts"], start=1)),
    ]
    return "<!doctype html>\n" + el("html", head, el("body", el("main", body)), lang="en") + "\n"


def _foot(name: str) -> str:
    """On each sheet of paper what it is a sheet of."""
    safe = re.sub(r"[^\w.-]", " ", name)
    return f'@page {{ @bottom-left {{ content: "Dossier of {safe}"; font-size: 8.5px; color: #5d5f66; }} }}'


@cache
def _style() -> str:
    """The style sheets with their colours written out."""
    static = files("crossfade.console") / "static"
    text = "".join((static / name).read_text(encoding="utf-8") for name in ("console.css", "dossier.css"))
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", (static / "dossier.css").read_text(encoding="utf-8")))
    return re.sub(r"var\(--([\w-]+)\)", lambda found: colours[found[1]], text)


def _cover(dossier: Record) -> Markup:
    numbers = {part["id"]: n for n, part in enumerate(dossier["parts"], start=1)}
    lines = [
        el(
            "tr",
            el("th", line["label"], scope="row"),
            el("td", coded(line["text"])),
            el("td", el("a", f"part {numbers[line['part']]}", href=f"#{line['part']}"), class_="quiet"),
        )
        for line in dossier["summary"]
    ]
    return el(
        "section",
        el("p", "Dossier of a rollout", class_="quiet"),
        el("div", el("strong", dossier["name"]), el("span", dossier["phase"].replace("_", " ")), class_="name"),
        el("h1", dossier["sentence"], class_=dossier["tone"]),
        el("p", f"Written {dossier['made']}, from the ledger and the sealed facts.", class_="quiet"),
        el("table", el("tbody", lines), class_="summary"),
        class_="cover",
    )


def _contents(dossier: Record) -> Markup:
    links = [
        el("li", el("a", part["title"], href=f"#{part['id']}"), " ", el("span", MARKS[part["state"]], class_="state"))
        for part in dossier["parts"]
    ]
    return el(
        "section", el("h2", el("span", "Contents", class_="title")), el("ol", links, class_="toc"), class_="contents"
    )


def _missing(dossier: Record) -> Markup:
    rows = [el("li", el("b", one["title"]), ": ", coded(one["what"])) for one in dossier["missing"]]
    return el(
        "section",
        el("h2", el("span", "What is missing", class_="title")),
        el(
            "p",
            "What a reviewer would look for and does not find here: it was not recorded, or has to come from "
            "elsewhere.",
        ),
        el("ul", rows),
        class_="gaps",
    )


def _part(n: int, part: Record) -> Markup:
    missing = [el("li", coded(text)) for text in part["missing"]]
    return el(
        "section",
        el(
            "h2",
            el("span", f"{n}. {part['title']}", class_="title"),
            el("span", MARKS[part["state"]], class_=f"state {part['state']}"),
        ),
        [_block(block) for block in part["blocks"]],
        el("div", el("b", "Missing"), el("ul", missing), class_="gap") if missing else None,
        _trace(part["trace"]),
        id=part["id"],
    )


def _trace(command: str | None) -> Markup | None:
    return el("p", "The same again: ", el("code", command), class_="trace") if command else None


def _block(block: Record) -> Markup:
    return join([_drawn(block), _trace(block.get("trace"))])


def _drawn(block: Record) -> Markup:
    match block["kind"]:
        case "text":
            return el("p", coded(block["text"]))
        case "heading":
            return el("h3", block["text"])
        case "items":
            return el("ul", [el("li", coded(text)) for text in block["items"]])
        case "code":
            return el("pre", block["text"])
        case "table":
            return _table(block)
        case "forest":
            return _forest(block)
        case _:
            return _picture(block)


def _lines(text: str) -> list[Any]:
    """A cell whose text has more lines than one; the first says the most."""
    first, *more = text.split("\n")
    return [first, *(part for line in more for part in (el("br"), el("small", line)))]


def _table(block: Record) -> Markup:
    numbers = set(block["numbers"])
    classes = ["number" if i in numbers else None for i in range(len(block["head"]))]
    head = el("tr", [el("th", word, scope="col", class_=c) for word, c in zip(block["head"], classes, strict=True)])
    rows = [
        el("tr", [el("td", _lines(cell), class_=c) for cell, c in zip(row, classes, strict=True)])
        for row in block["rows"]
    ]
    kept = "panel whole" if len(rows) <= TORN else "panel"
    return el("div", el("table", el("thead", head), el("tbody", rows)), class_=kept)


def _forest(block: Record) -> Markup:
    """Evidence: the picture, and the numbers that it is drawn from."""
    shown = [
        (line, word)
        for line, word in zip(block["data"]["lines"], block["data"]["words"], strict=True)
        if drawable(line)
    ]
    lines, words = [line for line, _ in shown], [word for _, word in shown]
    figure = el("figure", picture(forest(lines, words), WIDE)) if lines else None
    heads = [el("th", word, scope="col") for word in block["head"]]
    rows = [
        el("tr", [el("td", _lines(cell)) for cell in row], class_=f"line {line['verdict']}")
        for row, line in zip(block["rows"], block["data"]["lines"], strict=True)
    ]
    table = el("table", el("thead", el("tr", heads)), el("tbody", rows), class_="forests")
    return join([figure, el("div", table, class_="panel whole")])


def _picture(block: Record) -> Markup:
    drawn = exposure(block["data"])
    return el("figure", picture(drawn, WIDE) if drawn else None, el("figcaption", block["text"]))
