"""The page of differences: by field, by segment, and pairs of replies side by side. It shows the record of the API."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from crossfade.console.calibration import calibration_of
from crossfade.console.differences_beside import beside
from crossfade.console.frame import page
from crossfade.console.markup import Markup, el
from crossfade.console.pages import missing_page
from crossfade.rim import examples
from crossfade.rim.calibrating import Calibrating
from crossfade.rim.differing import Differing
from crossfade.rim.standing import nearest
from crossfade.rim.store import Store, UnknownRollout
from crossfade.view.words import percent, signed, whole

Record = Mapping[str, Any]

MOST_FIELDS = 200
MOST_EXAMPLES = 10
SHAPES = {"undecided": "●", "safe": "◆", "harmful": "✖", "unmeasured": "?"}


def router(store: Store) -> APIRouter:
    """The page of one rollout's differences."""
    routes = APIRouter(include_in_schema=False)
    data = store.data
    differing, calibrating = Differing(data), Calibrating(data)

    @routes.get("/rollouts/{name}/differences", response_class=HTMLResponse)
    def differences(name: str, field: str = "") -> HTMLResponse:
        now = time.time()
        try:
            stored = store.get(name)
        except UnknownRollout as error:
            return HTMLResponse(missing_page(name, nearest(error, store), now), 404)
        record = differing.explored(stored.rollout, stored.position)
        pairs = examples.kept(data, name, field=field, most=MOST_EXAMPLES)
        curves = calibrating.of(stored.rollout, stored.position, now)
        return HTMLResponse(differences_page(record, pairs, field, now, calibration_of(curves)))

    return routes


def differences_page(
    record: Record, pairs: Sequence[Record], field: str, now: float, curves: Sequence[Markup] = ()
) -> str:
    """Every challenger's fields, segments and examples; or why there are none."""
    name = record["name"]
    back = el("p", el("a", f"{name}", href=f"/rollouts/{quote(name, safe='')}"))
    head = el("section", back, el("h1", f"Where replies of {name} differ"))
    if not record["available"]:
        return page(
            name, [head, el("section", el("p", f"? Nothing to show: {record['reason']}.", class_="quiet"))], now
        )
    arms = [_arm(name, arm) for arm in record["arms"]]
    return page(name, [head, *arms, _found(record.get("found")), *curves, _examples(pairs, field)], now)


def _found(found: Record | None) -> Markup | None:
    """Groups that a search found to differ, beside the segments that are declared."""
    if not found:
        return None
    title = el("h2", "Found by searching")
    if not found["available"]:
        return el("section", title, el("p", f"? Nothing was searched: {found['reason']}.", class_="quiet"))
    told = [el("li", one["sentence"]) for one in found["found"]]
    note = "Exploratory: proposed by what came before, tested on what came after. It moves nothing."
    body = el("ul", told) if told else el("p", "No group stands out.")
    return el("section", title, body, el("p", note, class_="quiet"))


def _arm(name: str, arm: Record) -> Markup:
    differing = [line for line in arm["fields"] if line["differing"] or line["noise"] or line["muted"]]
    lines = [arm["disagreement"], arm["catastrophic"], *differing[:MOST_FIELDS]]
    words = ("field", "verdict", "of pairs", "noise", "beyond it", "how", "apart")
    cells = [el("th", word, scope="col", class_="number" if i > 1 else None) for i, word in enumerate(words)]
    table = el(
        "table", el("thead", el("tr", cells)), el("tbody", [_line(name, line) for line in lines]), class_="fields"
    )
    more = len(differing) - MOST_FIELDS
    counted = f"{whole(arm['pairs'])} pairs, {whole(arm['twice'])} of them with a second answer of the champion."
    same = f"{whole(arm['fields_never_differing'])} fields never differ."
    return el(
        "section",
        el("h2", f"{arm['arm']} against the champion"),
        el("p", f"{counted} {same}", f" {whole(more)} more differ." if more > 0 else "", class_="quiet"),
        el("div", table, class_="panel"),
        beside(arm),
        _segments(arm["segments"]),
    )  # fmt: skip


def _line(name: str, line: Record) -> Markup:
    path, size = line["path"], line.get("size")
    link = el("a", path, href=f"/rollouts/{quote(name, safe='')}/differences?field={quote(path, safe='')}")
    depth = max(path.count(".") + path.count("[") - 1, 0) if path.startswith("$") else 0
    kinds = ", ".join(f"{kind} {whole(count)}" for kind, count in line["kinds"].items() if kind != "any")
    apart = f"{percent(size['median'])} (up to {percent(size['largest'])})" if size else ""
    verdict = "muted" if line["muted"] else line["verdict"]
    shape = "–" if line["muted"] else SHAPES[line["verdict"]]
    return el(
        "tr",
        el("th", "\u00a0\u00a0" * min(depth, 8), link if path.startswith("$") else path, scope="row"),
        el("td", el("span", f"{shape} {verdict}", class_=f"verdict {line['verdict']}"),
           el("small", line["muted"] or line["reason"] or "")),
        el("td", percent(line["rate"]), class_="number"),
        el("td", percent(line["noise"]), class_="number"),
        el("td", signed(line["excess"], "pp", like=(line["excess"], line["margin"])), class_="number"),
        el("td", kinds, class_="number"),
        el("td", apart, class_="number"),
    )  # fmt: skip


def _segments(segments: Sequence[Record]) -> Markup | None:
    if not segments:
        return None
    words = ("segment", "value", "pairs", "differ", "unusable", "mostly in")
    cells = [el("th", word, scope="col", class_="number" if 1 < i < 5 else None) for i, word in enumerate(words)]
    rows = [
        el(
            "tr",
            el("td", one["segment"]),
            el("th", one["value"] or "absent", scope="row"),
            el("td", whole(one["pairs"]), class_="number"),
            el("td", percent(one["rate"]), class_="number"),
            el("td", whole(one["unusable"]), class_="number"),
            el("td", one["field"] or ""),
        )
        for one in segments
    ]
    table = el("table", el("thead", el("tr", cells)), el("tbody", rows))
    return el("div", el("h3", "By segment"), el("div", table, class_="panel"))


def _examples(pairs: Sequence[Record], field: str) -> Markup:
    title = f"Examples of {field}" if field else "Examples"
    if not pairs:
        text = "No replies are kept. A spec keeps some with `examples: {share: 1%}`, without what `redact` names."
        return el("section", el("h2", title), el("p", text, class_="quiet"))
    shown = []
    for pair in pairs:
        ways = ", ".join(f"{one['path']} ({one['kind']})" for one in pair["fields"])
        sides = [
            el("td", el("pre", _reply(pair[side]))) if side in pair else el("td") for side in ("champion", "challenger")
        ]
        head = el("tr", el("th", "champion", scope="col"), el("th", pair["arm"], scope="col"))
        table = el("table", el("thead", head), el("tbody", el("tr", sides)), class_="examples")
        shown.append(
            el("div", el("h3", ways), el("p", f"decision {pair['id']}", class_="quiet"), table, class_="panel")
        )
    return el("section", el("h2", title), shown)


def _reply(side: Record) -> str:
    """One reply as text."""
    told = [f"failed: {side['failed']}"] if "failed" in side else []
    if "cut" in side:
        told.append(f"{side['cut']}… ({whole(side['characters'])} characters)")
    if "fields" in side:
        told.append(json.dumps(side["fields"], indent=1, ensure_ascii=False))
    return "\n".join(told)
