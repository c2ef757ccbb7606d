"""How much longer at the present rate: an interval shrinks with the square root of what it has seen."""

from __future__ import annotations

import math

from crossfade.judge.decide.look import Look, Want

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def left(look: Look, want: Want) -> float | None:
    """Seconds until the verdict would be safe if the estimate stayed; infinite where it lies beyond the limit.

    None where nothing can be said: no interval, or nothing that has to be proven.
    """
    line = want.line
    if not want.proof or line is None or not want.measured or line.estimate is None or line.limit is None:
        return None
    end = line.upper if line.better == "lower" else line.lower
    if end is None:
        return None
    away = line.limit - line.estimate if line.better == "lower" else line.estimate - line.limit
    if away <= 0.0:
        return math.inf
    counted = max(look.now - look.position.stage_since - want.window, 0.0)
    wider = abs(end - line.estimate) / away
    return max(counted * (wider * wider - 1.0), 0.0)


def patience(look: Look) -> str:
    """For the end of a sentence on what is not decided: about how long it takes, or that its time will not do."""
    known = [(much, want.metric) for want in look.wants if not want.met and (much := left(look, want)) is not None]
    if not known:
        return ""
    longest, metric = max(known)
    if math.isinf(longest):
        return f"; as it stands, {metric} would not be proven at all"
    told = f"about {_span(longest)} more at the present rate"
    if look.deadline is not None and look.now + longest > look.deadline:
        return f"; {metric} would take {told}, longer than is left"
    return f"; {told}"


def _span(seconds: float) -> str:
    for size, name in _UNITS:
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.0f} {name}"
    return "a minute" if seconds >= 30.0 else "a moment"
