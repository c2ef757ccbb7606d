"""The page of figures is what the measured figures make, and says what they say."""

from __future__ import annotations

import json
from pathlib import Path

from crossfade.sim import interleave_theory as theory

FOLDER = Path(__file__).parents[2] / "docs" / "theory"
FOUND = json.loads((FOLDER / "interleaving.json").read_text(encoding="utf-8"))


def test_the_page_is_made_of_the_figures_and_nothing_else() -> None:
    said = (FOLDER / "interleaving.md").read_text(encoding="utf-8")
    assert said == theory.page(FOUND), "run `python -m crossfade.sim.interleave_theory docs/theory --page`"


def test_the_better_ranker_wins_and_equal_ones_are_left_alone() -> None:
    """What is promised: 95 % of tests find the better ranker, and 5 % at most call equal ones different."""
    runs = FOUND["runs"]
    won = [wins for pair in FOUND["pairs"].values() for reader in pair["wins"].values() for wins in reader.values()]
    assert len(won) >= 3 * len(theory.PAIRS)
    assert min(won) >= 0.95 * runs - 2.0 * (0.95 * 0.05 * runs) ** 0.5
    assert sum(won) >= 0.95 * runs * len(won)
    called = [count for reader in FOUND["equal"].values() for count in reader.values()]
    assert len(FOUND["equal"]) == len(theory.EVERY)
    assert sum(called) <= 0.05 * runs * len(called)


def test_a_measured_pair_is_measured_again_alike() -> None:
    """One cell anew, from fewer sessions than the page's."""
    pair = FOUND["pairs"]["patients, easy"]
    queries = theory.COMPARED["patients, easy"].make()
    assert pair["topics"] == len(queries)
    found = theory._needed(queries, theory.CLICK_MODELS["cascade"], "team-draft", 2, 4000)
    assert found is not None
    assert 0.6 < found / pair["needed"]["cascade"]["team-draft"] < 1.7
    ab = theory._ab(queries, theory.CLICK_MODELS["cascade"], 1)
    assert ab == pair["ab"]["cascade"]
