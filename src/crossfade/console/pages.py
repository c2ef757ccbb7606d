"""Where the pages are: the list of rollouts, and one page for each.

They are rendered here and show the record that the JSON API and the terminal give. None needs a script; one renews
their parts while somebody looks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import unquote

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from crossfade.console.frame import page
from crossfade.console.list_page import Record, link, list_page
from crossfade.console.markup import el
from crossfade.console.rollout_page import rollout_page
from crossfade.console.twins import as_csv, as_json
from crossfade.rim.looking import past_of
from crossfade.rim.standing import all_standing, nearest, standing
from crossfade.rim.store import Store, UnknownRollout
from crossfade.view import status

LIST_COLUMNS = ("name", "phase", "stage", "step", "planned", "actual", "units", "sentence", "revision", "route", "at")

EVIDENCE_COLUMNS = (
    "metric", "role", "arm", "baseline", "stage", "step", "segment", "verdict", "estimate", "lower", "upper", "limit",
    "confidence", "e_value", "e_value_safe", "units", "values", "events", "immature", "reason",
)  # fmt: skip


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
            return HTMLResponse(_rollout(store, standing(store, name, now), now))
        except UnknownRollout as error:
            return HTMLResponse(missing_page(name, nearest(error, store), now), 404)

    return routes


def shown(store: Store, path: str, now: float) -> str | None:
    """The page at a path that is renewed while somebody looks; None where there is none. Raises UnknownRollout."""
    if path == "/":
        records = all_standing(store, now)
        return _rollout(store, records[0], now) if len(records) == 1 else list_page(records, now)
    prefix, name = path[:10], unquote(path[10:])
    if prefix != "/rollouts/" or "/" in name:
        return None
    return _rollout(store, standing(store, name, now), now)


def list_row(record: Record) -> Record:
    """A rollout as a row of the list's CSV."""
    exposure = {key: record["exposure"][key] for key in ("planned", "actual")}
    return {**record, **exposure, "units": sum(record["exposure"]["units"].values())}


def _rollout(store: Store, record: Record, now: float) -> str:
    return rollout_page(record, past_of(store, record["name"], record), now)


def missing_page(name: str, close: Sequence[str], now: float) -> str:
    """No such rollout."""
    hints = [el("a", other, href=link(other)) for other in close]
    body = el(
        "section",
        el("h1", f"No rollout is named {name}"),
        el("p", "Did you mean ", hints, "?") if hints else None,
        el("p", el("a", "All rollouts", href="/")),
    )
    return page(name, body, now)
