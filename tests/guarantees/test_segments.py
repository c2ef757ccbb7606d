"""Ten metrics in twenty segments: rollouts of equal arms seldom claim harm anywhere, and a harmed segment is named."""

from __future__ import annotations

import pytest

from .segmented import false_alarms, named
from .worlds import holds

FAST, FULL = 4, 1000


def test_few_rollouts_of_equal_arms_claim_harm_anywhere():
    assert holds(false_alarms(FAST), FAST, 0.05)


def test_a_harmed_segment_is_named_first():
    right, wrong = named(3)
    assert (right, wrong) == (3, 0)


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_few_of_many_rollouts_of_equal_arms_claim_harm_anywhere():
    assert holds(false_alarms(FULL), FULL, 0.05)


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_a_harmed_segment_is_named_first_in_nine_of_ten():
    right, wrong = named(200)
    assert right >= 180
    assert holds(wrong, 200, 0.05)
