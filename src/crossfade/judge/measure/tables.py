"""The tables that measures are asked of: facts as they lie in the lake, the look, and who was exposed in it.

Everything here and beside it is an Ibis expression over unbound tables, so the same question runs on any engine.
Nothing unpacks JSON, and times inside a stage are `elapsed` seconds since it began: the subtraction is exact, and a
sum of small numbers rounds the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import ibis
import msgspec

from crossfade.facts import KINDS
from crossfade.judge.moments import BINS, FIRST_EDGE, GROWTH
from crossfade.judge.slices import LONG_FROM, MEDIUM, MEDIUM_FROM, SHORT

Expr = Any
"""An Ibis expression; the library ships no types."""

SLACK = 5.0
"""Seconds that a gateway's clock may be behind the one that began the stage."""

EXPOSING = ("canary", "ab", "interleave", "promote")
"""Modes in which units are randomised between arms that they see."""

_IBIS: dict[Any, str] = {
    str: "string",
    float: "float64",
    int: "int64",
    bool: "boolean",
    bool | None: "boolean",
    float | None: "float64",
    tuple[str, ...]: "array<string>",
    tuple[int, ...]: "array<int64>",
    tuple[float, ...]: "array<float64>",
}


_NEEDED: dict[str, tuple[str, ...]] = {
    "exposed": (
        "rollout",
        "decision_id",
        "at",
        "unit",
        "arm",
        "served_by",
        "mode",
        "stage",
        "step",
        "weight",
        "failed",
        "latency_ms",
        "segments",
        "copied",
    ),
    "compared": (
        "rollout",
        "decision_id",
        "at",
        "unit",
        "arm",
        "stage",
        "champion_failed",
        "challenger_failed",
        "reason",
        "differs",
        "noise_differs",
        "champion_ms",
        "challenger_ms",
        "fields",
        "segments",
        "kinds",
        "noise_fields",
        "champion_numbers",
        "challenger_numbers",
        "champion_names",
        "challenger_names",
        "unmeasured",
        "champion_cost",
        "challenger_cost",
        "served",
    ),
    "shown": ("rollout", "decision_id", "at", "unit", "stage", "items", "owners", "excluded", "credits", "arm"),
    "outcome": (
        "rollout",
        "decision_id",
        "unit",
        "name",
        "value",
        "item",
        "at",
        "received_at",
        "outcome_id",
        "corrects",
    ),
    "dropped": ("rollout", "at", "reason", "count"),
    "lease": ("at", "worker", "held"),
    "fault": ("at", "rollout", "count"),
}
"""The columns that questions ask for, per kind of fact."""


def _fact_table(kind: type[Any], name: str) -> Expr:
    types = {f.name: _IBIS[f.type] for f in msgspec.structs.fields(kind) if f.name in _NEEDED[name]}
    return ibis.table({column: types[column] for column in _NEEDED[name]}, name=name)


FACTS: dict[str, Expr] = {name: _fact_table(kind, name) for kind, name in KINDS.items() if name in _NEEDED}
"""One table a kind of fact that questions are asked of, named like it, with the columns they ask for."""

LOOK: Expr = ibis.table(
    {"rollout": "string", "stage": "int64", "mode": "string", "since": "float64", "now": "float64"}, name="look"
)
"""One row: which stage of which rollout is looked at, since when it runs, and when the look is taken."""

EXPOSURES: Expr = ibis.table(
    {
        "decision_id": "string",
        "unit": "string",
        "arm": "string",
        "step": "int64",
        "weight": "float64",
        "failed": "boolean",
        "latency_ms": "float64",
        "segments": "array<string>",
        "copied": "boolean",
        "elapsed": "float64",
    },
    name="exposures",
)
"""`exposures` of the look, kept by an engine that does not want to compute them once per metric."""

VISITS: Expr = ibis.table(
    {
        "unit": "string",
        "arm": "string",
        "step": "int64",
        "weight": "float64",
        "elapsed": "float64",
        "requests": "int64",
        "latency": "float64",
        "failures": "int64",
    },
    name="visits",
)
"""`visits` of the look, likewise."""

ARRIVALS: Expr = ibis.table(
    {"unit": "string", "arm": "string", "step": "int64", "weight": "float64", "elapsed": "float64"}, name="arrivals"
)
"""`arrivals` of the look, likewise."""

GREETINGS: Expr = ibis.table(
    dict(ARRIVALS.schema().items()) | {"latency_ms": "float64", "failed": "int64"}, name="greetings"
)
"""`greetings` of the look, likewise."""

UNITS: Expr = ibis.table(
    {"unit": "string", "arm": "string", "step": "int64", "weight": "float64", "entered": "float64"}, name="units"
)
"""`units` of the look, likewise."""

FALLEN: Expr = ibis.table(
    {"unit": "string", "arm": "string", "step": "int64", "weight": "float64", "elapsed": "float64"}, name="fallen"
)
"""`fallen` of the look, likewise."""

HOMES: Expr = ibis.table(
    {
        "unit": "string",
        "arm": "string",
        "step": "int64",
        "weight": "float64",
        "requests": "int64",
        "latency": "float64",
        "failures": "int64",
    },
    name="homes",
)
"""`homes` of the look, likewise."""

COPIED: Expr = ibis.table(
    {
        "unit": "string",
        "arm": "string",
        "step": "int64",
        "weight": "float64",
        "elapsed": "float64",
        "known": "boolean",
        "differs": "boolean",
    },
    name="copied",
)
"""`copied` of the look, likewise."""

TRIGGERED: Expr = ibis.table(dict(UNITS.schema().items()), name="triggered")
"""`triggers.triggered` of the look, likewise."""


def bucket_of(elapsed: Expr) -> Expr:
    """`bucket` of a column."""
    short = ibis.greatest(elapsed, 0.0).floor()
    medium = ((elapsed - float(SHORT)) / 60.0).floor() + float(MEDIUM_FROM)
    long = ((elapsed - float(MEDIUM)) / 3600.0).floor() + float(LONG_FROM)
    return ibis.cases((elapsed < SHORT, short), (elapsed < MEDIUM, medium), else_=long).cast("int64")


def latency_bin(ms: float) -> int:
    """The histogram bin that a latency falls into; bin i ends at FIRST_EDGE · GROWTH^i."""
    if ms <= FIRST_EDGE:
        return 0
    return min(math.ceil(math.log(ms / FIRST_EDGE) / math.log(GROWTH)), BINS - 1)


def latency_bin_of(ms: Expr) -> Expr:
    """`latency_bin` of a column."""
    raw = ((ms / FIRST_EDGE).ln() / math.log(GROWTH)).ceil()
    return ibis.cases((ms <= FIRST_EDGE, 0.0), (raw > float(BINS - 1), float(BINS - 1)), else_=raw).cast("int64")


def counted(flag: Expr) -> Expr:
    """1 where true, else 0; a cast would not do on PostgreSQL."""
    return ibis.cases((flag, ibis.literal(1, "int64")), else_=ibis.literal(0, "int64"))


def element(array: Expr, place: int | Expr) -> Expr:
    """What an array has at a place, null where it is shorter; some engines take asking beyond its end for a mistake."""
    return ibis.cases((array.length() > place, array[place]))


def first(table: Expr, *, by: list[str], order: list[str]) -> Expr:
    """The first row of each group; `order` must not leave ties."""
    ranked = table.mutate(place=ibis.row_number().over(group_by=by, order_by=order))
    return ranked.filter(ranked.place == 0).drop("place")


Look = Mapping[str, Any]
"""What `LOOK` says, told outright. Engines then need no join for it, which of many facts costs them a sixth."""


def during(fact: Expr, look: Expr | Look = LOOK, *, by: tuple[str, ...] = ("rollout", "stage")) -> Expr:
    """The facts of the look's rollout and stage (and mode, if asked), up to its time, with `elapsed`."""
    if isinstance(look, Mapping):
        since, now = (ibis.literal(repr(float(look[name]))).cast("float64") for name in ("since", "now"))
        kept = fact.filter(*(fact[name] == look[name] for name in by), fact["at"] >= since - SLACK, fact["at"] <= now)
        return kept.mutate(elapsed=kept["at"] - since)
    joined = fact.join(look.select(*by, "since", "now"), by)
    kept = joined.filter(joined["at"] >= joined["since"] - SLACK, joined["at"] <= joined["now"])
    return kept.mutate(elapsed=kept["at"] - kept["since"]).drop("since", "now")


def exposures(exposed: Expr = FACTS["exposed"], look: Expr | Look = LOOK) -> Expr:
    """Requests of the stage whose unit was randomised. Requests without a unit never are."""
    scoped = during(exposed, look, by=("rollout", "stage", "mode"))
    return scoped.filter(scoped["unit"] != "").select(*EXPOSURES.columns)


def visits(exposed: Expr = EXPOSURES) -> Expr:
    """Each unit in each step, with the arm and weight it had there: since when, and its requests in all."""
    # The one pass over all exposures: what is asked of them is asked of this, which has hardly more rows than units.
    return exposed.group_by("unit", "arm", "step", "weight").agg(
        elapsed=exposed["elapsed"].min(),
        requests=exposed.count(),
        latency=exposed["latency_ms"].sum(),
        failures=exposed.count(where=exposed["failed"]),
    )


def arrivals(visited: Expr = VISITS) -> Expr:
    """When each unit first came in each step of the stage, and with which arm."""
    # Ties are broken by what is asked for, so that it does not matter which of two equal rows is taken and nobody has
    # to keep decision ids.
    begun = visited.select(*ARRIVALS.columns)
    return first(begun, by=["unit", "step"], order=["elapsed", "arm", "weight"])


def greetings(exposed: Expr = EXPOSURES, arrived: Expr = ARRIVALS) -> Expr:
    """Arrivals, with how slow the reply to that first request was and whether the arm failed it."""
    same = [exposed[name] == arrived[name] for name in ARRIVALS.columns]
    replied = exposed.join(arrived.select(*ARRIVALS.columns), same)
    told = replied.select(*ARRIVALS.columns, "latency_ms", failed=counted(replied["failed"]))
    return first(told, by=list(ARRIVALS.columns), order=["latency_ms", "failed"])


def units(visited: Expr = VISITS) -> Expr:
    """Each unit once: the arm, step and weight of its first exposure in the stage, and when that was."""
    one = first(visited, by=["unit"], order=["elapsed", "step", "arm", "weight"])
    return one.select("unit", "arm", "step", "weight", entered=one["elapsed"])


def fallen(exposed: Expr = EXPOSURES) -> Expr:
    """The first exposure of each unit in the stage at which its arm failed."""
    failed = exposed.filter(exposed["failed"]).select(*FALLEN.columns)
    return first(failed, by=["unit"], order=["elapsed", "step", "arm", "weight"])


def copied(exposed: Expr = EXPOSURES, compared: Expr = FACTS["compared"], look: Expr = LOOK) -> Expr:
    """Requests of which a copy was due to the other arm: whether it is known if the answers differed, and if they did.

    An answer that only one of the arms could give differs from none. A pair of which a field was not measured is not
    known.
    """
    due = exposed.filter(ibis.coalesce(exposed["copied"], False))
    pairs = during(compared, look)
    pairs = pairs.filter(ibis.coalesce(pairs["unmeasured"].length(), 0) == 0)
    differs = pairs["differs"] | (pairs["champion_failed"] != pairs["challenger_failed"])
    per_request = pairs.group_by("decision_id").agg(differs=counted(differs).max())
    both = due.left_join(per_request, "decision_id")
    known = both["differs"].notnull()
    return both.select(
        "unit", "arm", "step", "weight", "elapsed", known=known, differs=ibis.coalesce(both["differs"], 0) > 0
    )


def homes(visited: Expr = VISITS, entered: Expr = UNITS) -> Expr:
    """Each unit with its requests in the step and arm that it entered at: how many, how slow in all, how many failed.

    Only that step, so that a ramp does not mix time into a mean.
    """
    home = visited.drop("weight", "elapsed").join(entered, ["unit", "arm", "step"])
    keys = ("unit", "arm", "step", "weight")
    return home.group_by(*keys).agg(**{name: home[name].sum() for name in ("requests", "latency", "failures")})
