"""The demo's models: what each one is once fitted, as plain arrays that a small server can run without scikit-learn.

A model is a pure function of rows; `save` and `load` keep it in one `.npz` file without pickle. The training
that produces these arrays lives in `training`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A (multinomial) logistic regression on some columns of the row."""

    width: int
    columns: Ints
    weights: Floats
    """(classes, columns); the scaler is folded in."""
    bias: Floats
    labels: Ints

    def predict(self, rows: Floats) -> Ints:
        """One label a row."""
        scores = rows[:, self.columns] @ self.weights.T + self.bias
        chosen: Ints = self.labels[np.argmax(scores, axis=1)]
        return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A decision tree; node 0 is the root and a negative child means a leaf."""

    width: int
    left: Ints
    right: Ints
    feature: Ints
    threshold: Floats
    leaf_label: Ints

    def predict(self, rows: Floats) -> Ints:
        """One label a row. Rows are compared as float32, as the fitted tree compares them."""
        narrow = rows.astype(np.float32)
        node = np.zeros(len(rows), dtype=np.int64)
        every = np.arange(len(rows))
        while np.any(inner := self.left[node] >= 0):
            goes_left = narrow[every, self.feature[node]] <= self.threshold[node]
            below = np.where(goes_left, self.left[node], self.right[node])
            node = np.where(inner, below, node)
        return self.leaf_label[node]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranker:
    """Nearest neighbours of an image among the documents, after an optional linear projection."""

    width: int
    projection: Floats
    """(width, dimensions); the identity where pixels are compared as they are."""
    documents: Floats
    """(documents, dimensions), already projected."""
    norms: Floats
    """Squared length of each document."""
    ids: tuple[str, ...]
    depth: int = 10

    @classmethod
    def of(cls, images: Floats, ids: tuple[str, ...], projection: Floats) -> Ranker:
        """A ranker of `images` by their projections."""
        documents = np.ascontiguousarray(images @ projection)
        norms = np.square(documents).sum(axis=1)
        return cls(width=images.shape[1], projection=projection, documents=documents, norms=norms, ids=ids)

    def search(self, row: Floats) -> list[str]:
        """The ids of the `depth` nearest documents, nearest first, ties by position."""
        # |d − q|² without |q|², which is the same for every document.
        distance = self.norms - 2.0 * (self.documents @ (row @ self.projection))
        nearest = np.argsort(distance, kind="stable")[: self.depth]
        return [self.ids[i] for i in nearest]


Model = Linear | Tree | Ranker

_KINDS: dict[str, type[Any]] = {"linear": Linear, "tree": Tree, "ranker": Ranker}


def save(model: Model, path: Path) -> None:
    """Write `model` to `path` (`.npz`)."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(model, cls))
    values: dict[str, Any] = {name: np.asarray(getattr(model, name)) for name in type(model).__dataclass_fields__}
    np.savez(path, kind=np.asarray(kind), **values)


def load(path: Path) -> Model:
    """The model in `path`. Raises ValueError when the file holds none."""
    with np.load(path, allow_pickle=False) as stored:
        kind = str(stored["kind"]) if "kind" in stored else ""
        if kind not in _KINDS:
            raise ValueError(f"{path} holds no model of a known kind; known: {', '.join(_KINDS)}")
        values: dict[str, Any] = {name: stored[name] for name in stored.files if name != "kind"}
    for name in ("width", "depth"):
        if name in values:
            values[name] = int(values[name])
    if "ids" in values:
        values["ids"] = tuple(str(i) for i in values["ids"])
    model: Model = _KINDS[kind](**values)
    return model
