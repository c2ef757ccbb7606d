"""Numbers in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.view import words


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.05, "5 %"), (0.005, "0.5 %"), (1.0, "100 %"), (0.0, "0 %"), (0.0483, "4.8 %"), (0.000123, "0.012 %")],
)
def test_percent_shows_no_more_digits_than_it_needs(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_an_absent_number_is_a_dash_and_never_a_zero() -> None:
    assert {words.percent(None), words.whole(None), words.signed(None, "pp"), words.duration(None)} == {words.ABSENT}
    assert words.signed(float("nan"), "ms") == words.amount(float("inf"), "") == words.ABSENT


def test_an_open_side_of_an_interval_is_shown_as_open() -> None:
    assert words.interval(-0.0041, None, "pp") == "[−0.41, ∞)"
    assert words.interval(None, 3.25, "ms") == "(−∞, +3.2]"


@given(st.floats(min_value=-1e6, max_value=1e6), st.floats(min_value=1e-3, max_value=1e6))
def test_a_difference_keeps_its_sign_and_its_size(value: float, beside: float) -> None:
    text = words.signed(value, "ms", like=(beside,))
    number = float(text.removesuffix(" ms").replace("−", "-").replace(",", ""))
    assert number == pytest.approx(value, abs=max(0.5, 0.05 * max(abs(value), beside)))
    assert number * value >= 0.0


@given(st.floats(min_value=10.0, max_value=1e8))
def test_a_duration_in_two_units_is_near_the_seconds_it_stands_for(seconds: float) -> None:
    sizes = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    parts = words.duration(seconds).split()
    told = sum(int(n) * sizes[unit] for n, unit in zip(parts[::2], parts[1::2], strict=True))
    assert len(parts) <= 4
    assert told == pytest.approx(seconds, rel=0.05, abs=1.0)


def test_a_count_is_followed_by_its_share_and_its_reasons() -> None:
    assert words.of_which(0.125, {"queue-full": 30, "flood": 1200}) == " (12.5 %: 1,200 flood, 30 queue-full)"
    assert words.of_which(None, {"late": 2}) == " (2 late)"
    assert words.of_which(0.0, {}) == " (0 %)"
    assert words.of_which(None, None) == words.of_which(None, {}) == ""
