"""The form of the events that notices are posted as: a JSON Schema, to which only additions are made."""

from __future__ import annotations

from typing import Any

from crossfade.rim.notices import SOURCE, TYPE
from crossfade.state import Move, Phase

KINDS = (*(str(move) for move in Move), "note", "fault", "approval", "test")
"""What the last part of a type may be."""


def _data(**more: Any) -> dict[str, Any]:
    always = {
        "rollout": {"type": "string"},
        "kind": {"enum": list(KINDS)},
        "sentence": {"type": "string", "description": "What the page shows."},
    }
    return {"type": "object", "properties": {**always, **more}, "required": [*always, *more]}


def _when(kinds: list[str], data: dict[str, Any]) -> dict[str, Any]:
    types = {"properties": {"type": {"enum": [f"{TYPE}.{kind}" for kind in kinds]}}}
    return {"if": types, "then": {"properties": {"data": data}}}


def schema() -> dict[str, Any]:
    """The schema."""
    text, count = {"type": "string"}, {"type": "integer", "minimum": 0}
    entry = _data(
        n={**count, "description": "The ledger's entry."},
        hash={**text, "description": "Its hash, by which it can be found and checked."},
        revision=text,
        move={"enum": [*map(str, Move), None]},
        rule={"type": ["string", "null"]},
        actor=text,
        phase={"enum": [*map(str, Phase), None]},
        stage={"type": ["integer", "null"]},
        step={"type": ["integer", "null"]},
    )
    approval = _data(
        n=count, stage=text, revision=text, wanted=text, missing=count, given={"type": "array"}, shown=text
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What Crossfade tells of a rollout, as a CloudEvent 1.0",
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "The same however often it is told."},
            "source": {"type": "string", "pattern": f"^{SOURCE}:"},
            "type": {"enum": [f"{TYPE}.{kind}" for kind in KINDS]},
            "subject": {"type": "string", "description": "The rollout's name."},
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            "data": _data(),
        },
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"],
        "allOf": [
            _when([*map(str, Move), "note"], entry),
            _when(["fault"], _data(faults=count, new=count)),
            _when(["approval"], approval),
        ],
    }
