"""What an A/B test of the two rankers would have needed: a seeded simulation on the same queries and the same clicks.

Units are split in halves, each sees one ranker's whole list, and the always-valid test of the judge is asked again
and again until it calls the challenger better — the same test, at the same alpha, that real A/B stages use.
Interleaving is simulated beside it, on the same terms, because the live stage also waits for its guardrails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from random import Random
from statistics import median

import numpy as np

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer.means import MINIMUM_UNITS, infer_mean
from crossfade.judge.infer.preference import share_log_e
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import MeanMoments
from crossfade.live.interleave import credit, merge
from crossfade.sim.clicks import ClickModel
from crossfade.sim.models import Ranker
from crossfade.sim.training import Trained
from crossfade.spec.model import Better, Kind, Metric, Source

MOST_SESSIONS = 100_000
LOOK_EVERY = 1.02
"""Growth of the number of sessions between two looks."""

Clicked = Sequence[int]


def click_rate(clicked: Clicked) -> float:
    """1 for a session with a click."""
    return float(bool(clicked))


def reciprocal_rank(clicked: Clicked) -> float:
    """1 / rank of the first click; 0 without one."""
    return 1.0 / (clicked[0] + 1) if clicked else 0.0


AB_METRICS: dict[str, Callable[[Clicked], float]] = {
    "click rate": click_rate,
    "reciprocal rank of the first click": reciprocal_rank,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """Sessions until an A/B test on one metric would have decided."""

    metric: str
    sessions: int | None
    """Median over the runs; None when that is beyond `most`."""
    runs: int
    most: int = MOST_SESSIONS


def sessions_needed(
    data: Trained,
    clicks: ClickModel,
    *,
    metric: str,
    alpha: float,
    seed: int,
    runs: int = 9,
    most: int = MOST_SESSIONS,
) -> Needed:
    """The median number of sessions over `runs` simulated A/B tests."""
    relevant = [_relevance(data, ranker) for ranker in (data.champion, data.challenger)]
    rng = Random(seed)
    ended = [_one_ab(relevant, clicks, AB_METRICS[metric], _question(metric, alpha), rng, most) for _ in range(runs)]
    return _typical(metric, ended, most)


def interleaved_sessions_needed(
    data: Trained, clicks: ClickModel, *, alpha: float, seed: int, runs: int = 9, most: int = MOST_SESSIONS
) -> Needed:
    """The median number of sessions until team draft finds the challenger preferred."""
    rng = Random(seed)
    lists = [
        ([ranker.search(row) for row in data.rows] if isinstance(ranker, Ranker) else [])
        for ranker in (data.champion, data.challenger)
    ]
    ended = [_one_interleaving(data, lists, clicks, alpha, rng, most) for _ in range(runs)]
    return _typical("preference", ended, most)


def _typical(metric: str, ended: Sequence[int | None], most: int) -> Needed:
    # Runs that never ended count as longer than any that did.
    middle = median([float("inf") if n is None else float(n) for n in ended])
    return Needed(metric=metric, sessions=None if middle == float("inf") else int(middle), runs=len(ended), most=most)


def _one_interleaving(
    data: Trained,
    lists: Sequence[Sequence[Sequence[str]]],
    clicks: ClickModel,
    alpha: float,
    rng: Random,
    most: int,
) -> int | None:
    wins = losses = 0
    for session in range(1, most + 1):
        row = rng.randrange(len(data.rows))
        merged = merge("team-draft", lists[0][row], lists[1][row], key=str(rng.getrandbits(64)))
        relevant = [data.documents[item] == int(data.labels[row]) for item in merged.items]
        vote = credit(merged.items, merged.owners, [merged.items[slot] for slot in clicks.clicks(relevant, rng)])
        wins += vote > 0
        losses += vote < 0
        if share_log_e(wins, losses, 0.5, +1) >= -log(alpha):
            return session
    return None


def _relevance(data: Trained, ranker: object) -> list[list[bool]]:
    assert isinstance(ranker, Ranker)
    return [
        [data.documents[item] == int(label) for item in ranker.search(row)]
        for row, label in zip(data.rows, data.labels, strict=True)
    ]


def _question(metric: str, alpha: float) -> Question:
    asked = Metric(name=metric, source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER, goal=True, window=1.0)
    return Question(
        metric=asked,
        role="goal",
        limit=None,
        arm="challenger",
        baseline="champion",
        stage="ab",
        step=None,
        alpha_harm=alpha,
        alpha_safe=alpha,
    )


def _one_ab(
    relevant: Sequence[Sequence[Sequence[bool]]],
    clicks: ClickModel,
    value_of: Callable[[Clicked], float],
    question: Question,
    rng: Random,
    most: int,
) -> int | None:
    n, total, squares = [0, 0], [0.0, 0.0], [0.0, 0.0]
    look = 2 * MINIMUM_UNITS
    for session in range(1, most + 1):
        arm = rng.random() < 0.5
        query = relevant[arm][rng.randrange(len(relevant[arm]))]
        value = value_of(clicks.clicks(query, rng))
        n[arm] += 1
        total[arm] += value
        squares[arm] += value * value
        if session >= look:
            look = max(session + 1, int(session * LOOK_EVERY))
            moments = MeanMoments(
                step=np.zeros(1, dtype=np.int64),
                n_a=np.array([n[0]]),
                sum_a=np.array([total[0]]),
                squares_a=np.array([squares[0]]),
                n_b=np.array([n[1]]),
                sum_b=np.array([total[1]]),
                squares_b=np.array([squares[1]]),
            )
            if infer_mean(question, moments).verdict is Verdict.SAFE:
                return session
    return None
