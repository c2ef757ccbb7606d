"""What mirrored pairs say beside where they differ: how slow and how dear both were, and what was not measured."""

from __future__ import annotations

from typing import Any

from crossfade.judge.infer.latency import QUANTILES, paired_difference

COLUMNS = {
    "unit": "VARCHAR",
    **dict.fromkeys(("champion_ms", "challenger_ms", "champion_cost", "challenger_cost"), "DOUBLE"),
    "unmeasured": "VARCHAR[]",
}
"""Columns of facts that are read for it."""

# Of each unit its own mean: a client that repeats one request many times counts once.
_PAIRED = """
WITH mine AS (SELECT arm, decision_id, unit, champion_{0} AS a, challenger_{0} AS b FROM facts
    WHERE rollout = ? AND stage = (SELECT max(stage) FROM facts WHERE rollout = ?)),
units AS (SELECT arm, avg(a) AS a, avg(b) AS b FROM mine WHERE a IS NOT NULL AND b IS NOT NULL
    GROUP BY arm, CASE WHEN coalesce(unit, '') = '' THEN decision_id ELSE unit END),
means AS (SELECT arm, count(*) AS n, avg(b - a) AS difference, stddev_pop(b - a) AS deviation, avg(a) AS a, avg(b) AS b
    FROM units GROUP BY arm)
SELECT mine.arm, count(*) FILTER (mine.a IS NOT NULL AND mine.b IS NOT NULL),
    count(*) FILTER (mine.a IS NULL OR mine.b IS NULL),
    quantile_cont(mine.a, {1}), quantile_cont(mine.b, {1}), any_value(n), any_value(difference), any_value(deviation),
    any_value(means.a), any_value(means.b)
FROM mine JOIN means USING (arm) GROUP BY mine.arm
"""

_UNMEASURED = """
SELECT arm, told, count(*) FROM (SELECT arm, unnest(coalesce(unmeasured, [])) AS told FROM facts
    WHERE rollout = ? AND stage = (SELECT max(stage) FROM facts WHERE rollout = ?)) GROUP BY ALL ORDER BY 3 DESC
"""


def pair_figures(connection: Any, name: str, alpha: float) -> dict[str, dict[str, Any]]:
    """By challenger: `latency` and `cost` as paired differences, where there are any, and `unmeasured` by field."""
    found: dict[str, dict[str, Any]] = {}
    for key, column, unit in (("latency", "ms", "ms"), ("cost", "cost", "")):
        sql = _PAIRED.format(column, list(QUANTILES))
        for arm, *row in connection.execute(sql, [name, name]).fetchall():
            found.setdefault(arm, {})[key] = _told(row, alpha, unit)
    for arm, told, count in connection.execute(_UNMEASURED, [name, name]).fetchall():
        path, _, why = told.partition(": ")
        found.setdefault(arm, {}).setdefault("unmeasured", {}).setdefault(path, {})[why] = count
    return found


def _told(row: list[Any], alpha: float, unit: str) -> dict[str, Any]:
    pairs, missing, ours, theirs, units, difference, deviation, mean_a, mean_b = row
    return {
        "pairs": pairs,
        "missing": missing,
        "units": units,
        "champion": {"mean": mean_a, **_named(ours)},
        "challenger": {"mean": mean_b, **_named(theirs)},
        **paired_difference(units, difference, deviation, alpha),
        "unit": unit,
    }


def _named(quantiles: list[float]) -> dict[str, float]:
    return {f"p{100 * q:g}": value for q, value in zip(QUANTILES, quantiles, strict=True)}
