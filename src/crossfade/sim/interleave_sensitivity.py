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
from crossfade.judge.infer.graded import graded_log_e, graded_log_es
from crossfade.judge.infer.preference import CONCENTRATION, MINIMUM_VOTES, two_sided_log_e
from crossfade.judge.infer.verdict import bisect
from crossfade.sim.clicks import ClickModel
from crossfade.sim.interleave import GRADED, interleave
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
    values: Mapping[float, int] | None = None
    """How often each graded vote came, where votes are numbers from −1 to 1 and not signs; ties are 0."""

    @property
    def sessions(self) -> int:
        """All of them."""
        return self.wins + self.losses + self.ties

    @property
    def sums(self) -> tuple[float, float]:
        """Sum and sum of squares of graded votes."""
        values = self.values or {}
        return sum(value * n for value, n in values.items()), sum(value * value * n for value, n in values.items())

    @property
    def preference(self) -> float | None:
        """(wins − losses) / (wins + losses), or the mean of graded votes: above 0 for B; None without a vote."""
        cast = self.wins + self.losses
        if not cast:
            return None
        return (self.wins - self.losses if self.values is None else self.sums[0]) / cast

    @property
    def log_e(self) -> float:
        """Log e-value against "no ranker is preferred", on both sides."""
        return log_e(self.wins, self.losses, *(self.sums if self.values is not None else (None, None)))


def log_e(wins: int, losses: int, total: float | None, squares: float | None) -> float:
    """The same from counts, and where votes are graded from their sums."""
    if total is None or squares is None:
        return two_sided_log_e(wins, losses)
    return _graded(wins + losses, total, squares)


def _graded(cast: int, total: float, squares: float, mean: float = 0.0) -> float:
    """The average of both one-sided e-values, which together may err as often as one test on both sides."""
    over, under = (graded_log_e(cast, total, squares, mean, sign) for sign in (1, -1))
    return float(np.logaddexp(over, under)) - math.log(2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one run of sessions showed, and what tests of these rankers need."""

    method: str
    votes: Votes
    preference: float | None
    """As `Votes` has it: above 0 for B; None without a vote."""
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
    vote = voter(queries, clicks, method, f"{seed}:one")
    votes = one_run(vote, method, alpha, most)
    pool = pooled(voter(queries, clicks, method, f"{seed}:pool"), method)
    rng = np.random.default_rng(seed)
    low, high = _interval(votes, alpha)
    return Found(
        method=method,
        votes=votes,
        preference=votes.preference,
        lower=low,
        upper=high,
        e_value=math.exp(min(votes.log_e, 700.0)),
        verdict=verdict(votes, alpha),
        needed=interleaved_sessions(pool, alpha, rng),
        ab_needed={
            name: split_sessions(values(queries, clicks, "a", worth), values(queries, clicks, "b", worth), alpha, rng)
            for name, worth in AB_METRICS.items()
        },
    )


Vote = Callable[[], float]


def voter(queries: Sequence[Topic], clicks: ClickModel, method: str, seed: str) -> Vote:
    """Draws a session and says its vote: from −1 for A to +1 for B, 0 for neither."""
    rng = Random(seed)
    numbers = count()

    def vote() -> float:
        topic = queries[rng.randrange(len(queries))]
        page = interleave(topic.a, topic.b, method=method, seed=f"{seed}:{next(numbers)}")
        if page.same:
            return 0.0
        clicked = clicks.clicks(topic.seen(page.items), rng)
        return page.vote([page.items[slot] for slot in clicked])

    return vote


class Tally:
    """Votes as they come."""

    def __init__(self, method: str) -> None:
        self._signs = {1: 0, -1: 0, 0: 0}
        self._values: dict[float, int] | None = {} if method in GRADED else None
        self._total = self._squares = 0.0

    def add(self, vote: float) -> None:
        """One more."""
        self._signs[(vote > 0.0) - (vote < 0.0)] += 1
        if self._values is not None:
            value = round(vote, 4)
            self._values[value] = self._values.get(value, 0) + 1
            self._total += value
            self._squares += value * value

    def decided(self, alpha: float) -> bool:
        """Whether a ranker is preferred by now."""
        wins, losses = self._signs[1], self._signs[-1]
        if wins + losses < MINIMUM_VOTES:
            return False
        sums = (None, None) if self._values is None else (self._total, self._squares)
        return log_e(wins, losses, *sums) >= -math.log(alpha)

    def votes(self) -> Votes:
        """All of them."""
        return Votes(wins=self._signs[1], losses=self._signs[-1], ties=self._signs[0], values=self._values)


def one_run(vote: Vote, method: str, alpha: float, most: int) -> Votes:
    """Sessions until a ranker is preferred, looked at after each vote, at most so many."""
    tally = Tally(method)
    for _ in range(most):
        cast = vote()
        tally.add(cast)
        if cast and tally.decided(alpha):
            break
    return tally.votes()


def verdict(votes: Votes, alpha: float) -> Verdict:
    """What these votes say: `safe` where B is preferred, `harmful` where A is."""
    if votes.wins + votes.losses < MINIMUM_VOTES:
        return Verdict.UNMEASURED
    if votes.log_e < -math.log(alpha):
        return Verdict.UNDECIDED
    return Verdict.SAFE if (votes.preference or 0.0) > 0.0 else Verdict.HARMFUL


def _interval(votes: Votes, alpha: float) -> tuple[float | None, float | None]:
    """The preferences that the same test does not reject."""
    cast, preference = votes.wins + votes.losses, votes.preference
    if cast < MINIMUM_VOTES or preference is None:
        return None, None
    near = min(max(preference, -_EDGE), _EDGE)

    def rejected(mean: float) -> bool:
        if votes.values is not None:
            return _graded(cast, *votes.sums, mean) >= -math.log(alpha)
        return two_sided_log_e(votes.wins, votes.losses, (1.0 + mean) / 2.0) >= -math.log(alpha)

    low, high = (bisect(rejected, near, end) for end in (-_EDGE, _EDGE))
    return (-1.0 if low is None else low), (1.0 if high is None else high)


_EDGE = 1.0 - 2e-6


def pooled(vote: Vote, method: str, sessions: int = POOL) -> Votes:
    """Many sessions, to learn how often each vote is cast."""
    tally = Tally(method)
    for _ in range(sessions):
        tally.add(vote())
    return tally.votes()


def interleaved_sessions(pool: Votes, alpha: float, rng: np.random.Generator) -> int | None:
    """Sessions by which 95 % of runs with such votes have called the right ranker preferred."""
    told = pool.values if pool.values is not None else {1.0: pool.wins, -1.0: pool.losses, 0.0: pool.ties}
    if pool.values is not None:
        coarse: dict[float, int] = {}
        for value, n in told.items():
            near = round(value, 2) or math.copysign(0.01, value) * (value != 0.0)
            coarse[near] = coarse.get(near, 0) + n
        told = coarse
    values, often = np.array(list(told)), np.array(list(told.values()), dtype=np.float64)
    total, squares = float(values @ often), float(values**2 @ often)
    # A pool that may as well be of two equal rankers has nothing to be decided.
    if not squares or abs(total) < 4.0 * math.sqrt(squares):
        return None
    right = 1.0 if total > 0.0 else -1.0
    counts = np.zeros((RUNS, len(values)), dtype=np.int64)

    def more(sessions: int) -> npt.NDArray[np.bool_]:
        nonlocal counts
        counts = counts + rng.multinomial(sessions, often / often.sum(), size=RUNS)
        cast = (counts @ (values != 0.0)).astype(np.float64)
        sums = counts @ values
        if pool.values is None:
            wins = (cast + sums) / 2.0
            half = CONCENTRATION / 2.0
            found = betaln(half + wins, half + cast - wins) - betaln(half, half) + cast * math.log(2.0)
        else:
            found = graded_log_es(sums, counts @ values**2) - math.log(2.0)
        decided: npt.NDArray[np.bool_] = (found >= -math.log(alpha)) & (right * sums > 0.0) & (cast >= MINIMUM_VOTES)
        return decided

    return _when(more)


def values(queries: Sequence[Topic], clicks: ClickModel, arm: str, worth: Callable[[int], float]) -> Floats:
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
