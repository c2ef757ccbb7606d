"""The router that carries a rollout, on its page: what it was told, what it does, and what it cannot promise."""

from __future__ import annotations

from typing import Any

from crossfade.console.markup import Markup, el
from crossfade.spec.routers import LIMITS
from crossfade.view.words import clock, percent


def router_part(router: dict[str, Any] | None) -> Markup | None:
    """The section; None where Crossfade's gateway carries the rollout."""
    if router is None:
        return None
    title, carries = LIMITS[router["driver"]].title, router["carries"]
    told = router["told"]["shares"]
    # An arm that a router does not name gets nothing; of a router that was never read nothing is known.
    read = {} if carries is None else dict.fromkeys(told, 0.0) | carries["shares"]
    rows = [
        el("tr", el("th", arm, scope="row"), el("td", percent(told.get(arm))), el("td", percent(read.get(arm))))
        for arm in dict.fromkeys((*told, *read))
    ]
    copies = [f"copies of {percent(share)} of the requests go to {arm}" for arm, share in _mirrors(carries).items()]
    corrected = router["corrected"]
    if corrected:
        copies.append(
            f"somebody else had set it {'once' if corrected == 1 else f'{corrected} times'}; it was set right"
        )
    state = (
        el("p", f"{title} does what it was told since {clock(router['since'])}.")
        if router["agrees"] and not router["problem"]
        else el("p", f"? {title} does not follow since {clock(router['since'])}: {router['problem']}", class_="warning")
    )
    return el(
        "section",
        el("h2", title),
        state,
        el(
            "table",
            el("thead", el("tr", el("th", "arm"), el("th", "told"), el("th", "read back"))),
            el("tbody", rows),
        ),
        el("p", "; ".join(copies) + ".") if copies else None,
        el("ul", [el("li", el("small", one)) for one in router["cautions"]]),
        id="router",
    )


def _mirrors(carries: dict[str, Any] | None) -> dict[str, float]:
    return {} if carries is None else dict(carries["mirrors"])
