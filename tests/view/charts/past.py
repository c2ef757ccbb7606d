"""A rollout of the sample with a past: thirty looks on the way from shadow to a proven harm."""

from __future__ import annotations

from copy import deepcopy
from math import sqrt
from typing import Any

from crossfade.view import view
from crossfade.view.history import history, with_look
from view.sample import DECISION, INPUTS, NOW, ROLLOUT, START, evidence, ledger_of


def told() -> tuple[dict[str, Any], dict[str, Any]]:
    """The record and the history."""
    position, entries = ledger_of()
    record = view(ROLLOUT, position, evidence(), DECISION, entries, now=NOW, **INPUTS)  # type: ignore[arg-type]
    kept: dict[str, Any] | None = None
    for n in range(30):
        kept = with_look(kept, _look(record, n)) or kept
    return record, history(ROLLOUT, entries, kept, NOW)


def _look(record: dict[str, Any], n: int) -> dict[str, Any]:
    """Intervals narrow as units come in."""
    look = deepcopy(record)
    look["at"] = START + n * 1700.0 / 30.0
    look["stage"], look["step"] = ("shadow", None) if n < 15 else ("canary", 0 if n < 22 else 1)
    look["exposure"]["actual"] = None if n < 15 else 0.0095 if n < 22 else 0.048
    grown = max(0.05, (n - 21) / 8.0) if n >= 22 else 0.5
    for line, said in zip(look["evidence"], look["lines"], strict=True):
        if line["estimate"] is None:
            continue
        line["units"] = {arm: int(count * grown) for arm, count in line["units"].items()}
        for key in ("lower", "upper"):
            if line[key] is not None:
                line[key] = line["estimate"] + (line[key] - line["estimate"]) / sqrt(grown)
        said["toward"] = {way: (far or 0.0) * grown for way, far in said["toward"].items()}
    return look
