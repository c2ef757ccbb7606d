"""The questions whose answers are the dossier's counts: what is asked is what is printed beside them."""

from __future__ import annotations

from crossfade.spec.model import Rollout

FOLDER = "FOLDER"
"""Stands for what `crossfade export` wrote."""

ARMS = (
    "SELECT arm, count(*) AS requests, count(DISTINCT unit) FILTER (unit <> '') AS units, "
    "count(*) FILTER (failed) AS failed FROM exposed GROUP BY arm ORDER BY arm"
)
COPIES = (
    "SELECT arm, count(*) AS copies, count(*) FILTER (challenger_failed) AS failed FROM compared "
    "GROUP BY arm ORDER BY arm"
)
NAMELESS = "SELECT count(*) AS requests FROM exposed WHERE unit = ''"
PERIOD = "SELECT min(e.at) AS first, max(e.at) AS last FROM exposed e"
SPANS = (
    "SELECT m.n, e.arm, count(DISTINCT e.unit) AS units FROM moves m JOIN exposed e ON e.at >= m.at AND e.at < m.until "
    "WHERE e.unit <> '' GROUP BY ALL ORDER BY ALL"
)
FAULTS = (
    "SELECT what, sum(count)::BIGINT AS times, min(f.at) AS first, max(f.at) AS last FROM fault f "
    "GROUP BY what ORDER BY ALL"
)
LEASES = "SELECT count(*) AS lost FROM lease WHERE NOT held"
DROPPED = "SELECT reason, sum(count)::BIGINT AS copies FROM dropped GROUP BY reason ORDER BY reason"
REACHED = (
    "SELECT arm, count(DISTINCT unit) AS units FROM exposed WHERE unit <> '' AND arm <> '{champion}' "
    "GROUP BY arm ORDER BY arm"
)
LATE = (
    "SELECT m.n, count(*) AS requests, count(DISTINCT e.unit) AS units, max(e.at) - min(m.at) AS seconds FROM moves m "
    "JOIN exposed e ON e.at >= m.at AND e.at < m.until WHERE m.move = 'rollback' AND e.arm <> '{champion}' GROUP BY m.n"
)
TIMELINE = (
    "SELECT least(floor((e.at - {since!r}) / {width!r}), {last})::INT AS slice, arm, count(DISTINCT unit) AS units "
    "FROM exposed e WHERE unit <> '' AND e.at >= {since!r} GROUP BY ALL ORDER BY ALL"
)


def reached(rollout: Rollout) -> str:
    """Units that were ever served by a challenger."""
    return REACHED.format(champion=rollout.champion.name)


def late(rollout: Rollout) -> str:
    """What challengers still served after a rollback, until every gateway had heard of it."""
    return LATE.format(champion=rollout.champion.name)


def facts(name: str, sql: str | None = None) -> str:
    """The command that asks."""
    return f"crossfade facts {name} --folder {FOLDER}" + (f' "{sql}"' if sql is not None else "")


def explain(name: str, n: int | str) -> str:
    """The command that shows an entry with its evidence."""
    return f"crossfade explain {name} {n} --folder {FOLDER} --json"
