"""Sixty days of units that return, with habits of their own: they are what counts, and not their visits."""

from __future__ import annotations

import pytest

from . import returned
from .worlds import holds

FAST, FULL = 20, 1000


@pytest.mark.parametrize("kind", returned.KINDS)
def test_regulars_seldom_make_the_same_model_look_worse(kind):
    assert holds(returned.alarms(kind, 0.5, FAST), FAST, returned.ALPHA)


def test_as_units_of_their_own_visits_would():
    assert returned.naive(0.5, FAST) >= 3


@pytest.mark.full
@pytest.mark.parametrize("share", [0.5, 0.05])
@pytest.mark.parametrize("kind", returned.KINDS)
def test_regulars_seldom_make_the_same_model_look_worse_at_full_size(kind, share):
    assert holds(returned.alarms(kind, share, FULL), FULL, returned.ALPHA)
