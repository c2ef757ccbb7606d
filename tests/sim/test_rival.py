"""The simulated A/B test is a real one: it finds real differences, and none where there is none."""

from __future__ import annotations

from dataclasses import replace

from crossfade.sim.clicks import CLICK_MODELS, INFORMATIONAL, PERFECT
from crossfade.sim.rival import interleaved_sessions_needed, sessions_needed
from crossfade.sim.training import Trained

RANK = "reciprocal rank of the first click"


def test_interleaving_decides_first_and_click_rate_last(trained: dict[str, Trained]) -> None:
    data = trained["ranking"]
    inter = interleaved_sessions_needed(data, INFORMATIONAL, alpha=0.05, seed=1)
    rank = sessions_needed(data, INFORMATIONAL, metric=RANK, alpha=0.05, seed=1)
    rate = sessions_needed(data, INFORMATIONAL, metric="click rate", alpha=0.05, seed=1, runs=3, most=20_000)
    assert inter.sessions is not None
    assert rank.sessions is not None
    assert inter.sessions < rank.sessions
    assert rate.sessions is None or rate.sessions > 5 * rank.sessions


def test_a_ranker_against_itself_is_never_found_better(trained: dict[str, Trained]) -> None:
    data = trained["ranking"]
    same = replace(data, challenger=data.champion)
    assert sessions_needed(same, PERFECT, metric=RANK, alpha=0.01, seed=2, runs=5, most=4000).sessions is None
    assert interleaved_sessions_needed(same, PERFECT, alpha=0.01, seed=2, runs=3, most=1500).sessions is None


def test_random_clicks_prefer_nobody(trained: dict[str, Trained]) -> None:
    found = interleaved_sessions_needed(
        trained["ranking"], CLICK_MODELS["random"], alpha=0.01, seed=3, runs=5, most=1500
    )
    assert found.sessions is None


def test_the_worse_ranker_as_challenger_is_never_found_better(trained: dict[str, Trained]) -> None:
    data = trained["ranking"]
    swapped = replace(data, champion=data.challenger, challenger=data.champion)
    assert sessions_needed(swapped, PERFECT, metric=RANK, alpha=0.05, seed=4, runs=3, most=3000).sessions is None
    assert interleaved_sessions_needed(swapped, PERFECT, alpha=0.05, seed=4, runs=3, most=1500).sessions is None


def test_it_is_a_function_of_its_seed(trained: dict[str, Trained]) -> None:
    data = trained["ranking"]
    one, two = (sessions_needed(data, INFORMATIONAL, metric=RANK, alpha=0.05, seed=9) for _ in range(2))
    assert one == two
