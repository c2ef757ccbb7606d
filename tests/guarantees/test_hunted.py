"""Groups that nobody declared: the harmed one is named first, and seldom another."""

from __future__ import annotations

import pytest

from . import hunted


def test_the_harmed_group_is_named_and_no_other() -> None:
    assert hunted.harmed(2) == (2, 0)
    assert hunted.alarms(2) == 0


@pytest.mark.full
def test_over_many_runs() -> None:
    first, wrong = hunted.harmed(100)
    assert first >= 90
    assert wrong <= 10
    assert hunted.alarms(100) <= 10
    assert hunted.alarms(100, everyone=0.03) <= 10
