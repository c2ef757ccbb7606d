"""The simulated tests hold their level, find the better ranker, and say what they need as a second way confirms."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer.preference import two_sided_log_e
from crossfade.sim import interleave_sensitivity as sensitivity
from crossfade.sim.clicks import CLICK_MODELS, RandomClicks
from crossfade.sim.interleave import METHODS
from crossfade.sim.interleave_sensitivity import Topic, Votes, interleaved_sessions, split_sessions, topics

THREE = ("cascade", "position", "informational")
EVERY = ("cascade", "position", "navigational", "informational", "random")


def graded(seed: int, noise: tuple[float, float], count: int = 60) -> list[Topic]:
    """Topics with graded documents, each ranker sorting them by its own noisy look at the grades."""
    rng, found = Random(seed), []
    for _ in range(count):
        gains = {f"d{n}": rng.choice([0.0, 0.0, 0.0, 0.0, 0.25, 0.5, 1.0]) for n in range(30)}
        sides = [
            tuple(sorted(gains, key=lambda one, much=much: -gains[one] - rng.gauss(0.0, much)))[:10] for much in noise
        ]
        found.append(Topic(a=sides[0], b=sides[1], gains=gains))
    return found


EASY = graded(1, (1.5, 0.2))
EQUAL = graded(2, (0.6, 0.6), count=400)


def decide(queries: list[Topic], clicks: str, method: str, seed: int, most: int) -> Verdict:
    vote = sensitivity.voter(queries, CLICK_MODELS[clicks], method, str(seed))
    return sensitivity.verdict(sensitivity.one_run(vote, method, 0.05, most), 0.05)


@pytest.mark.parametrize("clicks", THREE)
def test_the_better_ranker_wins_in_nearly_every_run(clicks: str) -> None:
    verdicts = [decide(EASY, clicks, "team-draft", seed, 4000) for seed in range(40)]
    assert verdicts.count(Verdict.SAFE) >= 38


def symmetric(queries: list[Topic]) -> list[Topic]:
    """Two rankers of exactly equal worth: whatever one does for a topic, the other does for its twin."""
    return [*queries, *(Topic(a=topic.b, b=topic.a, gains=topic.gains) for topic in queries)]


@pytest.mark.parametrize("clicks", EVERY)
def test_equal_rankers_are_seldom_called_different_however_often_one_looks(clicks: str) -> None:
    verdicts = [decide(symmetric(EQUAL), clicks, "team-draft", seed, 400) for seed in range(40)]
    # At 5 % more than 7 of 40 would come in less than one run of a hundred.
    assert sum(verdict in (Verdict.SAFE, Verdict.HARMFUL) for verdict in verdicts) <= 7


@pytest.mark.full
@pytest.mark.parametrize("clicks", EVERY)
@pytest.mark.parametrize("method", METHODS)
def test_levels_of_every_method_and_reader(method: str, clicks: str) -> None:
    verdicts = [decide(symmetric(EQUAL), clicks, method, seed, 1500) for seed in range(300)]
    # The level is 5 %, so 15 of 300; standard deviation 3.8.
    assert sum(verdict in (Verdict.SAFE, Verdict.HARMFUL) for verdict in verdicts) <= 15 + 2 * 3.8


@pytest.mark.full
@pytest.mark.parametrize("clicks", THREE)
@pytest.mark.parametrize("method", METHODS)
def test_power_of_every_method(method: str, clicks: str) -> None:
    verdicts = [decide(EASY, clicks, method, seed, 20_000) for seed in range(60)]
    assert verdicts.count(Verdict.SAFE) >= 57


@pytest.mark.parametrize("method", ["team-draft", "probabilistic"])
def test_what_is_needed_is_what_ninety_five_of_a_hundred_real_runs_need(method: str) -> None:
    pool = sensitivity.pooled(sensitivity.voter(EASY, CLICK_MODELS["cascade"], method, "pool"), method)
    needed = interleaved_sessions(pool, 0.05, np.random.default_rng(1))
    assert needed is not None
    ended = []
    for seed in range(100):
        vote = sensitivity.voter(EASY, CLICK_MODELS["cascade"], method, f"run {seed}")
        ended.append(sensitivity.one_run(vote, method, 0.05, 20 * needed).sessions)
    # Of 100 runs 95 are expected within; standard deviation 2.2.
    assert 86 <= sum(sessions <= needed for sessions in ended) <= 100
    assert np.quantile(ended, 0.5) < needed


def test_nothing_is_needed_where_nothing_is_preferred() -> None:
    rng = np.random.default_rng(1)
    assert interleaved_sessions(Votes(ties=50), 0.05, rng) is None
    assert interleaved_sessions(Votes(wins=1010, losses=990), 0.05, rng) is None
    coin = np.array([[0.0, 0.5], [1.0, 0.5]])
    assert split_sessions(coin, coin, 0.05, rng) is None


def test_an_ab_test_needs_about_what_its_formula_says() -> None:
    """Ten points of a rate of a half: 1,300 units at a fixed horizon for a power of 95 %; looking always costs more."""
    rng = np.random.default_rng(1)
    half, more = np.array([[0.0, 0.5], [1.0, 0.5]]), np.array([[0.0, 0.4], [1.0, 0.6]])
    needed = split_sessions(half, more, 0.05, rng)
    assert needed is not None
    assert 1300 < needed < 3900
    other = split_sessions(more, half, 0.05, rng)
    assert other == pytest.approx(needed, rel=0.15)


def test_an_ab_test_of_values_that_never_vary_at_first_does_not_decide_at_once() -> None:
    rare, rarer = np.array([[0.0, 0.001], [1.0, 0.999]]), np.array([[0.0, 0.0001], [1.0, 0.9999]])
    needed = split_sessions(rare, rarer, 0.05, np.random.default_rng(1))
    assert needed is not None
    assert needed > 10_000


def test_the_same_seed_is_the_same_simulation() -> None:
    one, two = (
        sensitivity.compare(EASY, CLICK_MODELS["position"], method="balanced", alpha=0.05, seed=4, most=500)
        for _ in range(2)
    )
    assert one == two
    assert one.lower is not None
    assert one.preference is not None
    assert one.upper is not None
    assert one.lower < one.preference < one.upper
    assert (one.e_value >= 20.0) == (one.verdict is not Verdict.UNDECIDED) == (one.lower >= 0.0 or one.upper <= 0.0)


def test_topics_are_those_of_all_three_files() -> None:
    qrels = {"1": {"a": 2, "b": -1, "c": 1}, "2": {"a": 1}, "3": {"a": 4}}
    found = topics(qrels, {"1": ["a", "b", "c"], "2": ["a"]}, {"1": ["c", "a", "b"], "3": ["a"]}, 2)
    assert [(topic.a, topic.b) for topic in found] == [(("a", "b"), ("c", "a"))]
    assert found[0].seen(["a", "b", "c", "unjudged"]) == [0.5, 0.0, 0.25, 0.0]


def test_what_is_fair_on_average_and_not_by_sign_is_tested_as_a_number() -> None:
    """One pair of rankings, one click anywhere: optimized lists show the small credits more often than the large ones.

    By its sign such a vote prefers a ranker; as a number it prefers none, which the vote of a session therefore is.
    """
    topic = Topic(a=tuple("abcd"), b=tuple("bdca"), gains={})
    vote = sensitivity.voter([topic], RandomClicks(rate=0.25), "optimized", "fair")
    found = sensitivity.pooled(vote, "optimized")
    assert found.preference is not None
    assert abs(found.sums[0]) < 3.5 * found.sums[1] ** 0.5
    assert two_sided_log_e(found.wins, found.losses) > 10.0
    wrong = sum(
        sensitivity.verdict(
            sensitivity.one_run(
                sensitivity.voter([topic], RandomClicks(rate=0.25), "optimized", f"{seed}"), "optimized", 0.05, 300
            ),
            0.05,
        )
        in (Verdict.SAFE, Verdict.HARMFUL)
        for seed in range(15)
    )
    assert wrong <= 4
