"""What the fact of one pair says: which fields count, and that muted ones cannot hide others."""

from __future__ import annotations

from crossfade.live.compare import MOST_PATHS
from crossfade.live.compare.sides import sides
from crossfade.live.protocols.base import Prediction
from crossfade.spec.model import Comparison

MUTED = (Comparison(path="$.meta", mute="random"),)


def of(**fields: object) -> Prediction:
    return Prediction({f"$.{name}": value for name, value in fields.items()})


def test_nobody_counts_the_fields_of_replies_that_agree() -> None:
    said = sides(of(x=1), of(x=1), None)
    assert (said.differs, said.noise_differs, said.fields, said.among) == (False, None, (), 0)


def test_fields_kinds_and_noise_are_told_apart() -> None:
    said = sides(of(x=1, y=[1, 2], z="a"), of(x="1", y=[2, 1], z="a"), of(x=1, y=[1, 2], z="b"))
    assert (said.differs, said.noise_differs) == (True, True)
    assert dict(zip(said.fields, said.kinds, strict=True)) == {"$.x": "type", "$.y[*]": "order"}
    assert said.noise_fields == ("$.z",)
    assert said.among == 3


def test_muted_fields_are_recorded_and_count_for_nothing() -> None:
    said = sides(of(meta=1, x=1), of(meta=2, x=1), of(meta=3, x=1), MUTED)
    assert said.fields == said.noise_fields == ("$.meta",)
    assert not said.differs
    assert said.noise_differs is False


def test_many_muted_fields_do_not_hide_the_one_that_counts() -> None:
    loud = {f"k{n}": n for n in range(20)}
    said = sides(of(meta=loud, x=1), of(meta=dict.fromkeys(loud, -1), x=2), None, MUTED)
    assert said.differs
    assert said.fields[0] == "$.x"
    assert len(said.fields) == MOST_PATHS


def test_an_absent_answer_is_no_difference() -> None:
    assert sides(None, of(x=1), of(x=2)).noise_differs is None
    assert not sides(of(x=1), None, None).differs
    assert sides(of(x=1), None, of(x=2)).noise_differs
