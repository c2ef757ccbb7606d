"""Orders to stop a rollout at once, each a file beside the store: obeyed also where the store cannot be written.

A controller that hangs may hold the store's only right to write. Gateways look here at every look, the order becomes
an entry of the ledger as soon as somebody can write one, and only then is the file removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path("run") / "stop"
_END = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who stopped which rollout, when and why."""

    name: str
    actor: str
    reason: str
    at: float
    """Seconds since the epoch."""
    by: Mapping[str, Any] | None = None
    """How the one who asked was known."""


def ordered(data: Path) -> frozenset[str]:
    """The rollouts that are to be stopped. An order that cannot be read is obeyed all the same."""
    try:
        return frozenset(name.removesuffix(_END) for name in os.listdir(data / FOLDER) if name.endswith(_END))
    except FileNotFoundError:
        return frozenset()


def give(data: Path, order: Order) -> None:
    """Stop a rollout: on disk when this returns. Raises OSError."""
    folder = data / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{order.name}.{os.getpid()}.tmp"
    with draft.open("w") as out:
        json.dump(asdict(order), out)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(folder / f"{order.name}{_END}")


def read(data: Path, name: str) -> Order | None:
    """An order as it was given; None where it is gone or was damaged."""
    try:
        return parsed(name, (data / FOLDER / f"{name}{_END}").read_bytes())
    except OSError:
        return None


def parsed(name: str, told: str | bytes) -> Order | None:
    """An order from what was written; None where that was damaged."""
    try:
        said = json.loads(told)
        return Order(
            name=name,
            actor=str(said["actor"]),
            reason=str(said["reason"]),
            at=float(said["at"]),
            by=dict(said["by"]) if said.get("by") else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def done(data: Path, name: str) -> None:
    """Take an order away that the ledger has."""
    (data / FOLDER / f"{name}{_END}").unlink(missing_ok=True)
