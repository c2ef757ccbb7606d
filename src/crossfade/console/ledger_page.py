"""The ledger's pages: every entry with whether it was reproduced, what the last check found, and one entry in full."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from crossfade import ledger
from crossfade.console.access import Access
from crossfade.console.acting import form_of
from crossfade.console.checking import Checks
from crossfade.console.frame import live_parts, page, rollout_bar
from crossfade.console.guard import check_origin
from crossfade.console.markup import Markup, el
from crossfade.console.problems import Refused
from crossfade.console.twins import as_csv, as_json, twin_links
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.ledger import Entry
from crossfade.rim.store import Store, StoreError
from crossfade.rim.tokens import READ
from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse
from crossfade.view.explain import explain
from crossfade.view.words import moment, whole

Record = Mapping[str, Any]

A_PAGE = 50
"""Entries on a page."""

COLUMNS = ("n", "at", "kind", "move", "rule", "actor", "sentence", "revision", "replay", "hash")

SAID = {
    "reproduced": "◆ reproduced",
    "by hand": "◆ carried out again",
    "differs": "✖ differs",
    "aged out": "– aged out",
    "not checked": "● not checked",
}


def router(store: Store, access: Access, checks: Checks) -> APIRouter:
    """The pages and their twins."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/rollouts/{name}/ledger.json")
    def told(name: str) -> Response:
        return as_json(record_of(store, checks, name))

    @routes.get("/rollouts/{name}/ledger.csv")
    def rows(name: str) -> Response:
        return as_csv(record_of(store, checks, name)["entries"], COLUMNS, f"{name}-ledger")

    @routes.get("/rollouts/{name}/ledger", response_class=HTMLResponse)
    def shown_here(name: str, page: int = 1) -> HTMLResponse:
        return HTMLResponse(ledger_page(record_of(store, checks, name), max(1, page), time.time()))

    @routes.get("/rollouts/{name}/ledger/{n}.json")
    def entry_told(name: str, n: int) -> Response:
        return as_json(_entry(store, name, n).to_json())

    @routes.get("/rollouts/{name}/ledger/{n}", response_class=HTMLResponse)
    def entry_shown(name: str, n: int) -> HTMLResponse:
        entry = _entry(store, name, n)
        try:
            spec = parse(store.spec(name, entry.revision))
        except (StoreError, ValueError):
            spec = store.get(name).rollout
        replayed = statuses(checks.latest(name)).get(n, "not checked")
        return HTMLResponse(entry_page(entry, spec, replayed, store.get(name).seq, time.time()))

    @routes.post("/rollouts/{name}/check")
    async def check(request: Request, name: str) -> Response:
        check_origin(request.headers, ambient=True)
        given, session = await form_of(request), access.session(request)
        secret = given.get("token", "").strip() or (session.secret if session else None)
        # It moves nothing, but it takes the machine's time: whoever may read may ask for it.
        await run_in_threadpool(access.check, secret, READ)
        stored = await run_in_threadpool(store.get, name)
        checks.begin(name, stored.seq)
        return RedirectResponse(f"/rollouts/{quote(name, safe='')}/ledger", 303)

    return routes


def shown(store: Store, checks: Checks, path: str, now: float) -> str | None:
    """The page at a path, if it is a ledger's first."""
    parts = path.split("/")
    if len(parts) != 4 or (parts[1], parts[3]) != ("rollouts", "ledger"):
        return None
    return ledger_page(record_of(store, checks, unquote(parts[2])), 1, now)


def record_of(store: Store, checks: Checks, name: str) -> dict[str, Any]:
    """The ledger with what the last check found of it. Raises UnknownRollout."""
    entries = store.entries(name)
    checked = ledger.verify(entries, store.head(name))
    latest = checks.latest(name)
    replayed = statuses(latest)
    return {
        "name": name,
        "intact": checked.intact,
        "first_broken": checked.first_broken,
        "reason": checked.reason,
        "checked": latest,
        "checking_since": checks.since(name),
        "entries": [
            {**{key: getattr(entry, key) for key in COLUMNS if key != "replay"}, "replay": _status(entry, replayed)}
            for entry in entries
        ],
    }


def _status(entry: Entry, replayed: Mapping[int, str]) -> str | None:
    """Whether a decision was reproduced; None for what nobody decided on evidence, such as a new revision."""
    return replayed.get(entry.n, "not checked" if entry.move is not None else None)


def statuses(latest: Record | None) -> dict[int, str]:
    """Of each decision that the last check recomputed, how it came out."""
    looked = ((latest or {}).get("replay") or {}).get("looked", ())
    return {one["n"]: _came_out(one) for one in looked}


def _came_out(one: Record) -> str:
    if one["differences"]:
        return "differs"
    if one.get("aged_out"):
        return "aged out"
    return "by hand" if one["by_hand"] else "reproduced"


def ledger_page(record: Record, at: int, now: float) -> str:
    """The entries, the latest first, `at` being the page of them."""
    name = record["name"]
    entries = list(reversed(record["entries"]))
    pages = max(1, -(-len(entries) // A_PAGE))
    at = min(at, pages)
    rows = [_row(name, entry) for entry in entries[(at - 1) * A_PAGE : at * A_PAGE]]
    words = ("n", "at (UTC)", "what", "why", "by", "replay")
    cells = [el("th", word, scope="col", class_=None if place else "number") for place, word in enumerate(words)]
    table = el("table", el("thead", el("tr", cells)), el("tbody", rows), class_="ledger stacked")
    head = el("section", el("h1", f"Ledger of {name}"), _intact(record), _checked(record, now))
    listed = el(
        "section", el("h2", "Entries"), el("div", table, class_="panel"), pager(f"{_link(name)}/ledger", at, pages)
    )
    body = [rollout_bar(name, "ledger"), *live_parts([head, listed]), twin_links(f"{_link(name)}/ledger")]
    return page(f"Ledger of {name}", body, now, refresh=5 if at == 1 else None)


def pager(path: str, at: int, pages: int, asked: str = "") -> Markup | None:
    """Links to the pages before and after."""
    if pages < 2:
        return None
    more = f"&{asked}" if asked else ""
    before = el("a", "← newer", href=f"{path}?page={at - 1}{more}", rel="prev") if at > 1 else None
    after = el("a", "older →", href=f"{path}?page={at + 1}{more}", rel="next") if at < pages else None
    return el(
        "nav", before, el("span", f" page {at} of {pages} ", class_="quiet"), after, class_="pager", aria_label="Pages"
    )


def _row(name: str, entry: Record) -> Markup:
    replay = entry["replay"]
    return el(
        "tr",
        el("td", el("a", entry["n"], href=f"{_link(name)}/ledger/{entry['n']}"), class_="number"),
        el("td", el("time", moment(entry["at"])), class_="quiet"),
        el("td", el("strong", entry["move"] or entry["rule"])),
        el("td", entry["sentence"]),
        el("td", entry["actor"] if entry["actor"] != "rule" else f"rule {entry['rule']}", class_="quiet"),
        el("td", el("span", SAID[replay], class_=f"replay {replay.replace(' ', '-')}") if replay else ""),
    )


def _intact(record: Record) -> Markup:
    count = len(record["entries"])
    if record["intact"]:
        return el("p", f"◆ The chain of {whole(count)} entries holds: each has the hash of the one before.")
    return el("p", f"✖ The chain is broken at entry {record['first_broken']}: {record['reason']}.", class_="wrong")


def _checked(record: Record, now: float) -> Markup:
    """What `verify` and `replay` said last, and how to ask them again."""
    latest, name = record["checked"], record["name"]
    told: list[Any] = []
    if latest is None:
        told.append("? Facts have not been checked and decisions have not been recomputed from here yet.")
    else:
        told += [
            f"Checked {moment(latest['at'], now)} UTC, up to entry {latest['upto']}. ",
            _verified(latest["verify"]),
        ]
        told.append(_replayed(latest["replay"]))
        if latest["problem"]:
            told.append(f" ? {latest['problem']}.")
    if record["checking_since"] is not None:
        again: Any = el("p", f"● It is being checked since {moment(record['checking_since'], now)} UTC.", role="status")
    else:
        again = el(
            "details",
            el("summary", "Check it now"),
            el("p", "Every file of facts is read, and every decision is taken anew. ", class_="quiet"),
            el(
                "form",
                el("label", el("span", "Your token, if you are not signed in"),
                   el("input", type="password", name="token", autocomplete="off")),
                el("button", "Check", type="submit"),
                method="post",
                action=f"{_link(name)}/check",
            ),
        )  # fmt: skip
    command = el("p", "The same from a terminal: ", el("code", f"crossfade verify {name}"), " and ",
                 el("code", f"crossfade replay {name}"), ".", class_="quiet")  # fmt: skip
    return el("div", el("p", told), again, command)


def _verified(found: Record | None) -> str:
    if found is None:
        return ""
    if not found["intact"]:
        return f"✖ The record is broken at {found['first_broken']}: {found['reason']}. "
    if found["facts"] is None:
        return f"? {found['facts_reason']}. "
    gone = " Facts beyond their time were deleted, as recorded." if found["aged_out"] else ""
    return f"◆ The record is whole: {whole(found['facts'])} files of facts in {whole(found['seals'])} seals.{gone} "


def _replayed(found: Record | None) -> str:
    if found is None:
        return ""
    bad, gone = len(found["differing"]), found.get("aged_out", 0)
    shape = "✖" if bad else "◆"
    aged = f", {whole(gone)} aged out" if gone else ""
    return f"{shape} {whole(found['reproduced'])} of {whole(found['decisions'])} decisions reproduced{aged}."


def _entry(store: Store, name: str, n: int) -> Entry:
    entries = store.entries(name)
    found = next((entry for entry in entries if entry.n == n), None)
    if found is None:
        raise Refused(404, f"{name} has no entry {n} in its ledger", f"its entries are 1 to {len(entries)}")
    return found


def entry_page(entry: Entry, spec: Rollout, replay: str, last: int, now: float) -> str:
    """One entry: what was done and why, with the arithmetic and the evidence as it stood."""
    name, link = entry.rollout, f"{_link(entry.rollout)}/ledger"
    who = f"rule {entry.rule}" if entry.actor == "rule" else entry.actor
    told = [
        ("decided by", f"{who}{_known(entry.by)}"),
        ("at", f"{moment(entry.at)} UTC"),
        ("spec revision", el("code", entry.revision)),
        (
            "computed from",
            ", ".join(f"{kind} version {n}" for kind, n in sorted((entry.facts or {}).items())) or "nothing",
        ),
        ("replay", SAID[replay] if entry.move is not None else "no decision"),
        ("hash", el("code", entry.hash)),
        ("software", entry.software or ""),
    ]
    listed = el("dl", [[el("dt", word), el("dd", value)] for word, value in told if value])
    lines = [
        Evidence.from_json(line)
        for line in entry.evidence
        if line.get("segment") is None or line["verdict"] == "harmful"
    ]
    shown_lines = [_arithmetic(explain(spec, line), line.verdict is Verdict.HARMFUL) for line in lines]
    around = el(
        "nav",
        el("a", "← entry before", href=f"{link}/{entry.n - 1}") if entry.n > 1 else None,
        " ",
        el("a", "entry after →", href=f"{link}/{entry.n + 1}") if entry.n < last else None,
        class_="pager",
        aria_label="Entries",
    )
    head = el(
        "section",
        el("p", f"Entry {entry.n} · {entry.move or entry.kind}", class_="quiet"),
        el("h1", entry.sentence),
        listed,
    )
    body = [
        rollout_bar(name, "ledger"),
        head,
        el("section", el("h2", "Evidence as it stood"), shown_lines) if shown_lines else None,
        around,
        el("p", "This entry as ", el("a", "JSON", href=f"{link}/{entry.n}.json"), ".", class_="quiet"),
    ]
    return page(f"{name}, entry {entry.n}", body, now)


def _known(by: Mapping[str, Any] | None) -> str:
    if not by:
        return ""
    told = ", ".join(f"{key} {value if isinstance(value, str) else ' and '.join(value)}" for key, value in by.items())
    return f" ({told})"


def _arithmetic(steps: Sequence[str], opened: bool) -> Markup:
    """One line's; what proved harm is what somebody came for."""
    listed = el("ul", [el("li", step) for step in steps[1:]])
    return el("details", el("summary", steps[0]), listed, open=opened or None)


def _link(name: str) -> str:
    return f"/rollouts/{quote(name, safe='')}"
