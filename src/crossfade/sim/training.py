"""Training the demo's models on data bundled with scikit-learn; the only file of the demo that imports scikit-learn.

Every function is a pure function of its seed. Held-out rows are what the traffic sends, so how good a model
is on them is what its users will meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from crossfade.rim.extras import install
from crossfade.sim.models import Floats, Ints, Linear, Model, Ranker, Tree

INSTALL = "The demo trains scikit-learn models, and scikit-learn is not installed"
"""What is said to people who have not installed the extra."""


def how_to_install() -> str:
    """What they can do."""
    return f"{install('demo')}; or, in a clone of Crossfade, make demo"


TEXTURE = 1
"""Breast-cancer column `mean texture`: all that the bad challenger looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Two fitted models and the held-out rows that traffic will send."""

    champion: Model
    challenger: Model
    rows: Floats
    labels: Ints
    champion_score: float
    """Accuracy (or precision of the first ten) on the held-out rows."""
    challenger_score: float
    documents: dict[str, int]
    """Label of each document id, for ranking; empty otherwise."""


def available() -> bool:
    """Whether scikit-learn can be imported."""
    return find_spec("sklearn") is not None


def train(scenario: str, seed: int) -> Trained:
    """The two models of a scenario: `good`, `bad` or `ranking`."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    makers = {"good": _digits, "bad": _tumours, "ranking": _search}
    # One thread: on a small machine the pool costs more than these fits, and rounding stays the same everywhere.
    with threadpool_limits(1):
        return makers[scenario](seed)


def _split(x: Floats, y: Ints, held_out: float, seed: int) -> tuple[Floats, Floats, Ints, Ints]:
    from sklearn.model_selection import train_test_split

    a, b, c, d = train_test_split(x, y, test_size=held_out, random_state=seed, stratify=y)
    return a, b, c.astype(np.int64), d.astype(np.int64)


def _digits(seed: int) -> Trained:
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    x, y = load_digits(return_X_y=True)
    fit_x, rows, fit_y, labels = _split(x / 16.0, y, 0.4, seed)
    champion = _tree(DecisionTreeClassifier(random_state=seed).fit(fit_x, fit_y))
    challenger = _linear(LogisticRegression(max_iter=300).fit(fit_x, fit_y), width=64)
    return _classifiers(champion, challenger, rows, labels)


def _tumours(seed: int) -> Trained:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    fit_x, rows, fit_y, labels = _split(x, y, 0.4, seed)
    scaler = StandardScaler().fit(fit_x)
    scaled = scaler.transform(fit_x)
    full = LogisticRegression(max_iter=300).fit(scaled, fit_y)
    single = LogisticRegression().fit(scaled[:, [TEXTURE]], fit_y)
    champion = _linear(full, width=30, mean=scaler.mean_, scale=scaler.scale_)
    challenger = _linear(
        single,
        width=30,
        columns=(TEXTURE,),
        mean=scaler.mean_[[TEXTURE]],
        scale=scaler.scale_[[TEXTURE]],
    )
    return _classifiers(champion, challenger, rows, labels)


def _search(seed: int) -> Trained:
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA

    x, y = load_digits(return_X_y=True)
    indexed, rows, indexed_y, labels = _split(x / 16.0, y, 0.3, seed)
    ids = tuple(f"image-{i:04d}" for i in range(len(indexed)))
    projection = np.ascontiguousarray(PCA(n_components=4, random_state=seed).fit(indexed).components_.T)
    champion = Ranker.of(indexed, ids, projection)
    challenger = Ranker.of(indexed, ids, np.eye(64))
    documents = {name: int(label) for name, label in zip(ids, indexed_y, strict=True)}
    return Trained(
        champion=champion,
        challenger=challenger,
        rows=rows,
        labels=labels,
        champion_score=_precision(champion, rows, labels, documents),
        challenger_score=_precision(challenger, rows, labels, documents),
        documents=documents,
    )


def _classifiers(champion: Linear | Tree, challenger: Linear | Tree, rows: Floats, labels: Ints) -> Trained:
    return Trained(
        champion=champion,
        challenger=challenger,
        rows=rows,
        labels=labels,
        champion_score=float(np.mean(champion.predict(rows) == labels)),
        challenger_score=float(np.mean(challenger.predict(rows) == labels)),
        documents={},
    )


def _precision(ranker: Ranker, rows: Floats, labels: Ints, documents: dict[str, int]) -> float:
    hits = [documents[i] == label for row, label in zip(rows, labels, strict=True) for i in ranker.search(row)]
    return float(np.mean(hits))


def _tree(fitted: Any) -> Tree:
    tree = fitted.tree_
    return Tree(
        width=int(fitted.n_features_in_),
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        feature=tree.feature.astype(np.int64),
        threshold=tree.threshold.astype(np.float64),
        leaf_label=fitted.classes_[np.argmax(tree.value[:, 0, :], axis=1)].astype(np.int64),
    )


def _linear(
    fitted: Any,
    *,
    width: int,
    columns: tuple[int, ...] | None = None,
    mean: Floats | None = None,
    scale: Floats | None = None,
) -> Linear:
    weights = np.asarray(fitted.coef_, dtype=np.float64)
    bias = np.asarray(fitted.intercept_, dtype=np.float64)
    if mean is not None and scale is not None:
        weights = weights / scale
        bias = bias - weights @ mean
    if len(weights) == 1:
        # A binary model keeps one row of weights: the other class's score is zero.
        weights = np.vstack([np.zeros_like(weights), weights])
        bias = np.concatenate([[0.0], bias])
    return Linear(
        width=width,
        columns=np.asarray(columns if columns is not None else range(width), dtype=np.int64),
        weights=weights,
        bias=bias,
        labels=fitted.classes_.astype(np.int64),
    )
