"""The page of differences: by field, by segment, and pairs of replies side by side. It shows the record of the API."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from html import escape
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import HTMLResponse
from starlette.requests import Request

from crossfade.console.access import Access
from crossfade.console.acts import act_link
from crossfade.console.calibration import calibration_of
from crossfade.console.charting import figure
from crossfade.console.differences_beside import beside
from crossfade.console.frame import page, rollout_bar
from crossfade.console.ledger_page import pager
from crossfade.console.list_page import link
from crossfade.console.markup import Markup, coded, el, join
from crossfade.console.patience import Patience
from crossfade.console.problems import Refused
from crossfade.console.twins import as_csv, as_json, twin_links
from crossfade.rim import examples
from crossfade.rim.calibrating import Calibrating
from crossfade.rim.differing import Differing
from crossfade.rim.reads import Reads
from crossfade.rim.store import Store
from crossfade.spec.model import Rollout
from crossfade.view.charts import fields
from crossfade.view.words import moment, percent, signed, whole

Record = Mapping[str, Any]

MOST_FIELDS = 200
MOST_EXAMPLES = 500
A_PAGE = 5
"""Pairs on a page."""

MOST_LINES = 400
"""Lines of a reply up to which those that differ are marked."""

COLUMNS = (
    "arm", "path", "verdict", "rate", "noise", "excess", "margin", "differing", "pairs", "kinds", "size", "muted",
    "reason",
)  # fmt: skip

SHAPES = {"undecided": "●", "safe": "◆", "harmful": "✖", "unmeasured": "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants to see; the address says it."""

    field: str = ""
    kind: str = ""
    segment: str = ""
    """FIELD=VALUE."""
    arm: str = ""
    page: int = 1

    def words(self, **other: Any) -> dict[str, str]:
        """As they stand in an address, but for what is to be `other`."""
        asked = {"field": self.field, "kind": self.kind, "segment": self.segment, "arm": self.arm, **other}
        return {key: str(value) for key, value in asked.items() if value}

    def within(self, rollout: Rollout) -> tuple[int, str] | None:
        """The segment's place and value. Raises Refused."""
        names = [str(field) for field in rollout.segments]
        for place, name in sorted(enumerate(names), key=lambda one: -len(one[1])):
            if self.segment.startswith(f"{name}="):
                return place, self.segment[len(name) + 1 :]
        if self.segment:
            known = f"FIELD=VALUE with one of {', '.join(names)}" if names else "a spec with `segments:` first"
            raise Refused(422, f"{self.segment!r} names no segment that the spec declares", f"give {known}")
        return None


def router(store: Store, access: Access) -> APIRouter:
    """The page of one rollout's differences, and its twins."""
    routes = APIRouter(include_in_schema=False)
    data = store.data
    differing, calibrating, patience, reads = Differing(data), Calibrating(data), Patience(), Reads(store)

    def explored(name: str, asked: Asked) -> dict[str, Any]:
        stored = store.get(name)
        within = asked.within(stored.rollout)
        record = differing.explored(stored.rollout, stored.position, within)
        return {**record, "arms": [_chosen(arm, asked) for arm in record["arms"] if asked.arm in ("", arm["arm"])]}

    @routes.get("/rollouts/{name}/differences.json")
    def told(name: str, asked: Annotated[Asked, Depends(_asked)]) -> Response:
        return as_json(explored(name, asked))

    @routes.get("/rollouts/{name}/differences.csv")
    def rows(name: str, asked: Annotated[Asked, Depends(_asked)]) -> Response:
        lines = [{"arm": arm["arm"], **line} for arm in explored(name, asked)["arms"] for line in arm["fields"]]
        return as_csv(lines, COLUMNS, f"{name}-differences")

    @routes.get("/rollouts/{name}/differences", response_class=HTMLResponse)
    def differences(name: str, asked: Annotated[Asked, Depends(_asked)], request: Request) -> HTMLResponse:
        now, stored = time.time(), store.get(name)
        within = asked.within(stored.rollout)
        pairs = examples.kept(
            data, name, field=asked.field, kind=asked.kind, arm=asked.arm, within=within, most=MOST_EXAMPLES
        )
        if pairs:
            # Before they are shown: what cannot be put down is not looked at.
            reads.note(name, *access.reader(request), now)
        known = patience.ask(("differences", name, asked.words().get("segment")),
                             partial(differing.explored, stored.rollout, stored.position, within))  # fmt: skip
        curves = patience.ask(("calibration", name), partial(calibrating.of, stored.rollout, stored.position, now))
        if known.value is None:
            return HTMLResponse(waiting_page(name, asked, pairs, now))
        record = {**known.value, "arms": [_chosen(arm, asked) for arm in known.value["arms"]
                                          if asked.arm in ("", arm["arm"])]}  # fmt: skip
        as_of = None if known.fresh else known.at
        drawn = calibration_of(curves.value, link(name)) if curves.value is not None else []
        return HTMLResponse(differences_page(record, pairs, asked, now, drawn, as_of))

    return routes


def _asked(
    field: Annotated[str, Query(max_length=500)] = "",
    kind: Annotated[str, Query(max_length=50)] = "",
    segment: Annotated[str, Query(max_length=500)] = "",
    arm: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Asked:
    return Asked(field=field.strip(), kind=kind, segment=segment.strip(), arm=arm, page=page)


def _chosen(arm: Record, asked: Asked) -> dict[str, Any]:
    """An arm with the fields that are asked for."""
    fields = [
        line
        for line in arm["fields"]
        if (not asked.kind or asked.kind in line["kinds"]) and (not asked.field or below(line["path"], asked.field))
    ]
    return {**arm, "fields": fields}


def below(path: str, field: str) -> bool:
    """Whether a path is a field, or lies below it."""
    return path == field or path.startswith((f"{field}.", f"{field}["))


def waiting_page(name: str, asked: Asked, pairs: Sequence[Record], now: float) -> str:
    """While the facts are summed up for the first time."""
    told = "● The facts are being summed up. This takes some seconds the first time, and the page reads itself anew."
    head = el("section", el("h1", f"Where replies of {name} differ"), el("p", told, role="status"))
    again = el("meta", http_equiv="refresh", content="2")
    return page(name, [again, rollout_bar(name, "differences"), head, _examples(name, pairs, asked)], now)


def differences_page(
    record: Record,
    pairs: Sequence[Record],
    asked: Asked,
    now: float,
    curves: Sequence[Markup] = (),
    as_of: float | None = None,
) -> str:
    """Every challenger's fields, segments and examples; or why there are none. `as_of`: the facts up to then."""
    name = record["name"]
    link = _link(name)
    told = f"● As of {moment(as_of, now)} UTC; newer facts are being summed up." if as_of is not None else None
    head = el(
        "section",
        el("h1", f"Where replies of {name} differ"),
        el("p", told, role="status") if told else None,
        _filters(name, record, pairs, asked),
    )
    bar, twins = rollout_bar(name, "differences"), twin_links(link, **asked.words())
    if not record["available"]:
        nothing = el("section", el("p", f"? Nothing to show: {record['reason']}.", class_="quiet"))
        return page(name, [bar, head, nothing, *curves, _examples(name, pairs, asked), twins], now)
    arms = [_arm(name, arm, asked) for arm in record["arms"]]
    body = [bar, head, *arms, _found(record.get("found")), *curves, _examples(name, pairs, asked), twins]
    return page(name, body, now)


def _filters(name: str, record: Record, pairs: Sequence[Record], asked: Asked) -> Markup:
    """A form whose answer is an address: what is looked at can be sent to others."""
    kinds = {kind for arm in record["arms"] for line in arm["fields"] for kind in line["kinds"]}
    kinds |= {one["kind"] for pair in pairs for one in pair["fields"]} | ({asked.kind} if asked.kind else set())
    known = [f"{one['segment']}={one['value']}" for arm in record["arms"] for one in arm["segments"] if one["value"]]
    options = [el("option", "any", value=""), *(
        el("option", kind, value=kind, selected="" if kind == asked.kind else None) for kind in sorted(kinds - {"any"})
    )]  # fmt: skip
    given = asked.words()
    return el(
        "form",
        el("label", el("span", "field"), el("input", name="field", value=given.get("field"), placeholder="$.score")),
        el("label", el("span", "kind"), el("select", options, name="kind")),
        el("label", el("span", "segment"),
           el("input", name="segment", value=given.get("segment"), list="segments", placeholder="header:x-country=DE")),
        el("datalist", [el("option", value=one) for one in dict.fromkeys(known)], id="segments"),
        el("button", "Show", type="submit"),
        el("a", "Show everything", href=_link(name)) if given else None,
        method="get",
        action=_link(name),
        class_="filters",
        role="search",
        aria_label="Which differences",
    )  # fmt: skip


def _link(name: str, **asked: Any) -> str:
    return f"/rollouts/{quote(name, safe='')}/differences" + (f"?{urlencode(asked)}" if asked else "")


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


def _arm(name: str, arm: Record, asked: Asked) -> Markup:
    differing = [line for line in arm["fields"] if line["differing"] or line["noise"] or line["muted"]]
    whole_lines = [] if asked.field or asked.kind else [arm["disagreement"], arm["catastrophic"]]
    lines = [*whole_lines, *differing[:MOST_FIELDS]]
    words = ("field", "verdict", "of pairs", "noise", "beyond it", "how", "apart", "")
    cells = [el("th", word, scope="col", class_="number" if i > 1 else None) for i, word in enumerate(words)]
    table = el(
        "table",
        el("thead", el("tr", cells)),
        el("tbody", [_line(name, line, asked, line not in whole_lines) for line in lines]),
        class_="fields stacked",
    )
    more = len(differing) - MOST_FIELDS
    drawn = fields(arm, name=f"fields-{arm['arm']}")
    twice = f"the champion was asked {whole(arm['twice'])} of them twice" if arm["twice"] else "noise is not known"
    counted = f"{whole(arm['pairs'])} pairs; {twice}" + ("." if arm["twice"] else ": a shadow asks with `noise: 5%`.")
    never = arm["fields_never_differing"]
    same = f"{whole(never)} {'field never differs' if never == 1 else 'fields never differ'}." if never else ""
    return el(
        "section",
        el("h2", f"{arm['arm']} against the champion"),
        el("p", coded(f"{counted} {same}"), f" {whole(more)} more differ." if more > 0 else "", class_="quiet"),
        figure(drawn, link(name), folded=True) if drawn and not asked.kind else None,
        el("div", table, class_="panel"),
        beside(arm),
        _segments(name, arm["segments"], asked),
    )  # fmt: skip


def _line(name: str, line: Record, asked: Asked, one: bool) -> Markup:
    """A field, or (`one` false) what is said of all of them."""
    path, size = line["path"], line.get("size")
    link = el("a", path, href=_link(name, **asked.words(field=path)))
    word = "unmute" if line["muted"] else "mute"
    act = el("a", f"{word}…", href=act_link(name, word, field=path)) if one else ""
    depth = max(path.count(".") + path.count("[") - 1, 0) if path.startswith("$") else 0
    kinds = ", ".join(f"{kind} {whole(count)}" for kind, count in line["kinds"].items() if kind != "any")
    apart = f"{percent(size['median'])} (up to {percent(size['largest'])})" if size else ""
    verdict = "muted" if line["muted"] else line["verdict"]
    shape = "–" if line["muted"] else SHAPES[line["verdict"]]
    return el(
        "tr",
        el("th", "\u00a0\u00a0" * min(depth, 8), link if one else path, scope="row"),
        el("td", el("span", f"{shape} {verdict}", class_=f"verdict {line['verdict']}"),
           el("small", line["muted"] or line["reason"] or ""), data_label="verdict"),
        el("td", percent(line["rate"]), class_="number", data_label="of pairs"),
        el("td", percent(line["noise"]), class_="number", data_label="noise"),
        el("td", signed(line["excess"], "pp", like=(line["excess"], line["margin"])), class_="number",
           data_label="beyond it"),
        el("td", kinds, class_="number", data_label="how"),
        el("td", apart, class_="number", data_label="apart"),
        el("td", act, class_="number"),
    )  # fmt: skip


def _segments(name: str, segments: Sequence[Record], asked: Asked) -> Markup | None:
    if not segments:
        return None
    words = ("segment", "value", "pairs", "differ", "unusable", "mostly in")
    cells = [el("th", word, scope="col", class_="number" if 1 < i < 5 else None) for i, word in enumerate(words)]
    rows = [
        el(
            "tr",
            el("td", one["segment"], data_label="segment"),
            el(
                "th",
                el(
                    "a",
                    one["value"] or "absent",
                    href=_link(name, **asked.words(segment=f"{one['segment']}={one['value']}")),
                ),
                scope="row",
            ),
            el("td", whole(one["pairs"]), class_="number", data_label="pairs"),
            el("td", percent(one["rate"]), class_="number", data_label="differ"),
            el("td", whole(one["unusable"]), class_="number", data_label="unusable"),
            el("td", one["field"] or "", data_label="mostly in"),
        )
        for one in segments
    ]
    table = el("table", el("thead", el("tr", cells)), el("tbody", rows), class_="stacked")
    return el("div", el("h3", "By segment"), el("div", table, class_="panel"))


def _examples(name: str, pairs: Sequence[Record], asked: Asked) -> Markup:
    of = " · ".join(value for key, value in asked.words().items())
    title = f"Examples of {of}" if of else "Examples"
    if not pairs:
        text = "No replies are kept. A spec keeps some with `examples: {share: 1%}`, without what `redact` names."
        return el("section", el("h2", title), el("p", text, class_="quiet"), id="examples")
    pages = -(-len(pairs) // A_PAGE)
    at = min(asked.page, pages)
    shown = [_pair(pair) for pair in pairs[(at - 1) * A_PAGE : at * A_PAGE]]
    count = el("p", f"{whole(len(pairs))} pairs are kept, the latest first.", class_="quiet")
    return el("section", el("h2", title), count, shown, pager(_link(name), at, pages, urlencode(asked.words())),
              id="examples")  # fmt: skip


def _pair(pair: Record) -> Markup:
    """Both replies side by side, as they are kept: without what is redacted."""
    ways = ", ".join(f"{one['path']} ({one['kind']})" for one in pair["fields"])
    texts = {side: _reply(pair[side]) for side in ("champion", "challenger") if side in pair}
    marked = _marked(*texts.values()) if len(texts) == 2 else [Markup(escape(text)) for text in texts.values()]
    told = dict(zip(texts, marked, strict=True))
    sides = [
        el("td", el("pre", told[side], tabindex=0)) if side in told else el("td") for side in ("champion", "challenger")
    ]
    head = el("tr", el("th", "champion", scope="col"), el("th", pair["arm"], scope="col"))
    table = el("table", el("thead", head), el("tbody", el("tr", sides)), class_="examples")
    where = " · ".join([f"decision {pair['id']}", *(value for value in pair.get("segments", ()) if value)])
    return el("div", el("h3", ways), el("p", where, class_="quiet"), table, class_="panel")


def _marked(ours: str, theirs: str) -> list[Markup]:
    """Both texts with the lines marked that the other does not have there."""
    lines = (ours.split("\n"), theirs.split("\n"))
    if max(map(len, lines)) > MOST_LINES:
        return [Markup(escape(text)) for text in (ours, theirs)]
    sides: tuple[list[Any], list[Any]] = ([], [])
    for how, *ends in SequenceMatcher(None, *lines, autojunk=False).get_opcodes():
        for side, text, begins, stops in zip(sides, lines, ends[::2], ends[1::2], strict=True):
            for line in text[begins:stops]:
                side += [line if how == "equal" else _mark(line), "\n"]
    return [join(side[:-1]) for side in sides]


def _mark(line: str) -> Markup:
    """A line that differs, its indent left out of the mark."""
    told = line.lstrip(" ")
    return join([line[: len(line) - len(told)], el("mark", told)])


def _reply(side: Record) -> str:
    """One reply as text."""
    told = [f"failed: {side['failed']}"] if "failed" in side else []
    if "cut" in side:
        told.append(f"{side['cut']}… ({whole(side['characters'])} characters)")
    if "fields" in side:
        told.append(json.dumps(side["fields"], indent=1, ensure_ascii=False))
    return "\n".join(told)
