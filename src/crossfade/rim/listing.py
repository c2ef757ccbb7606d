"""Interleaved lists that lie in the lake: some of them as they were shown, and how evenly their places were dealt.

Asked for by people, not by the controller: the facts are read anew when they have changed, and nothing else is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossfade.ledger.twice import interleaved
from crossfade.rim.lake import Lake, LakeError
from crossfade.spec.model import Rollout
from crossfade.view import lists as words

if TYPE_CHECKING:
    import duckdb

SAMPLES = 6
"""Lists of each challenger that are shown."""

MOST_SLOTS = 50
"""Places that are told of; nobody looks further down."""

MOST_KNOWN = 16
"""Records that are kept until facts change."""

_SHOWN = {
    **dict.fromkeys(("rollout", "decision_id", "unit", "method", "excluded", "arm"), "VARCHAR"),
    "stage": "BIGINT",
    '"at"': "DOUBLE",
    "items": "VARCHAR[]",
    "owners": "VARCHAR[]",
    "credits": "BIGINT[]",
}

_OUTCOME = {
    **dict.fromkeys(("decision_id", "name", "item", "corrects"), "VARCHAR"),
    "value": "DOUBLE",
}

# Facts of an earlier version do not say whose list it was; where there is only one challenger it was that one's.
_LISTS = """
CREATE VIEW lists AS SELECT decision_id, "at", unit, method, items, owners, coalesce(credits, []) AS credits,
    coalesce(excluded, '') AS excluded,
    CASE WHEN coalesce(arm, '') <> '' THEN arm ELSE coalesce(list_filter({arms}, lambda a: list_contains(owners, a))[1],
         CASE WHEN len({arms}) = 1 THEN {arms}[1] ELSE '' END) END AS arm
FROM shown WHERE rollout = {name} AND stage = (SELECT max(stage) FROM shown WHERE rollout = {name})
"""

# What was picked, by list. A correction is a word on an outcome, no outcome of its own.
_CLICKS = """
CREATE TABLE clicks AS SELECT decision_id, item, name, count(*) AS times FROM outcome
WHERE name IN (SELECT unnest($names)) AND value <> 0 AND item <> '' AND coalesce(corrects, '') = ''
    AND decision_id IN (SELECT decision_id FROM lists) GROUP BY ALL
"""

_COUNTS = """
SELECT arm, count(*) FILTER (excluded = ''),
    count(*) FILTER (excluded = '' AND decision_id IN (SELECT decision_id FROM clicks))
FROM lists GROUP BY arm ORDER BY arm
"""

_EXCLUDED = "SELECT arm, excluded, count(*) FROM lists WHERE excluded <> '' GROUP BY ALL"

# One list a unit, its first: a unit that asks again is given the same list, which says nothing new of the coin.
_SLOTS = """
WITH firsts AS (
    SELECT arm, unit, min_by(owners, ("at", decision_id)) AS owners, min_by(credits, ("at", decision_id)) AS credits
    FROM lists WHERE excluded = '' AND unit <> '' GROUP BY arm, unit
), places AS (
    SELECT arm, unnest(owners[:$most]) AS owner, generate_subscripts(owners[:$most], 1) AS place,
        unnest(CASE WHEN len(credits) > 0 THEN credits[:$most] ELSE [NULL::BIGINT] END) / 1e6 AS worth
    FROM firsts
)
SELECT arm, place, count(*) FILTER (owner = $champion), count(*) FILTER (owner = arm), count(*) FILTER (owner = ''),
    count(worth), coalesce(sum(worth), 0), coalesce(sum(worth * worth), 0)
FROM places WHERE place IS NOT NULL GROUP BY arm, place ORDER BY arm, place
"""

_UNITS = "SELECT arm, count(DISTINCT unit) FROM lists WHERE excluded = '' AND unit <> '' GROUP BY arm"

# The latest of which something was picked: the others have nothing to say but that.
_SAMPLES = """
SELECT arm, decision_id, "at", items[:$most], owners[:$most], credits[:$most] FROM (
    SELECT *, row_number() OVER (PARTITION BY arm ORDER BY decision_id IN (SELECT decision_id FROM clicks) DESC,
        "at" DESC, decision_id) AS rank
    FROM lists WHERE excluded = ''
) WHERE rank <= $samples ORDER BY arm, rank
"""

_PICKED = "SELECT decision_id, item, name, times FROM clicks WHERE decision_id IN (SELECT unnest($ids))"


class Listing:
    """Interleaved lists of the rollouts of one data folder. Safe to share between threads."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._lake: Lake | None = None
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def of(self, rollout: Rollout) -> dict[str, Any]:
        """The record of one rollout; where there is nothing to show it says why."""
        if interleaved(rollout) is None:
            return words.absent(rollout, "no stage of the spec interleaves, so that no lists are merged")
        with self._lock:
            try:
                if self._lake is None:
                    self._lake = Lake(self._data)
                shown, outcome = self._lake.files("shown"), self._lake.files("outcome")
            except LakeError as error:
                return words.absent(rollout, f"the facts cannot be read: {error}")
            asked = (rollout.revision, *shown, *outcome)
            known = self._known.pop(rollout.name, None)
            if known is None or known[0] != asked:
                known = (asked, summed(rollout, shown, outcome))
            self._known[rollout.name] = known
            while len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
            return known[1]


def summed(rollout: Rollout, shown: Sequence[str], outcome: Sequence[str]) -> dict[str, Any]:
    """The record from these files of facts."""
    stage = interleaved(rollout)
    if stage is None or not shown:
        return words.absent(rollout, "no interleaved list has been shown yet")
    import duckdb

    settings: dict[str, Any] = {
        "threads": 1,
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        _read(connection, "shown", _SHOWN, shown)
        _read(connection, "outcome", _OUTCOME, outcome)
        challengers = [arm.name for arm in rollout.challengers]
        # A view takes no parameters.
        connection.execute(_LISTS.format(arms=_texts(challengers), name=_text(rollout.name)))
        connection.execute(_CLICKS, {"names": [one.outcome for one in stage.credit]})
        arms = [arm for arm in _arms(connection, rollout) if arm["arm"] in challengers]
    if not arms:
        return words.absent(rollout, "no interleaved list has been shown yet")
    return {"name": rollout.name, "available": True, "reason": "", "method": stage.method, "arms": arms}


def _arms(connection: duckdb.DuckDBPyConnection, rollout: Rollout) -> list[dict[str, Any]]:
    # Numerics are half a second of imports, which a console need not wait for before it answers.
    from crossfade.judge.dealt import Slot, dealt

    slots: dict[str, dict[int, Slot]] = {}
    given = {"most": MOST_SLOTS, "champion": rollout.champion.name}
    for arm, place, ours, theirs, nobody, graded, total, squares in connection.execute(_SLOTS, given).fetchall():
        slots.setdefault(arm, {})[place] = Slot(
            champion=ours, challenger=theirs, nobody=nobody, graded=graded, total=total, squares=squares
        )
    units = dict(connection.execute(_UNITS).fetchall())
    excluded: dict[str, dict[str, int]] = {}
    for arm, why, count in connection.execute(_EXCLUDED).fetchall():
        excluded.setdefault(arm, {})[why] = count
    samples = _samples(connection, rollout)
    told = []
    for arm, count, clicked in connection.execute(_COUNTS).fetchall():
        places = [slots.get(arm, {}).get(place, Slot()) for place in range(1, max(slots.get(arm, {0: None})) + 1)]
        fair = dealt(places, units.get(arm, 0), rollout.alpha)
        told.append(
            {
                "arm": arm,
                "champion": rollout.champion.name,
                "lists": count,
                "picked": clicked,
                "excluded": excluded.get(arm, {}),
                "text": words.counted(count, clicked, excluded.get(arm, {})),
                "fairness": words.fairness(rollout, arm, fair, places),
                "samples": samples.get(arm, []),
            }
        )
    return told


def _samples(connection: duckdb.DuckDBPyConnection, rollout: Rollout) -> dict[str, list[dict[str, Any]]]:
    rows = connection.execute(_SAMPLES, {"most": MOST_SLOTS, "samples": SAMPLES}).fetchall()
    clicks: dict[str, dict[str, dict[str, int]]] = {}
    for decision, item, name, times in connection.execute(_PICKED, {"ids": [row[1] for row in rows]}).fetchall():
        clicks.setdefault(decision, {}).setdefault(item, {})[name] = times
    found: dict[str, list[dict[str, Any]]] = {}
    for arm, decision, at, items, owners, credits in rows:
        row: Mapping[str, Any] = {
            "decision_id": decision, "at": at, "items": items, "owners": owners, "credits": credits,
        }  # fmt: skip
        found.setdefault(arm, []).append(words.sample(rollout, arm, row, clicks.get(decision, {})))
    return found


def _read(connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str], files: Sequence[str]) -> None:
    """A view of facts with all columns, null where an earlier version wrote none."""
    connection.execute(f"CREATE TABLE no_{name} ({', '.join(f'{column} {kind}' for column, kind in columns.items())})")
    rows = f"SELECT * FROM no_{name}"
    if files:
        read = f"read_parquet({_texts(files)}, union_by_name = true)"
        there = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()}
        wanted = ", ".join(column for column in columns if column.strip('"') in there)
        rows += f" UNION ALL BY NAME SELECT {wanted} FROM {read}"
    connection.execute(f"CREATE VIEW {name} AS {rows}")


def _texts(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
