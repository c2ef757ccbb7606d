"""Parsed rollouts as the store keeps them beside their specs, so that gateways need not read specs to start.

A spec's text stays what counts. A record that another version wrote is not understood here, and the text is parsed.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import msgspec

from crossfade.spec.model import STAGE_NAMES, Rollout, Stage

_STAGES: dict[str, type[Stage]] = {name: kind for kind, name in STAGE_NAMES.items()}


_HINTS = {name: hint for name, hint in get_type_hints(Rollout).items() if name != "stages"}


class _Record(msgspec.Struct, array_like=True, frozen=True):
    shape: str
    rollout: dict[str, Any]
    stages: list[tuple[str, dict[str, Any]]]


_decode = msgspec.msgpack.Decoder(_Record).decode


def _fields(hint: Any, told: dict[str, str]) -> dict[str, str]:
    """Every field of every record that a value of this type may hold."""
    for part in get_args(hint):
        _fields(part, told)
    if is_dataclass(hint) and isinstance(hint, type) and hint.__name__ not in told:
        told[hint.__name__] = ", ".join(f"{one.name}: {one.type}" for one in fields(hint))
        for part in get_type_hints(hint).values():
            _fields(part, told)
    return told


SHAPE = hashlib.sha256(repr(sorted(_fields(Rollout, {}).items())).encode()).hexdigest()[:16]
"""A fingerprint of what a rollout can say in this version."""


def packed(rollout: Rollout) -> bytes:
    """A rollout as bytes; none where they would not give it back as it was."""
    stages = [(STAGE_NAMES[type(stage)], msgspec.to_builtins(stage)) for stage in rollout.stages]
    plain = {name: msgspec.to_builtins(getattr(rollout, name)) for name in _HINTS}
    record = msgspec.msgpack.encode(_Record(SHAPE, plain, stages))
    return record if unpacked(record, rollout.revision) == rollout else b""


def unpacked(record: bytes, revision: str) -> Rollout | None:
    """The rollout of that revision; None for a record that this version did not write."""
    try:
        found = _decode(record)
        if found.shape != SHAPE or found.rollout["revision"] != revision:
            return None
        stages = tuple(msgspec.convert(given, _STAGES[name]) for name, given in found.stages)
        plain = {name: msgspec.convert(found.rollout[name], hint) for name, hint in _HINTS.items()}
        return Rollout(stages=stages, **plain)
    except (msgspec.MsgspecError, KeyError, TypeError):
        return None
