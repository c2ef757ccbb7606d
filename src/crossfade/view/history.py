"""A rollout's history for people to see: when which share was planned, and what looks at it found, thinned out.

It is drawn, never decided by: the ledger holds what was decided, and on what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from crossfade.ledger import Entry
from crossfade.spec.model import Rollout, stage_name
from crossfade.state import ENDED, Position, weight

MOST = 96
"""Looks that are kept: beyond them every second one is dropped, and the next ones are kept half as often."""

MOST_LINES = 12

Record = Mapping[str, Any]


def history(rollout: Rollout, entries: Sequence[Entry], looks: Record | None, now: float) -> dict[str, Any]:
    """`steps` that the ledger tells of, `looks` that were kept, and the `end` of what is drawn."""
    steps = []
    for entry in entries:
        if entry.move is not None:
            position = Position.from_json(entry.to_position or {})
            steps.append(
                {
                    "at": entry.at,
                    "weight": weight(rollout, position),
                    "move": entry.move,
                    "stage": stage_name(rollout.stages[position.stage]),
                }
            )
    over = bool(entries) and Position.from_json(_last(entries)).phase in ENDED
    kept = list(looks["looks"]) if looks else []
    return {"steps": steps, "looks": kept, "end": steps[-1]["at"] if over and steps else now}


def _last(entries: Sequence[Entry]) -> Record:
    return next((entry.to_position for entry in reversed(entries) if entry.to_position is not None), {})


def with_look(kept: Record | None, record: Record) -> dict[str, Any] | None:
    """The looks with that of a record added; None where it adds nothing that is worth keeping.

    The first look of a step, and of a phase, is always kept; others once enough time has gone by.
    """
    looks, every = (list(kept["looks"]), float(kept["every"])) if kept else ([], 0.0)
    if record["phase"] == "pending":
        return None
    last = looks[-1] if looks else None
    place = (record["stage"], record["step"], record["phase"])
    same = last is not None and place == _place(last)
    if last is not None and same and (record["phase"] in ENDED or record["at"] - last["at"] < every):
        return None
    looks.append(_look(record))
    if len(looks) > MOST:
        looks = _thinned(looks)
        every = max(2.0 * every, (looks[-1]["at"] - looks[0]["at"]) / MOST)
    return {"every": every, "looks": looks}


def _thinned(looks: Sequence[Record]) -> list[Record]:
    """Every second one, and the last of each step."""
    ends = {n for n, (one, after) in enumerate(pairwise(looks)) if _place(one) != _place(after)}
    return [one for n, one in enumerate(looks) if n % 2 == 0 or n in ends or n == len(looks) - 1]


def _place(look: Record) -> tuple[Any, ...]:
    return look["stage"], look["step"], look["phase"]


def _look(record: Record) -> dict[str, Any]:
    pairs = zip(record["evidence"], record["lines"], strict=True)
    return {
        "at": record["at"],
        "stage": record["stage"],
        "step": record["step"],
        "phase": record["phase"],
        "planned": record["exposure"]["planned"],
        "actual": _short(record["exposure"]["actual"]),
        "lines": [_line(line, said) for line, said in pairs if line["segment"] is None][:MOST_LINES],
    }


def _line(line: Record, said: Record) -> dict[str, Any]:
    return {
        "metric": line["metric"],
        "arm": line["arm"],
        "units": sum(line["units"].values()),
        **{key: _short(line[key]) for key in ("estimate", "lower", "upper")},
        **{way: _short(said["toward"][way]) for way in ("harm", "safe")},
    }


def _short(value: float | None) -> float | None:
    """Six digits are more than a picture shows."""
    return None if value is None else float(f"{value:.6g}")
