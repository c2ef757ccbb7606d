"""How soon interleaving tells two rankers apart, and an A/B test of the same rankers, readers and error beside it.

Sessions are simulated from graded judgments: a topic is drawn, both rankings are merged, a click model clicks, and the
session votes. One run of sessions is looked at after each vote. How many sessions 95 % of runs need is found from many
runs of votes as frequent as those of the simulated sessions. The A/B test splits sessions in halves that see one
ranking each; its values follow from the click model exactly. Both tests are two-sided and hold at every look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

import numpy as np
import numpy.typing as npt
from scipy.special import betaln

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer.boundary import radius
from crossfade.judge.infer.contrast import MINIMUM_UNITS
from crossfade.judge.infer.preference import CONCENTRATION, MINIMUM_VOTES, two_sided_log_e
from crossfade.judge.infer.verdict import bisect
from crossfade.sim.clicks import ClickModel
from crossfade.sim.interleave import interleave
from crossfade.sim.trec import Qrels, Run

Floats = npt.NDArray[np.float64]

POWER = 0.95
MOST_SESSIONS = 10_000_000
"""Sessions after which a test that has not decided counts as never deciding."""
GROWTH = 1.02
"""Between two looks of the tests whose length is found; real looks may come after every session."""
RUNS = 400
POOL = 10_000
"""Sessions simulated to learn how often each side gets the vote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One query: both rankings, as deep as a reader sees, and the gain of each document."""

    a: tuple[str, ...]
    b: tuple[str, ...]
    gains: Mapping[str, float]

    def seen(self, items: Sequence[str]) -> list[float]:
        """The gain of each slot; what was not judged is irrelevant."""
        return [self.gains.get(item, 0.0) for item in items]


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """Sessions by whom they preferred."""

    wins: int = 0
    losses: int = 0
    ties: int = 0

    @property
    def sessions(self) -> int:
        """All of them."""
        return self.wins + self.losses + self.ties


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one run of sessions showed, and what tests of these rankers need."""

    method: str
    votes: Votes
    preference: float | None
    """(wins − losses) / (wins + losses): above 0 for B; None without a vote."""
    lower: float | None
    upper: float | None
    e_value: float
    verdict: Verdict
    """`safe`: B is preferred; `harmful`: A is."""
    needed: int | None
    """Sessions until 95 % of interleaving runs have found the preferred ranker; None where there is no preference."""
    ab_needed: dict[str, int | None]
    """The same for A/B tests, by what they measure."""


def topics(qrels: Qrels, a: Run, b: Run, depth: int) -> list[Topic]:
    """The queries that both runs answer and somebody judged, in the order of the judgments."""
    highest = max((grade for judged in qrels.values() for grade in judged.values()), default=0)
    scale = 1.0 / highest if highest > 0 else 0.0
    return [
        Topic(
            a=tuple(a[name][:depth]),
            b=tuple(b[name][:depth]),
            gains={document: max(grade, 0) * scale for document, grade in judged.items()},
        )
        for name, judged in qrels.items()
        if name in a and name in b
    ]


def compare(queries: Sequence[Topic], clicks: ClickModel, *, method: str, alpha: float, seed: int, most: int) -> Found:
    """One run of at most `most` sessions, ended by its decision, and what both kinds of test need."""
    vote = _voter(queries, clicks, method, f"{seed}:one")
    votes = _one_run(vote, alpha, most)
    pool = _pooled(_voter(queries, clicks, method, f"{seed}:pool"))
    rng = np.random.default_rng(seed)
    low, high = _interval(votes, alpha)
    log_e = two_sided_log_e(votes.wins, votes.losses)
    cast = votes.wins + votes.losses
    return Found(
        method=method,
        votes=votes,
        preference=(votes.wins - votes.losses) / cast if cast else None,
        lower=low,
        upper=high,
        e_value=math.exp(min(log_e, 700.0)),
        verdict=_verdict(votes, log_e, alpha),
        needed=interleaved_sessions(pool, alpha, rng),
        ab_needed={
            name: split_sessions(_values(queries, clicks, "a", worth), _values(queries, clicks, "b", worth), alpha, rng)
            for name, worth in AB_METRICS.items()
        },
    )


def _voter(queries: Sequence[Topic], clicks: ClickModel, method: str, seed: str) -> Callable[[], int]:
    """Draws a session and says its vote: +1 for B, −1 for A, 0 for neither."""
    rng = Random(seed)
    numbers = count()

    def vote() -> int:
        topic = queries[rng.randrange(len(queries))]
        page = interleave(topic.a, topic.b, method=method, seed=f"{seed}:{next(numbers)}")
        if page.same:
            return 0
        clicked = clicks.clicks(topic.seen(page.items), rng)
        if not clicked:
            return 0
        credit = page.preference([page.items[slot] for slot in clicked])
        # Credits are sums of fractions: what should cancel may leave a trace of rounding.
        return 0 if abs(credit) < 1e-9 else 1 if credit > 0.0 else -1

    return vote


def _one_run(vote: Callable[[], int], alpha: float, most: int) -> Votes:
    tally = {1: 0, -1: 0, 0: 0}
    for _ in range(most):
        cast = vote()
        tally[cast] += 1
        if cast and _decided(tally[1], tally[-1], alpha):
            break
    return Votes(wins=tally[1], losses=tally[-1], ties=tally[0])


def _decided(wins: int, losses: int, alpha: float) -> bool:
    return wins + losses >= MINIMUM_VOTES and two_sided_log_e(wins, losses) >= -math.log(alpha)


def _verdict(votes: Votes, log_e: float, alpha: float) -> Verdict:
    if votes.wins + votes.losses < MINIMUM_VOTES:
        return Verdict.UNMEASURED
    if log_e < -math.log(alpha):
        return Verdict.UNDECIDED
    return Verdict.SAFE if votes.wins > votes.losses else Verdict.HARMFUL


def _interval(votes: Votes, alpha: float) -> tuple[float | None, float | None]:
    """The preferences that the same test does not reject."""
    wins, cast = votes.wins, votes.wins + votes.losses
    if cast < MINIMUM_VOTES:
        return None, None
    near = min(max(wins / cast, 1e-6), 1.0 - 1e-6)

    def rejected(share: float) -> bool:
        return two_sided_log_e(wins, cast - wins, share) >= -math.log(alpha)

    low, high = (bisect(rejected, near, end) for end in (1e-6, 1.0 - 1e-6))
    return (-1.0 if low is None else 2.0 * low - 1.0), (1.0 if high is None else 2.0 * high - 1.0)


def _pooled(vote: Callable[[], int]) -> Votes:
    tally = {1: 0, -1: 0, 0: 0}
    for _ in range(POOL):
        tally[vote()] += 1
    return Votes(wins=tally[1], losses=tally[-1], ties=tally[0])


def interleaved_sessions(pool: Votes, alpha: float, rng: np.random.Generator) -> int | None:
    """Sessions by which 95 % of runs with such votes have called the right ranker preferred."""
    cast = pool.wins + pool.losses
    # A pool that may as well be of two equal rankers has nothing to be decided.
    if not cast or abs(pool.wins - pool.losses) < 4.0 * math.sqrt(cast):
        return None
    shares = np.array([pool.wins, pool.losses, pool.ties]) / pool.sessions
    right = 0 if pool.wins > pool.losses else 1
    counts = np.zeros((RUNS, 3), dtype=np.int64)

    def more(sessions: int) -> npt.NDArray[np.bool_]:
        nonlocal counts
        counts = counts + rng.multinomial(sessions, shares, size=RUNS)
        ours, others = counts[:, right].astype(np.float64), counts[:, 1 - right].astype(np.float64)
        half = CONCENTRATION / 2.0
        log_e = betaln(half + ours, half + others) - betaln(half, half) + (ours + others) * math.log(2.0)
        found: npt.NDArray[np.bool_] = (log_e >= -math.log(alpha)) & (ours > others) & (ours + others >= MINIMUM_VOTES)
        return found

    return _when(more)


def _values(queries: Sequence[Topic], clicks: ClickModel, arm: str, worth: Callable[[int], float]) -> Floats:
    """The distribution of a session's value for one ranking: rows of (value, probability), without a click first."""
    rows: dict[float, float] = {0.0: 0.0}
    for topic in queries:
        chances = clicks.first(topic.seen(topic.a if arm == "a" else topic.b))
        rows[0.0] += max(1.0 - sum(chances), 0.0)
        for slot, chance in enumerate(chances):
            rows[worth(slot)] = rows.get(worth(slot), 0.0) + chance
    return np.array([(value, chance / len(queries)) for value, chance in rows.items()])


AB_METRICS: dict[str, Callable[[int], float]] = {
    "click rate": lambda slot: 1.0,
    "reciprocal rank of the first click": lambda slot: 1.0 / (slot + 1),
}
"""What an A/B test measures: what a session is worth by its first click; without one it is worth 0."""


def split_sessions(a: Floats, b: Floats, alpha: float, rng: np.random.Generator) -> int | None:
    """Sessions of both arms by which 95 % of A/B tests have found which of two distributions has the larger mean."""
    means = [float(rows[:, 0] @ rows[:, 1]) for rows in (a, b)]
    if abs(means[1] - means[0]) < 1e-9:
        return None
    sign = 1.0 if means[1] > means[0] else -1.0
    sums, squares = np.zeros((2, RUNS)), np.zeros((2, RUNS))
    half = 0

    def more(sessions: int) -> npt.NDArray[np.bool_]:
        nonlocal half
        arrived = sessions // 2
        half += arrived
        for arm, rows in enumerate((a, b)):
            drawn = rng.multinomial(arrived, rows[:, 1] / rows[:, 1].sum(), size=RUNS)
            sums[arm] += drawn @ rows[:, 0]
            squares[arm] += drawn @ (rows[:, 0] ** 2)
        if half < MINIMUM_UNITS:
            return np.zeros(RUNS, dtype=np.bool_)
        variance = (squares - sums**2 / half).sum(axis=0) / (2 * half - 2)
        # The difference varies as the mean of 4 n_a n_b / n = 2·half units of twice the standard deviation does.
        reach = 2.0 * np.sqrt(variance) * radius(2.0 * half, alpha, two_sided=True)
        found: npt.NDArray[np.bool_] = sign * (sums[1] - sums[0]) / half > reach
        return found

    return _when(more, at_once=2)


def _when(more: Callable[[int], npt.NDArray[np.bool_]], at_once: int = 1) -> int | None:
    """The first look by which 95 % of runs have been decided at one look or another; sessions come `at_once`."""
    done = np.zeros(RUNS, dtype=np.bool_)
    sessions = 0
    while sessions < MOST_SESSIONS:
        step = at_once * max(1, int(sessions * (GROWTH - 1.0) / at_once))
        sessions += step
        done |= more(step)
        if done.mean() >= POWER:
            return sessions
    return None
