"""Texts compared by a function of the user's: distance, and what is said where it gave no answer."""

from __future__ import annotations

import pytest

from crossfade.live.compare import Rules
from crossfade.live.compare.numbers import cosine_distance
from crossfade.live.compare.sides import sides
from crossfade.live.protocols.base import Prediction
from crossfade.spec.model import Comparator, Comparison

RULE = Comparison(path="$.answer", how=Comparator.TEXT, by="embedding", embedding="shop:embed", within=0.2)
CAT, HOUND = Prediction({"$.answer": "a cat", "$.n": 1}), Prediction({"$.answer": "a hound", "$.n": 1})


def embed(function: str, texts: list[str]) -> list[list[float]] | str:
    assert function == "shop:embed"
    return [[float(text.count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]


def silent(function: str, texts: list[str]) -> list[list[float]] | str:
    return f"{function} did not answer within 2 s"


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ([1.0, 0.0], [2.0, 0.0], 0.0),
        ([1.0, 0.0], [0.0, 1.0], 1.0),
        ([1.0, 0.0], [-1.0, 0.0], 1.0),
        ([1.0, 1.0], [1.0, 0.0], 1.0 - 0.5**0.5),
        ([0.0, 0.0], [1.0, 0.0], None),
        ([1.0], [1.0, 0.0], None),
        ([float("nan")], [1.0], None),
    ],
)
def test_distance_is_one_less_the_cosine(a: list[float], b: list[float], distance: float | None) -> None:
    assert cosine_distance(a, b) == (None if distance is None else pytest.approx(distance))


def test_near_is_the_same_and_far_is_not() -> None:
    assert not sides(CAT, Prediction({"$.answer": "cat, a", "$.n": 1}), None, (RULE,), embed).differs
    found = sides(CAT, HOUND, None, (RULE,), embed)
    assert (found.differs, found.fields, found.kinds, found.unmeasured) == (True, ("$.answer",), ("value",), ())


def test_without_an_answer_nobody_knows() -> None:
    found = sides(CAT, HOUND, HOUND, (RULE,), silent)
    assert (found.differs, found.fields, found.noise_differs) == (False, (), None)
    assert found.unmeasured == ("$.answer: shop:embed did not answer within 2 s",)
    muted = Comparison(path="$.answer", mute="words differ")
    assert sides(CAT, HOUND, None, (RULE, muted), silent).unmeasured == ()


def test_texts_that_are_the_same_are_not_sent_to_anybody() -> None:
    found = sides(CAT, Prediction({"$.answer": " a  cat", "$.n": 2}), None, (RULE,), silent)
    assert (found.fields, found.unmeasured) == (("$.n",), ())


def test_what_is_no_text_is_invalid() -> None:
    assert sides(CAT, Prediction({"$.answer": 3, "$.n": 1}), None, (RULE,), silent).kinds == ("invalid",)
    assert Rules((RULE,)).by_path == {"$.answer": RULE}
