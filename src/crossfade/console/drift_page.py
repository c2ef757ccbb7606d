"""The page of drift: are inputs, predictions and outcomes as in the reference, field by field."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from crossfade.console.drift import drift_part
from crossfade.console.frame import live_parts, page, rollout_bar
from crossfade.console.markup import coded, el
from crossfade.console.twins import as_csv, as_json, twin_links
from crossfade.rim.standing import standing
from crossfade.rim.store import Store

Record = Mapping[str, Any]

COLUMNS = (
    "field",
    "side",
    "arm",
    "measured",
    "changed",
    "what",
    "since",
    "psi",
    "psi_by_chance",
    "ks",
    "wasserstein",
    "now",
)


def router(store: Store) -> APIRouter:
    """The page and its twins."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/rollouts/{name}/drift.json")
    def told(name: str) -> Response:
        return as_json(record_of(store, name, time.time()))

    @routes.get("/rollouts/{name}/drift.csv")
    def rows(name: str) -> Response:
        drift = record_of(store, name, time.time())["drift"]
        return as_csv(drift["fields"] if drift else [], COLUMNS, f"{name}-drift")

    @routes.get("/rollouts/{name}/drift", response_class=HTMLResponse)
    def shown_here(name: str) -> HTMLResponse:
        now = time.time()
        return HTMLResponse(drift_page(record_of(store, name, now), now))

    return routes


def shown(store: Store, path: str, now: float) -> str | None:
    """The page at a path, if it is one of drift."""
    parts = path.split("/")
    if len(parts) != 4 or (parts[1], parts[3]) != ("rollouts", "drift"):
        return None
    return drift_page(record_of(store, unquote(parts[2]), now), now)


def record_of(store: Store, name: str, now: float) -> dict[str, Any]:
    """What is known of drift, or why nothing is. Raises UnknownRollout."""
    drift = standing(store, name, now).get("drift")
    reason = "" if drift else "the spec does not ask for it by `drift`, or nothing has been looked at yet"
    return {"name": name, "available": drift is not None, "reason": reason, "drift": drift}


def drift_page(record: Record, now: float) -> str:
    """The findings and the fields; or how to ask for them."""
    name = record["name"]
    if record["available"]:
        parts = [el("section", el("h1", record["drift"]["sentence"])), drift_part(record["drift"])]
    else:
        asked = el("pre", "drift: {sample: 5%, reference: 24h}")
        told = el("p", coded(f"? Nothing to show: {record['reason']}."), class_="quiet")
        parts = [
            el("section", el("h1", f"Drift of {name}"), told, el("p", "A spec asks for it like this:"), asked),
            None,
        ]
    link = f"/rollouts/{quote(name, safe='')}/drift"
    return page(f"Drift of {name}", [rollout_bar(name, "drift"), *live_parts(parts), twin_links(link)], now, refresh=15)
