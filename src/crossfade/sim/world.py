"""What the units ask and what becomes of it: request bodies from held-out rows, and outcomes by their true labels.

Pure; chance comes in as a generator. The labels are known here and nowhere else, least of all to the models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from crossfade.sim.clicks import CLICK_MODELS
from crossfade.sim.models import Floats, Ints
from crossfade.sim.oip import INPUT


class Unusable(ValueError):
    """A 200 whose body no client could use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something a unit will report later."""

    name: str
    value: float = 1.0
    item: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What an answer led to."""

    wrong: bool
    """The answer contradicted the true label (classifier), or held nothing relevant (search)."""
    happenings: tuple[Happening, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Held-out rows with their labels; documents and a click model where the answers are ranked lists."""

    rows: Floats
    labels: Ints
    documents: dict[str, int]
    clicks: str = "navigational"

    def ask(self, rng: Random, request_id: str) -> tuple[int, bytes]:
        """(row, body) of one request."""
        row = rng.randrange(len(self.rows))
        tensor = {
            "name": INPUT,
            "datatype": "FP64",
            "shape": [1, self.rows.shape[1]],
            "data": self.rows[row].tolist(),
        }
        return row, json.dumps({"id": request_id, "inputs": [tensor]}).encode()

    def react(self, row: int, body: bytes, rng: Random) -> Reaction:
        """What follows from the answer `body` to the question `row`; raises Unusable."""
        data = _data(body)
        if not self.documents:
            wrong = _number(data) != float(self.labels[row])
            return Reaction(wrong=wrong, happenings=(Happening(name="wrong", value=float(wrong)),))
        items = [str(item) for item in data]
        relevant = [self.documents.get(item) == int(self.labels[row]) for item in items]
        clicked = CLICK_MODELS[self.clicks].clicks(relevant, rng)
        return Reaction(
            wrong=not any(relevant),
            happenings=tuple(Happening(name="click", item=items[slot]) for slot in clicked),
        )

    def save(self, path: Path) -> None:
        """Write the world to `path` (`.npz`)."""
        ids = list(self.documents)
        np.savez(
            path,
            rows=self.rows,
            labels=self.labels,
            ids=np.asarray(ids, dtype=np.str_),
            relevant=np.asarray([self.documents[i] for i in ids], dtype=np.int64),
            clicks=np.asarray(self.clicks),
        )

    @classmethod
    def load(cls, path: Path) -> World:
        """The inverse of `save`."""
        with np.load(path, allow_pickle=False) as stored:
            documents = {str(i): int(n) for i, n in zip(stored["ids"], stored["relevant"], strict=True)}
            return cls(rows=stored["rows"], labels=stored["labels"], documents=documents, clicks=str(stored["clicks"]))


def _data(body: bytes) -> Sequence[Any]:
    try:
        output = json.loads(body)["outputs"][0]
        data, shape = output["data"], output["shape"]
    except (ValueError, LookupError, TypeError) as error:
        raise Unusable(f"not an inference reply: {error!r}") from None
    if not isinstance(data, list) or not data or len(data) != int(np.prod(shape)):
        raise Unusable("the data do not fit the declared shape")
    return data


def _number(data: Sequence[Any]) -> float:
    try:
        number = float(data[0])
    except (TypeError, ValueError):
        raise Unusable("the prediction is not a number") from None
    if not np.isfinite(number):
        raise Unusable("the prediction is not finite")
    return number
