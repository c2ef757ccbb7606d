"""The list of rollouts: those that wait for somebody first, one line each, readable at one as at fifty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from crossfade.console.frame import live, page
from crossfade.console.markup import Markup, el
from crossfade.console.path import path
from crossfade.console.twins import twin_links
from crossfade.view.words import moment, percent, whole

Record = Mapping[str, Any]

ENDED = ("rolled_back", "finished")

MARKS = {"grey": "●", "accent": "▶", "amber": "?", "red": "✖", "green": "◆"}

GROUPS = (
    ("waiting", "Wait for somebody", "Held, or could not be measured, or need an approval"),
    ("running", "Under way", "Rules decide; nobody has to do anything"),
    ("pending", "Not started", "No traffic yet"),
    ("ended", "Ended", "Rolled back or finished"),
)

ORDER = {"red": 0, "amber": 1, "accent": 2, "grey": 3, "green": 4}


def list_page(records: Sequence[Record], now: float) -> str:
    """Every rollout with its sentence and where it stands."""
    if not records:
        return page("Rollouts", _nothing(), now, refresh=5)
    grouped = {key: [record for record in records if group_of(record) == key] for key, *_ in GROUPS}
    counts = [
        el("a", el("b", whole(len(grouped[key]))), f" {word.lower()}", href=f"#{key}", class_=key)
        for key, word, _ in GROUPS
        if grouped[key]
    ]
    head = el("section", el("h1", "Rollouts"), el("nav", counts, class_="counts", aria_label="Groups"))
    groups = [_group(*group, grouped[group[0]], now) for group in GROUPS]
    return page("Rollouts", [head, groups, twin_links("/rollouts")], now, refresh=5)


def group_of(record: Record) -> str:
    """Which of the groups a rollout belongs to."""
    phase = record["phase"]
    if phase in ENDED:
        return "ended"
    if phase == "held" or record["tone"] in ("amber", "red"):
        return "waiting"
    return "pending" if phase == "pending" else "running"


def link(name: str) -> str:
    """Where a rollout's page is."""
    return f"/rollouts/{quote(name, safe='')}"


def phase_of(record: Record) -> Markup:
    """The phase with its mark."""
    tone = record["tone"]
    return el("span", f"{MARKS[tone]} {record['phase'].replace('_', ' ')}", class_=f"phase {tone}")


def _group(key: str, word: str, means: str, records: Sequence[Record], now: float) -> Markup | None:
    if not records:
        return None
    ordered = sorted(records, key=lambda one: (ORDER[one["tone"]], one["name"]))
    # The group is part of the key: who moves to another one makes the page another page.
    rows = [live(f"{key}.{record['name']}", _row(record, now)) for record in ordered]
    title = el("h2", word, el("span", f"{whole(len(records))} · {means}"))
    return el("section", title, el("div", rows, class_="rows"), id=key, class_="group")


def _row(record: Record, now: float) -> Markup:
    exposure, harm = record["exposure"], record["harm"]
    units = whole(harm["units"]) if harm["units"] else None
    decided = record["decisions"][-1]["at"] if record["decisions"] else None
    ended = record["phase"] in ENDED
    hidden = "taken back" if record["phase"] == "rolled_back" else "hidden from users"
    facts = [
        f"{percent(exposure['planned'])} planned" if exposure["planned"] else hidden,
        f"{units} units {'were ' if ended else ''}exposed" if units else None,
        f"moved {_ago(now - decided, decided)}" if decided else None,
    ]
    told = el("p", " · ".join(fact for fact in facts if fact), class_="quiet") if record["phase"] != "pending" else None
    return el(
        "article",
        el("div", el("a", record["name"], href=link(record["name"])), phase_of(record), class_="name"),
        el("div", el("p", record["sentence"]), told, class_="said"),
        path(record["stages"], small=True),
        class_="row",
    )


def _ago(age: float, at: float) -> str:
    """So coarse that the line stays as it is for a while."""
    for size, word in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if age >= size:
            return f"{age // size:.0f} {word} ago" if age < 30 * 86_400.0 else f"on {moment(at)[:10]}"
    return "less than a minute ago"


def _nothing() -> Markup:
    """What a newcomer does first."""
    steps = (
        ("crossfade demo --keep", "See one whole: two pairs of models, live traffic, a promotion and a rollback."),
        ("crossfade init spec.yaml", "Write a spec of your own: what is served, what is measured, how far to go."),
        ("crossfade check spec.yaml", "Every mistake in it at once, each with its line."),
        ("crossfade serve spec.yaml", "Serve it. It appears here, and sees no traffic until somebody starts it."),
    )
    items = [el("li", el("code", command), el("span", means)) for command, means in steps]
    lead = "A rollout takes a challenger from shadow over canary and A/B test to everybody, as far as evidence lets it."
    return el(
        "section",
        el("h1", "No rollouts yet"),
        el("p", lead, class_="lead"),
        el("ol", items, class_="steps"),
        class_="nothing",
    )
