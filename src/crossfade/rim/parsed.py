"""Parsed rollouts as the store keeps them beside their specs, so that gateways need not read specs to start.

A spec's text stays what counts. A record that another version wrote is not understood here, and the text is parsed.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any, get_type_hints

import msgspec

from crossfade.spec.model import STAGE_NAMES, Arm, Field, Margin, Metric, Probe, Ranking, Rollout, Stage, Until

_STAGES: dict[str, type[Stage]] = {name: kind for kind, name in STAGE_NAMES.items()}


_HINTS = {name: hint for name, hint in get_type_hints(Rollout).items() if name != "stages"}


class _Record(msgspec.Struct, array_like=True, frozen=True):
    shape: str
    rollout: dict[str, Any]
    stages: list[tuple[str, dict[str, Any]]]


_decode = msgspec.msgpack.Decoder(_Record).decode


def _shape() -> str:
    """A fingerprint of every field that a rollout has in this version."""
    kinds: tuple[Any, ...] = (Rollout, Field, Arm, Probe, Metric, Margin, Ranking, Until, *_STAGES.values())
    told = [f"{kind.__name__}.{one.name}:{one.type}" for kind in kinds for one in fields(kind)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


SHAPE = _shape()


def packed(rollout: Rollout) -> bytes:
    """A rollout as bytes."""
    stages = [(STAGE_NAMES[type(stage)], msgspec.to_builtins(stage)) for stage in rollout.stages]
    plain = {name: msgspec.to_builtins(getattr(rollout, name)) for name in _HINTS}
    return msgspec.msgpack.encode(_Record(SHAPE, plain, stages))


def unpacked(record: bytes, revision: str) -> Rollout | None:
    """The rollout of that revision; None for a record that this version did not write."""
    try:
        found = _decode(record)
        if found.shape != SHAPE or found.rollout["revision"] != revision:
            return None
        stages = tuple(msgspec.convert(given, _STAGES[name]) for name, given in found.stages)
        plain = {name: msgspec.convert(found.rollout[name], hint) for name, hint in _HINTS.items()}
        return Rollout(stages=stages, **plain)
    except (msgspec.MsgspecError, KeyError):
        return None
