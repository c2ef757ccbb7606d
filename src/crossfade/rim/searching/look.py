"""One look of a search over the facts, and its record: reproducible from the versions of the facts and the memory that
the record names."""

from __future__ import annotations

from collections.abc import Mapping

from crossfade.judge.search import Finding, Hunted, Memory, search
from crossfade.judge.search.cells import told
from crossfade.judge.search.hunt import ALPHA
from crossfade.rim.engine.full import Files
from crossfade.rim.searching.kept import Record, absent
from crossfade.rim.searching.rows import table
from crossfade.spec.model import Rollout
from crossfade.state import Position
from crossfade.view.words import percent, whole

MOST_ROWS = 500_000
"""Rows after which half as many of those that follow are kept."""

WATCHED = 5
"""Groups being tested that are told beside those found."""


def look(
    files: Files, versions: Mapping[str, int], rollout: Rollout, position: Position, now: float, kept: Record | None
) -> Record:
    """The record of a look. `kept` is the one before; of another stage it says nothing."""
    key = [position.stage, position.stage_since]
    before = kept["memory"] if kept is not None and kept.get("memory", {}).get("stage") == key else None
    thinned = list(before["thinned"]) if before else []
    rows = table(files, versions, rollout, position, now, thinned)
    if rows is None:
        return absent(rollout, "nothing that can be searched has been recorded in this stage yet", now)
    memory = Memory.from_json(before) if before else Memory()
    hunted = search(rows, now - position.stage_since, memory, alpha=ALPHA)
    since = thinned[-1] if thinned else float("-inf")
    if int((rows.at > since).sum()) >= MOST_ROWS:
        thinned.append(float(rows.at[-1]))
    return {
        **absent(rollout, "", now),
        "available": True,
        "stage": position.stage,
        "alpha": hunted.alpha,
        "rows": hunted.rows,
        "tested": len(hunted.memory.hypotheses),
        "facts": dict(versions),
        "found": [finding(one, position.stage_since) for one in hunted.found],
        "watched": [finding(one, position.stage_since) for one in hunted.watched[:WATCHED]],
        "sentence": sentence(hunted, len(rollout.features)),
        "memory": {**hunted.memory.to_json(), "stage": key, "thinned": thinned},
    }


def finding(one: Finding, began: float) -> Record:
    """A group as it is told; its rows are counted from `began`."""
    line = one.line
    return {
        "segment": told(one.hypothesis.cell),
        "conditions": [condition.to_json() for condition in one.hypothesis.cell],
        "metric": line.metric,
        "arm": line.arm,
        "baseline": line.baseline,
        "since": began + one.hypothesis.since,
        "share": one.share,
        "units": dict(line.units),
        "events": None if line.events is None else dict(line.events),
        "estimate": line.estimate,
        "lower": line.lower,
        "upper": line.upper,
        "limit": line.limit,
        "e_value": one.e_value,
        "explained_by": one.explained_by,
        "sentence": _told(one),
    }


def _told(one: Finding) -> str:
    line = one.line
    values = line.values or {}
    ours, theirs = values.get(line.arm), values.get(line.baseline)
    much = (
        f"{percent(ours)} against {percent(theirs)} of {line.baseline}"
        if ours is not None and theirs is not None
        else f"{percent(line.estimate)} of {whole(line.units.get(line.arm))} more of {line.arm} than of {line.baseline}"
        if line.estimate is not None
        else "not measured yet"
    )
    return f"{line.metric} where {told(one.hypothesis.cell)} ({percent(one.share)} of all): {much}"


def sentence(hunted: Hunted, fields: int) -> str:
    """What the search says, in a sentence."""
    named = hunted.named
    if named:
        more = f", and in {len(named) - 1} more" if len(named) > 1 else ""
        return f"Exploratory: harm shown in a group nobody declared: {_told(named[0])}{more}."
    if hunted.found:
        return "Exploratory: harm is shown, but no group suffers more of it than everyone else."
    groups = len(hunted.memory.hypotheses)
    if not groups:
        return f"Exploratory: no group of {fields} fields has given cause for suspicion yet."
    return f"Exploratory: {groups} suspected groups are being tested; harm is shown in none."
