"""Places of interleaved lists: fair coins are seldom called unfair, however often one looks; bent ones are found."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.judge.dealt import Slot, dealt
from crossfade.judge.evidence import Verdict
from crossfade.live.interleave.probabilistic import draw
from crossfade.live.interleave.team_draft import draft

PLACES = 10


def counts(owners: np.ndarray) -> list[Slot]:
    """`owners`: a row a unit, 1 where the place was the challenger's, 0 where it was the champion's, −1 nobody's."""
    return [
        Slot(champion=int((at == 0).sum()), challenger=int((at == 1).sum()), nobody=int((at == -1).sum()))
        for at in owners.T
    ]


def team_drafts(rng: np.random.Generator, units: int, bent: float = 0.5) -> np.ndarray:
    """Lists of two rankings that share items, as the gateway merges them; `bent`: how the coins fall."""
    ours, theirs = list("abcdefghij"), list("bacfedjihg")
    made = (draft(ours, theirs, flips=(rng.random(PLACES) < bent).tolist()).owners for _ in range(units))
    return np.array([[{"A": 0, "B": 1, "": -1}[owner] for owner in owners] for owners in made])


def test_fair_coins_pass_at_every_look() -> None:
    rng = np.random.default_rng(1)
    called = 0
    for _ in range(25):
        owners = team_drafts(rng, 600)
        looks = [dealt(counts(owners[:n]), n, 0.05).verdict for n in range(50, 601, 50)]
        called += Verdict.HARMFUL in looks
    assert called <= 4
    assert looks[0] is Verdict.UNMEASURED


def test_bent_coins_are_found_and_the_place_is_named() -> None:
    owners = team_drafts(np.random.default_rng(2), 4000, bent=0.58)
    told = dealt(counts(owners), 4000, 0.05)
    assert told.verdict is Verdict.HARMFUL
    assert told.e_value is not None
    assert told.e_value >= told.needed == pytest.approx(20.0)
    late = np.where(np.arange(PLACES) == 6, 1, team_drafts(np.random.default_rng(3), 2000))
    assert dealt(counts(late), 2000, 0.05).worst == 6


def test_worth_that_is_not_whole_is_tested_as_numbers() -> None:
    rng = np.random.default_rng(4)
    ours, theirs = list("abcde"), list("badce")

    def made(shift: float) -> list[Slot]:
        lists = [
            draw(ours, theirs, coin=lambda _: bool(rng.random() < 0.5), uniform=lambda _: float(rng.random())).credits
            for _ in range(1500)
        ]
        worth = np.clip(np.array(lists) + shift, -1.0, 1.0)
        return [
            Slot(champion=750, challenger=750, graded=1500, total=float(at.sum()), squares=float((at * at).sum()))
            for at in worth.T
        ]

    assert dealt(made(0.0), 1500, 0.05).verdict is Verdict.UNDECIDED
    assert dealt(made(0.2), 1500, 0.05).verdict is Verdict.HARMFUL


def test_nothing_shown_is_nothing_said() -> None:
    told = dealt([], 0, 0.05)
    assert (told.verdict, told.e_value, told.worst) == (Verdict.UNMEASURED, None, None)
    assert dealt([Slot(nobody=500)], 500, 0.05).e_value is None
