"""What searches found, one file a rollout: written by the controller, read by whoever shows it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossfade.spec.model import Rollout
from crossfade.state import Phase, Position

FOLDER = "found"
"""Below the data folder."""

SEALED = "sealed"
"""Below that: records as seals name them."""


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
        found: dict[str, Any] = json.loads(text(data, name) or b"null")
    except ValueError:
        return None
    return found


def text(data: Path, name: str) -> bytes | None:
    """The latest record as it was written; None before the first."""
    try:
        return (data / FOLDER / f"{name}.json").read_bytes()
    except OSError:
        return None


def set_aside(data: Path) -> dict[str, str]:
    """SHA-256 of each record as it is now, by rollout, kept under it until a later one is: what a seal says of them.

    Written before the seal that names it, so that no seal names what is not there.
    """
    told: dict[str, str] = {}
    for path in sorted((data / FOLDER).glob("*.json")):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        told[path.stem] = digest = hashlib.sha256(content).hexdigest()
        place = _aside(data, path.stem, digest)
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            fresh = place.with_suffix(".new")
            fresh.write_bytes(content)
            os.replace(fresh, place)
    return told


def tidy(data: Path, told: Mapping[str, str]) -> None:
    """Remove what no seal will be asked for any more: all that was set aside but these."""
    for name, digest in told.items():
        place = _aside(data, name, digest)
        for path in place.parent.glob("*.json"):
            # A name may be the beginning of another one.
            if path.name.rsplit(".", 2)[0] == name and path != place:
                path.unlink(missing_ok=True)


def aside(data: Path, name: str, digest: str) -> bytes | None:
    """The record that was set aside under a digest; None where it is not in this folder. Nobody has checked it."""
    try:
        return _aside(data, name, digest).read_bytes()
    except OSError:
        return None


def _aside(data: Path, name: str, digest: str) -> Path:
    return data / FOLDER / SEALED / f"{name}.{digest[:16]}.json"


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
