"""Sketches: counts that add up over workers, from which no text can be read back."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from crossfade.facts import Sketched, bin_of, encode, middle_of
from crossfade.live.drift.features import Fields
from crossfade.live.drift.sketch import HASHES, Sketch, hidden_of
from crossfade.spec.model import Drift

SECRET = "ann@example.org"

numbers = st.floats(allow_nan=False, allow_infinity=False)


def facts(
    *requests: Fields | None, drift: Drift | None = None, redact: tuple[str, ...] = (), unit: str = ""
) -> dict[str, Sketched]:
    sketch = Sketch(drift or Drift(), hidden_of(redact, unit))
    for fields in requests:
        sketch.take(fields)
    told = sketch.facts(rollout="r", revision="x", at=60.0, worker="w0", arm="v1", side="input")
    return {fact.field: fact for fact in told}


@given(numbers, numbers)
def test_bins_keep_the_order_of_numbers(a: float, b: float) -> None:
    assert (bin_of(a) <= bin_of(b)) if a <= b else (bin_of(a) >= bin_of(b))


@given(numbers)
def test_the_middle_of_a_bin_is_near_every_number_in_it(value: float) -> None:
    middle = middle_of(bin_of(value))
    assert bin_of(middle) == bin_of(value) or abs(value) < 1e-300
    assert abs(middle - value) <= abs(value) / 32.0 or abs(value) < 1e-300


@given(st.lists(st.none() | numbers | st.just(math.nan) | st.booleans() | st.text(max_size=50) | st.just([1])))
def test_every_value_is_counted_once(values: list[object]) -> None:
    told = facts(*({"x": value} for value in values))
    if not values:
        assert told == {}
        return
    x = told["x"]
    assert told[""].n == x.n == len(values)
    assert x.n == x.missing + sum(x.in_bins) + sum(x.named) + x.others + x.nested
    assert list(x.bins) == sorted(set(x.bins))


@given(st.lists(st.tuples(st.booleans(), numbers), max_size=30))
def test_two_workers_add_up_to_one(split: list[tuple[bool, float]]) -> None:
    whole = facts(*({"x": value} for _, value in split))
    parts = [facts(*({"x": value} for left, value in split if left is side)) for side in (True, False)]
    added: Counter[int] = Counter()
    for part in parts:
        if "x" in part:
            added.update(dict(zip(part["x"].bins, part["x"].in_bins, strict=True)))
    assert added == (dict(zip(whole["x"].bins, whole["x"].in_bins, strict=True)) if split else {})


def test_texts_are_hashed_unless_their_field_is_listed() -> None:
    fields: Fields = {"email": SECRET, "country": "AT", "note": "x" * 41, "ok": True}
    told = facts(fields)
    assert SECRET.encode() not in encode(list(told.values()))
    assert b"AT" not in encode(list(told.values()))
    assert told["email"].names[0].startswith("#")
    assert int(told["email"].names[0][1:]) < HASHES
    assert (told["note"].others, told["note"].names) == (1, ())
    assert told["ok"].names == ("true",)
    listed = facts(fields, drift=Drift(features=("country",)))
    assert set(listed) == {"", "country"}
    assert listed["country"].names == ("AT",)


def test_what_is_redacted_and_who_it_was_is_not_counted() -> None:
    fields: Fields = {"$.user.id": 7, "$.user.email": SECRET, "$.age": 30, "$.rows[*].name": "x"}
    told = facts(fields, redact=("$.user.email", "$.rows[*].name"), unit="$.user.id")
    assert set(told) == {"", "$.age"}


def test_what_cannot_be_read_is_counted_as_that() -> None:
    told = facts(None, {"x": 1}, {"x": 1, "y": 2})
    assert (told[""].n, told[""].missing) == (2, 1)
    assert sorted(told[""].named) == [1, 1]


def test_a_huge_number_is_no_harm() -> None:
    told = facts({"x": 10**400}, {"x": 1e308}, {"x": -(10**300)})
    assert (told["x"].n, told["x"].missing, sum(told["x"].in_bins)) == (3, 1, 2)
    assert math.isfinite(told["x"].squares)


def test_a_slice_is_a_minute_or_a_part_of_a_short_reference() -> None:
    assert [Drift(reference=seconds).every for seconds in (20.0, 600.0, 3600.0, 86_400.0)] == [1.0, 10.0, 60.0, 60.0]
