"""The page of models and health: what each model does for whom, and whether every part of Crossfade works."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from crossfade.console.frame import live_parts, page
from crossfade.console.markup import Markup, el
from crossfade.console.twins import as_csv, as_json, twin_links
from crossfade.rim.standing import FRESH, all_standing
from crossfade.rim.store import Store
from crossfade.view.words import duration, percent, whole

Record = Mapping[str, Any]

COLUMNS = (
    "rollout",
    "phase",
    "arm",
    "role",
    "url",
    "requests",
    "failures",
    "failure_rate",
    "fallbacks",
    "share",
    "units",
)

Checks = Callable[[], Mapping[str, Mapping[str, Any]]]


def router(store: Store, data: Path, checks: Checks) -> APIRouter:
    """The page and its twins."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/health.json")
    def told() -> Response:
        return as_json(record_of(store, data, checks, time.time()))

    @routes.get("/health.csv")
    def rows() -> Response:
        return as_csv(record_of(store, data, checks, time.time())["models"], COLUMNS, "models")

    @routes.get("/health", response_class=HTMLResponse)
    def shown_here() -> HTMLResponse:
        now = time.time()
        return HTMLResponse(models_page(record_of(store, data, checks, now), now))

    return routes


def shown(store: Store, data: Path, checks: Checks, path: str, now: float) -> str | None:
    """The page at a path, if it is this one."""
    return models_page(record_of(store, data, checks, now), now) if path == "/health" else None


def record_of(store: Store, data: Path, checks: Checks, now: float) -> dict[str, Any]:
    """Checks, gateways, and each arm of each rollout."""
    found = checks()
    models = [
        {
            "rollout": record["name"],
            "phase": record["phase"],
            "arm": name,
            **arm,
            "failure_rate": arm["failures"] / arm["requests"]
            if arm["requests"] and arm["failures"] is not None
            else None,
        }
        for record in all_standing(store, now)
        for name, arm in record["arms"].items()
    ]
    ready = all(check["ok"] for check in found.values())
    return {"ready": ready, "checks": found, "gateways": _gateways(data, now), "models": models}


def _gateways(data: Path, now: float) -> list[dict[str, Any]]:
    """What each worker said last of itself."""
    found = []
    for file in sorted((data / "run").glob("metrics-*.json")):
        try:
            said, age = json.loads(file.read_bytes()), now - file.stat().st_mtime
        except (OSError, ValueError):
            continue
        found.append(
            {
                "worker": said["worker"],
                "age": age,
                "version": said.get("version", ""),
                "request_path": said.get("request_path", ""),
                "requests": sum(said.get("requests", {}).values()),
                "passed": said.get("passed", 0),
                "refused": sum(said.get("refused", {}).values()),
                "faults": said.get("faults", {}),
                "dropped": sum(said.get("dropped", {}).values()),
                "gauges": said.get("gauges", {}),
            }
        )
    return found


def models_page(record: Record, now: float) -> str:
    """Is it well, what runs, and which model does how."""
    bad = [name for name, check in record["checks"].items() if not check["ok"]]
    said = "Every part works." if not bad else f"Not well: {', '.join(bad)}."
    checks = [
        el(
            "li",
            el("strong", f"{'◆' if check['ok'] else '✖'} {name}", class_=None if check["ok"] else "wrong"),
            f": {check['reason']}",
        )
        for name, check in record["checks"].items()
    ]
    head = el("section", el("h1", said, class_="red" if bad else None), el("ul", checks, class_="checks"))
    parts = [head, _models(record["models"]), _workers(record["gateways"])]
    return page("Models and health", [*live_parts(parts), twin_links("/health")], now, refresh=5)


def _models(models: Sequence[Record]) -> Markup:
    if not models:
        return el("section", el("h2", "Models"), el("p", "No rollout names a model yet.", class_="quiet"))
    rows = [
        el(
            "tr",
            el("th", el("a", one["rollout"], href=f"/rollouts/{quote(one['rollout'], safe='')}"),
               el("small", one["phase"].replace("_", " ")), scope="row"),
            el("td", el("strong", one["arm"]), el("small", one["role"]), class_=one["role"]),
            el("td", el("code", one["url"])),
            el("td", whole(one["requests"]), class_="number", data_label="requests"),
            el("td", el("span", whole(one["failures"])), el("small", percent(one["failure_rate"])), class_="number",
               data_label="failed"),
            el("td", whole(one["fallbacks"]), class_="number", data_label="fell back"),
            el("td", percent(one["share"]), class_="number", data_label="share"),
        )
        for one in models
    ]  # fmt: skip
    words = ("rollout", "model", "where", "requests", "failed", "fell back", "share of requests")
    head = el("tr", [el("th", word, scope="col", class_="number" if n > 2 else None) for n, word in enumerate(words)])
    return el(
        "section",
        el("h2", "Models"),
        el("div", el("table", el("thead", head), el("tbody", rows), class_="stacked"), class_="panel"),
    )


def _workers(gateways: Sequence[Record]) -> Markup:
    if not gateways:
        told = "? No gateway has been heard in this data folder: nothing is served through it now."
        return el("section", el("h2", "Gateways"), el("p", told, class_="warning"))
    rows = [
        el(
            "tr",
            el("th", one["worker"], el("small", f"{one['version']} {one['request_path']}".strip()), scope="row"),
            el("td", "◆ answers" if one["age"] <= FRESH else f"? silent for {duration(one['age'])}",
               class_=None if one["age"] <= FRESH else "warning"),
            [el("td", whole(one[key]), class_="number", data_label=key)
             for key in ("requests", "passed", "refused", "dropped")],
            el("td", ", ".join(f"{what} {whole(n)}" for what, n in one["faults"].items()) or "none",
               data_label="faults"),
        )
        for one in gateways
    ]  # fmt: skip
    words = ("gateway", "", "requests on routes", "passed through", "refused", "copies dropped", "faults")
    head = el(
        "tr", [el("th", word, scope="col", class_="number" if 1 < n < 6 else None) for n, word in enumerate(words)]
    )
    note = el("p", "Counted since each gateway began.", class_="quiet")
    table = el("div", el("table", el("thead", head), el("tbody", rows), class_="stacked"), class_="panel")
    return el("section", el("h2", "Gateways"), table, note)
