"""Mirrored requests that lie in the lake, summed up by field: where replies differ, and by how much beyond noise.

Asked for by people, not by the controller: the facts are read anew when they have changed, and nothing else is kept.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossfade.judge.disagreement import MOST_FIELDS, Counts, Tally
from crossfade.live.compare.kinds import UNUSABLE
from crossfade.live.compare.sides import rules_of
from crossfade.rim.lake import Lake, LakeError
from crossfade.rim.pair_figures import COLUMNS, pair_figures
from crossfade.rim.searching.kept import found
from crossfade.spec.model import Rollout, Shadow, copies_of
from crossfade.state import Position, as_muted
from crossfade.view.comparison import margin_of
from crossfade.view.comparison import told as comparison

if TYPE_CHECKING:
    import duckdb

MOST_VALUES = 50
"""Values of one segment field that are told, those that differ most often."""

MOST_KNOWN = 64
"""Records that are kept until facts change."""

Within = tuple[int, str] | None
"""Only one segment: the place of its field among those of the spec, and its value."""

EXAMPLES = 3
"""Decisions named for each field."""

_COLUMNS = {
    **dict.fromkeys(("rollout", "arm", "decision_id", "reason"), "VARCHAR"),
    **dict.fromkeys(("stage", "among"), "BIGINT"),
    **dict.fromkeys(("champion_failed", "challenger_failed", "differs", "noise_differs"), "BOOLEAN"),
    **dict.fromkeys(("fields", "kinds", "noise_fields", "segments"), "VARCHAR[]"),
    "sizes": "DOUBLE[]",
    '"at"': "DOUBLE",
    **COLUMNS,
}

# Facts of before there were kinds and noise fields do not say where the champion differed from itself: such pairs are
# not among those asked twice.
_PAIRS = f"""
CREATE TABLE pairs AS SELECT arm, decision_id, stage, "at", champion_failed, challenger_failed, reason, differs,
    coalesce(fields, []) AS fields, coalesce(kinds, []) AS kinds, coalesce(noise_fields, []) AS noise_fields,
    coalesce(among, 0) AS among, coalesce(segments, []) AS segments, coalesce(sizes, []) AS sizes,
    NOT champion_failed AND (NOT challenger_failed OR reason IN {UNUSABLE}) AS counts,
    CASE WHEN NOT champion_failed AND (NOT challenger_failed OR reason IN {UNUSABLE})
         AND (NOT noise_differs OR len(coalesce(noise_fields, [])) > 0) THEN noise_differs END AS noisy,
    challenger_failed OR list_has_any(coalesce(kinds, []), ['nan', 'shape', 'invalid']) AS unusable
FROM facts WHERE rollout = ? AND stage = (SELECT max(stage) FROM facts WHERE rollout = ?)
    AND coalesce(len(unmeasured), 0) = 0
"""

# What was muted since a pair was recorded does not count in it; where names filled all the room there may be more.
_MUTED = """
UPDATE pairs SET
    differs = differs AND (len(fields) IN (0, 8) OR len(list_filter(fields, lambda x: NOT {muted})) > 0),
    noisy = CASE WHEN noisy IS NOT NULL THEN noisy AND len(list_filter(noise_fields, lambda x: NOT {muted})) > 0 END,
    unusable = challenger_failed OR len(list_filter(list_zip(fields, kinds),
        lambda y: y[2] IN ('nan', 'shape', 'invalid') AND NOT {muted_pair})) > 0
"""

_TOTALS = """
SELECT arm, count(*) FILTER (counts), count(noisy), coalesce(max(among), 0),
    count(*) FILTER (counts AND differs), count(*) FILTER (noisy),
    count(*) FILTER (differs AND NOT noisy), count(*) FILTER (noisy AND NOT differs),
    count(*) FILTER (counts AND unusable), count(*) FILTER (unusable AND noisy IS NOT NULL)
FROM pairs GROUP BY arm ORDER BY arm
"""

_FIELDS = """
SELECT arm, field, coalesce(kind, 'value'), count(*), max(decision_id, 3)
FROM (SELECT arm, decision_id, unnest(fields) AS field, unnest(kinds) AS kind FROM pairs WHERE counts)
WHERE field IS NOT NULL GROUP BY ALL ORDER BY 4 DESC
"""

_BESIDE = """
SELECT arm, field, count(*) FROM (SELECT arm, unnest({}) AS field FROM pairs WHERE noisy IS NOT NULL) GROUP BY ALL
"""
_NOISY = _BESIDE.format("noise_fields")
_PLUS = _BESIDE.format("list_filter(fields, lambda x: NOT list_contains(noise_fields, x))")
_MINUS = _BESIDE.format("list_filter(noise_fields, lambda x: NOT list_contains(fields, x))")

_SIZES = """
SELECT arm, field, median(size), max(size), count(*) FILTER (size < 0.01),
    count(*) FILTER (size >= 0.01 AND size < 0.1), count(*) FILTER (size >= 0.1)
FROM (SELECT arm, unnest(fields) AS field, unnest(sizes) AS size FROM pairs WHERE counts AND len(fields) = len(sizes))
WHERE size >= 0 GROUP BY ALL
"""

_SEGMENTS = """
SELECT arm, coalesce(segments[?], ''), count(*), count(*) FILTER (differs), count(*) FILTER (unusable),
    mode(fields[1]) FILTER (differs)
FROM pairs WHERE counts GROUP BY ALL ORDER BY count(*) FILTER (differs) / count(*) DESC, count(*) DESC, 2
"""

_FAILED = """
SELECT arm, champion_failed, CASE WHEN champion_failed THEN 'failed' ELSE reason END, count(*) FROM pairs
WHERE champion_failed OR challenger_failed GROUP BY ALL
"""


class Differing:
    """Differences by field of the rollouts of one data folder. Safe to share between threads."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._lake: Lake | None = None
        self._lock = threading.Lock()
        self._known: dict[tuple[str, Within], tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def explored(self, rollout: Rollout, position: Position, within: Within = None) -> dict[str, Any]:
        """The record, and under `found` what a search found beside the segments that are declared."""
        return {**self.of(rollout, position, within), "found": found(self._data, rollout, position)}

    def of(self, rollout: Rollout, position: Position, within: Within = None) -> dict[str, Any]:
        """The record of one rollout, or of one of its segments; where there is nothing to sum up it says why."""
        rollout = as_muted(rollout, position)
        with self._lock:
            try:
                files = self._files()
            except LakeError as error:
                return _absent(rollout, f"the facts cannot be read: {error}")
            asked = (rollout.revision, position.muted, *files)
            known = self._known.pop((rollout.name, within), None)
            if known is None or known[0] != asked:
                known = (asked, _summed(rollout, files, within))
            self._known[rollout.name, within] = known
            while len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
            return known[1]

    def _files(self) -> list[str]:
        if self._lake is None:
            self._lake = Lake(self._data)
        return self._lake.files("compared")


def _absent(rollout: Rollout, reason: str) -> dict[str, Any]:
    return {"name": rollout.name, "available": False, "reason": reason, "arms": []}


def _summed(rollout: Rollout, files: list[str], within: Within) -> dict[str, Any]:
    if not any(isinstance(stage, Shadow) or copies_of(stage) for stage in rollout.stages):
        return _absent(
            rollout, "the rollout has no shadow stage and copies no requests, so that no replies are compared"
        )
    muted = [one.path for one in rollout.compare if one.mute]
    names = [str(field) for field in rollout.segments]
    tallies, beside = _tallies(rollout.name, files, muted, names, rollout.alpha, within) if files else ({}, {})
    if not tallies:
        told = "" if within is None else f" of the segment {names[within[0]]}={within[1]}"
        return _absent(rollout, f"no mirrored request{told} has been compared yet")
    rules = rules_of(rollout.compare)
    arms = []
    for arm, (tally, examples, failed, sizes, segments) in tallies.items():
        record = comparison(tally, rules, margin_of(rollout), rollout.alpha, examples, failed)
        fields = [{**line, "size": sizes.get(line["path"])} for line in record["fields"]]
        arms.append({"arm": arm, **record, "fields": fields, "segments": segments, **_NOTHING, **beside.get(arm, {})})
    return {"name": rollout.name, "available": True, "reason": "", "arms": arms}


_Counted = tuple[
    Tally, dict[str, list[dict[str, Any]]], dict[str, dict[str, int]], dict[str, dict[str, Any]], list[dict[str, Any]]
]


def _any_of(path: str, muted: Sequence[str]) -> str:
    """Whether a path is, or lies below, one of those."""
    below = (
        f"{path} = {_text(m)} OR starts_with({path}, {_text(m + '.')}) OR starts_with({path}, {_text(m + '[')})"
        for m in muted
    )
    return f"({' OR '.join(below)})"


_NOTHING: dict[str, Any] = {"latency": None, "cost": None, "unmeasured": {}}


def _tallies(
    name: str, files: list[str], muted: Sequence[str], segments: Sequence[str], alpha: float, within: Within
) -> tuple[dict[str, _Counted], dict[str, dict[str, Any]]]:
    """What facts of a rollout's last stage with any say by challenger: where replies differ, what is beside that."""
    import duckdb

    settings: dict[str, Any] = {
        "threads": 1,
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        pairs_of(connection, name, files, muted, within)
        found = {row[0]: _counted(row) for row in connection.execute(_TOTALS).fetchall()}
        for arm, field, kind, count, decisions in connection.execute(_FIELDS).fetchall():
            _field(found[arm], field, kind, count, decisions)
        for sql, column in ((_NOISY, "noisy"), (_PLUS, "plus"), (_MINUS, "minus")):
            for arm, field, count in connection.execute(sql).fetchall():
                counts = _of(found[arm][0], field)
                if counts is not None:
                    setattr(counts, column, count)
        for arm, ours, reason, count in connection.execute(_FAILED).fetchall():
            found[arm][2]["champion" if ours else "challenger"][reason] = count
        for arm, field, median, largest, *bands in connection.execute(_SIZES).fetchall():
            shares = dict(zip(("below_1%", "1%_to_10%", "10%_and_more"), bands, strict=True))
            found[arm][3][field] = {"median": median, "largest": largest, "pairs": shares}
        for place, segment in enumerate(segments, 1):
            told_of: Counter[str] = Counter()
            for arm, value, pairs, differing, unusable, field in connection.execute(_SEGMENTS, [place]).fetchall():
                told_of[arm] += 1
                if told_of[arm] <= MOST_VALUES:
                    found[arm][4].append(
                        {
                            "segment": segment,
                            "value": value,
                            "pairs": pairs,
                            "differing": differing,
                            "rate": differing / pairs,
                            "unusable": unusable,
                            "field": field,
                        }
                    )
        beside = pair_figures(connection, name, alpha)
    for tally, *_ in found.values():
        tally.quiet = max(tally.quiet - len(tally.fields), 0)
    return found, beside


def pairs_of(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    files: Sequence[str],
    muted: Sequence[str],
    within: Within = None,
) -> None:
    """Make the table `pairs`: mirrored requests of a rollout's last stage with any, with what is muted taken back."""
    # An empty table of all columns goes first, because files that an earlier version wrote lack some.
    connection.execute(f"CREATE TABLE shape ({', '.join(f'{column} {kind}' for column, kind in _COLUMNS.items())})")
    read = f"read_parquet([{', '.join(map(_text, files))}], union_by_name = true)"
    there = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()}
    wanted = ", ".join(column for column in _COLUMNS if column.strip('"') in there)
    rows = f"SELECT * FROM shape UNION ALL BY NAME SELECT {wanted} FROM {read} WHERE rollout = {_text(name)}"
    if within is not None:
        place, value = within
        rows = f"SELECT * FROM ({rows}) WHERE coalesce(segments[{place + 1}], '') = {_text(value)}"
    connection.execute(f"CREATE VIEW facts AS {rows}")
    connection.execute(_PAIRS, [name, name])
    if muted:
        connection.execute(_MUTED.format(muted=_any_of("x", muted), muted_pair=_any_of("y[1]", muted)))


def _counted(row: tuple[Any, ...]) -> _Counted:
    _, pairs, twice, among, differing, noisy, plus, minus, unusable, unusable_twice = row
    tally = Tally(pairs=pairs, twice=twice, quiet=among)
    tally.any = Counts(differing=differing, noisy=noisy, plus=plus, minus=minus)
    tally.any.kinds.update({"any": differing} if differing else {})
    # The champion's second answer is not recorded as unusable or not; a champion that is differs, and is left out.
    tally.catastrophic = Counts(differing=unusable, plus=unusable_twice)
    tally.catastrophic.kinds.update({"unusable": unusable} if unusable else {})
    return tally, {}, {"champion": {}, "challenger": {}}, {}, []


def _field(counted: _Counted, field: str, kind: str, count: int, decisions: list[str]) -> None:
    tally, examples, *_ = counted
    counts = _of(tally, field)
    if counts is None:
        tally.left_out += count
        return
    counts.differing += count
    counts.kinds[kind] += count
    kept = examples.setdefault(field, [])
    for decision in decisions[: EXAMPLES - len(kept)]:
        kept.append({"path": field, "kind": kind, "id": decision, "champion": None, "challenger": None})


def _of(tally: Tally, field: str) -> Counts | None:
    if field not in tally.fields and len(tally.fields) >= MOST_FIELDS:
        return None
    return tally.fields.setdefault(field, Counts())


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
