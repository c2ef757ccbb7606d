"""Scores of the user's own and labels by unit, as people write them."""

from __future__ import annotations

import pytest

from crossfade.spec.model import Kind
from crossfade.spec.parse import parse
from spec.examples import DESIGN, changed, problems

PLACE = "prediction: {probability: $.p}\n"


def spec(metric: str) -> str:
    return changed(DESIGN, ("alpha: 5%\n", f"alpha: 5%\n{PLACE}"), ("stages:\n", f"  own: {{{metric}}}\nstages:\n"))


OWN = "from: prediction, kind: score, score: shop.scores:profit, better: higher, window: 1h, goal: true"


def test_a_score_of_one_s_own_and_labels_by_unit() -> None:
    metric = parse(spec(f"{OWN}, join: unit")).metric("own")
    assert (metric.kind, metric.score, metric.by_unit) == (Kind.SCORE, "shop.scores:profit", True)
    assert not parse(spec(OWN)).metric("own").by_unit


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (OWN.replace("score: shop.scores:profit, ", ""), "a score needs 'score', your own function"),
        (OWN.replace("shop.scores:profit", "profit"), "expected a function of your own as module:function"),
        (OWN.replace("kind: score", "kind: brier").replace("higher", "lower"), "'score' belongs to kind: score"),
        (f"{OWN}, join: session", "expected decision or unit"),
        (
            "from: outcome, kind: rate, better: lower, window: 1h, goal: true, join: unit",
            "'join' belongs to from: pred",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(metric: str, said: str) -> None:
    told = [(problem.line, problem.message) for problem in problems(spec(metric))]
    assert any(at == 16 and said in message for at, message in told), told
