"""Whole weeks: people differ by weekday, and a comparison over 10 days weighs three of them twice. Advised, not asked.

Nothing waits for a week to be over: the tests are fair without it, and what they speak of are the days that were seen.
"""

from __future__ import annotations

DAY = 86_400.0
WEEK = 7.0 * DAY

NEAR = 0.5 * DAY
"""Seconds from the end of a whole week that still count as whole."""


def ragged(seconds: float) -> bool:
    """Whether so much time has days in it and does not end with a week; less than a day is no matter of weekdays."""
    over = seconds % WEEK
    return seconds >= DAY and min(over, WEEK - over) > NEAR


def whole(seconds: float) -> float:
    """The next whole number of weeks that is no less, in seconds."""
    return max(round((seconds + 0.5 * WEEK - NEAR) / WEEK), 1) * WEEK


def told(seconds: float) -> str:
    """ "10 d, not whole weeks" where that is so; else empty."""
    return f"{seconds / DAY:.2g} d, not whole weeks: weekdays may differ" if ragged(seconds) else ""
