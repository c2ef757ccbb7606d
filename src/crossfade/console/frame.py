"""The frame of every page: document, bar, script and style, and which parts are renewed while somebody looks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response

from crossfade.console.bundle import CARRIED
from crossfade.console.markup import Markup, el, join
from crossfade.view.words import moment

DRAWING = (f"/vega.js?v={CARRIED}", "/charts.js")
"""The scripts of pages with charts, in their order."""

PARTS = re.compile(r"<!--\[([^>]*)-->(.*?)<!--\]\1-->", re.DOTALL)
"""Text of others never looks like it: all of it is escaped."""


def live(key: str, content: Any) -> Markup:
    """A part that is put in place anew, under a key that no other part of the page has, when it has changed."""
    inside = Markup(f"<!--[{_key(key)}-->{join(content)}<!--]{_key(key)}-->")
    return el("div", inside, data_live=_key(key), class_="live")


def live_parts(parts: Sequence[Any]) -> list[Markup]:
    """Each part of a page as one that is renewed; one that is absent may come later."""
    return [live(f"part-{place}", part) for place, part in enumerate(parts)]


def parts_of(html: str) -> dict[str, str]:
    """What of a page is renewed, by key."""
    return {found[1]: found[2] for found in PARTS.finditer(html)}


def version_of(parts: Mapping[str, str]) -> str:
    """A name for exactly this content."""
    told = hashlib.sha256()
    for key, part in parts.items():
        told.update(f"{len(key)} {len(part)} {key}{part}".encode())
    return told.hexdigest()[:20]


def page(title: str, body: Any, now: float, refresh: int | None = None) -> str:
    """A whole document with the bar at its top. `refresh`: seconds after which it is read anew where no script runs."""
    main = el("main", body)
    version = version_of(parts_of(main)) if refresh else None
    again = el("meta", http_equiv="refresh", content=str(refresh)) if refresh else None
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("noscript", again) if again else None,
        el("title", f"{title} · Crossfade"),
        el("link", rel="icon", href="/favicon.svg", type="image/svg+xml"),
        el("link", rel="stylesheet", href="/console.css"),
        el("script", src="/console.js", defer="") if version else None,
        [el("script", src=src, defer="") for src in DRAWING] if "data-chart=" in main else None,
    )
    mark = el(
        "svg",
        el("path", d="M2,4 C12,4 12,16 22,16", class_="fading"),
        el("path", d="M2,16 C12,16 12,4 22,4", class_="rising"),
        viewBox="0 0 24 20",
        class_="mark",
        aria_hidden="true",
    )
    at = el("time", f"{moment(now)} UTC", data_at="")
    state = el("span", at, " ", el("span", data_state="", role="status"), class_="quiet")
    places = [el("a", word, href=where) for where, word in (("/", "Rollouts"), ("/health", "Models and health"))]
    places.append(el("a", "Sign in", href="/sign-in"))
    there = el("nav", places, class_="places", aria_label="Crossfade")
    bar = el("header", el("a", mark, "Crossfade", href="/", class_="brand"), there, state)
    return "<!doctype html>\n" + el("html", head, el("body", bar, main, data_version=version), lang="en")


SIGHTS = {"": "Overview", "differences": "Differences", "lists": "Lists", "drift": "Drift", "ledger": "Ledger"}
"""What there is to see of a rollout, by the end of its address."""


def rollout_bar(name: str, here: str) -> Markup:
    """The pages of one rollout, `here` being the one that is shown."""
    link = f"/rollouts/{quote(name, safe='')}"
    links = [
        el("a", word, href=f"{link}/{where}".rstrip("/"), aria_current="page" if where == here else None)
        for where, word in SIGHTS.items()
    ]
    return el("nav", el("strong", name), links, class_="sights", aria_label=f"Pages of {name}")


def router() -> APIRouter:
    """The style sheet and the script."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/console.css")
    def style() -> Response:
        return Response(_static("console.css"), media_type="text/css")

    @routes.get("/console.js")
    def script() -> Response:
        return Response(_static("console.js"), media_type="text/javascript")

    @routes.get("/favicon.svg")
    def icon() -> Response:
        headers = {"cache-control": "private, max-age=86400"}
        return Response(_static("favicon.svg"), media_type="image/svg+xml", headers=headers)

    @routes.get("/charts.js")
    def charts() -> Response:
        return Response(_static("charts.js"), media_type="text/javascript")

    return routes


@cache
def _static(name: str) -> str:
    return (files("crossfade.console") / "static" / name).read_text(encoding="utf-8")


def _key(key: str) -> str:
    """A key that may stand in a comment and in an attribute."""
    return re.sub(r"[^A-Za-z0-9_.-]", lambda found: f"~{ord(found[0]):x}~", key).replace("--", "-~")
