"""What searches found, one file a rollout: written by the controller, read by whoever shows it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from crossfade.spec.model import Rollout
from crossfade.state import Phase, Position

FOLDER = "found"
"""Below the data folder."""


Record = dict[str, Any]


def absent(rollout: Rollout, reason: str, now: float | None) -> Record:
    """The record where there is nothing to tell, with the why."""
    return {
        "available": False,
        "reason": reason,
        "exploratory": True,
        "at": now,
        "fields": [str(field) for field in rollout.features],
        "found": [],
        "watched": [],
        "sentence": "",
    }


def keep(data: Path, name: str, record: Record) -> None:
    """Put a record in the place of the one before, whole."""
    folder = data / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(record, separators=(",", ":"), allow_nan=False))
    os.replace(fresh, path)


def kept(data: Path, name: str) -> Record | None:
    """The latest record with all that a look goes on from; None before the first, or where it cannot be read."""
    try:
        found: dict[str, Any] = json.loads((data / FOLDER / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None
    return found


def found(data: Path, rollout: Rollout, position: Position) -> Record:
    """What people are told of a data folder: see `told`."""
    return told(kept(data, rollout.name), rollout, position)


def told(record: Record | None, rollout: Rollout, position: Position) -> Record:
    """What people are told: the latest record of the present stage without its memory, or why there is none."""
    if not rollout.features:
        return absent(rollout, "the spec names no fields to search: add `explore: [json:$.age]` or `segments:`", None)
    if position.phase is Phase.PENDING:
        return absent(rollout, "the rollout has not started", None)
    if record is None or (record["available"] and record["memory"]["stage"] != [position.stage, position.stage_since]):
        return absent(rollout, "this stage has not been searched yet", None)
    return {key: value for key, value in record.items() if key != "memory"}
