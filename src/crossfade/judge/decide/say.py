"""Words for people: numbers with their units, times, shares, and the phrases that the rules share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from crossfade.judge.decide.look import Look, Want, preferred
from crossfade.judge.decide.ramp import Room
from crossfade.judge.evidence import Evidence
from crossfade.judge.plan import CATASTROPHIC
from crossfade.spec.model import Interleave, Promote, Shadow

_DAY = 86400.0


def number(value: float, line: Evidence) -> str:
    """A difference in the metric's own units, unsigned."""
    size = abs(value)
    if preferred(line.metric):
        return f"{size:.0%}".replace("%", " %")
    if line.kind in ("rate", "accuracy"):
        return f"{_digits(100.0 * size)} pp"
    if line.kind == "quantile":
        return f"{_digits(size)} ms"
    return _digits(size)


def _digits(value: float) -> str:
    if value == 0.0:
        return "0"
    if value >= 1000.0:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value < 10.0 else f"{value:.3g}"


def share(value: float) -> str:
    """A share of units."""
    return f"{_digits(100.0 * value)} %"


def clock(at: float, now: float) -> str:
    """A time of day, with its date where it is more than a day away."""
    moment = datetime.fromtimestamp(at, tz=UTC)
    day = f"{moment.day} {moment:%b} " if abs(at - now) >= _DAY else ""
    return f"{day}{moment:%H:%M} UTC"


def soon(at: float, now: float) -> str:
    """A time of day for somebody who waits, with its seconds where it comes within two minutes.

    Only for sentences of waiting: those of moves are in ledgers, and are reproduced word for word.
    """
    return f"{datetime.fromtimestamp(at, tz=UTC):%H:%M:%S} UTC" if abs(at - now) < 120.0 else clock(at, now)


def where(look: Look) -> str:
    """Where the rollout stands: "at 5 %", "in shadow"."""
    if isinstance(look.stage, Shadow):
        return "in shadow"
    if isinstance(look.stage, Interleave):
        return f"interleaving {share(look.weight)}"
    if isinstance(look.stage, Promote):
        return f"promoted, {share(look.weight)}"
    return f"at {share(look.weight)}"


def several(parts: Iterable[str], most: int = 3) -> str:
    """A list for a sentence, cut short."""
    found = list(parts)
    shown = "; ".join(found[:most])
    return shown if len(found) <= most else f"{shown}; and {len(found) - most} more"


def most(room: Room) -> str:
    """What a budget may have come to: "errors of v2 may have cost 51 by now, which is its budget of 50"."""
    cost = room.spent if room.measured else room.cost()
    of = (
        f"{room.exposed:,} units"
        if room.settled == room.exposed
        else f"{room.settled:,} of {room.exposed:,} units known"
    )
    budget = _digits(room.budget)
    return f"{room.metric} of {room.arm} may have cost {_digits(cost)} by now ({of}), and its budget is {budget}"


def believed(room: Room, weight: float) -> str:
    """Why a risk-of-ruin ramp does not go on: "not raised, as by its prior only 575 more units may come at 5 %"."""
    still = max((room.believed or 0.0) - (room.exposed - room.settled), 0.0)
    told = (
        f"not raised to {share(weight)}, as by prior and evidence {still:,.0f} more units of {room.arm} fit under the "
        f"budget of {_digits(room.budget)} {room.metric}"
    )
    if room.incredible is None:
        return told
    return f"{told}; harm is beyond {share(room.incredible)} a unit, the worst that the prior calls credible"


def why_unmeasured(want: Want) -> str:
    """Why one wanted line is not measured."""
    if want.line is not None and want.line.reason:
        return f"{want.line.reason} (unmeasured)"
    return f"{want.metric} cannot be measured for {want.arm} in this stage (unmeasured)"


def stands(want: Want) -> str:
    """How one wanted line stands: "errors of v2 is +0.2 pp, limit 0.5 pp"."""
    line = want.line
    if line is None or not want.measured:
        return why_unmeasured(want)
    if line.estimate is None:
        return f"{line.metric} of {line.arm} is undecided"
    sign = "−" if line.estimate < 0 else "+"
    limit = "" if line.limit is None or line.role == "goal" else f", limit {number(line.limit, line)}"
    end = line.upper if line.better == "lower" else line.lower
    why = f" ({line.reason})" if want.proof and end is None and line.reason else ""
    return f"{line.metric} of {line.arm} is {sign}{number(line.estimate, line)} against {line.baseline}{limit}{why}"


def harmed(line: Evidence) -> str:
    """The proof of harm: how much at least, the limit, the e-value and what was needed."""
    worse_is_more = line.better == "lower"
    bound = line.lower if worse_is_more else line.upper
    if bound is not None:
        amount = f"at least {number(bound, line)}"
    elif line.estimate is not None:
        amount = f"about {number(line.estimate, line)}"
    else:
        amount = "provenly"
    limit = "" if not line.limit else f" (limit {number(line.limit, line)})"
    needed = 1.0 / (1.0 - line.confidence)
    found = "" if line.e_value is None else f", e-value {_large(line.e_value)} ≥ {_large(needed)} needed"
    if line.role == "gate" and line.metric == CATASTROPHIC:
        return f"{line.arm} gives replies that nobody can use: {line.reason}{found}"
    if line.role == "gate":
        return f"{line.metric} of {line.arm} is {amount}{limit}{found}"
    side = "above" if worse_is_more else "below"
    return f"{line.metric} of {line.arm} is {amount} {side} {line.baseline}{limit}{found}"


def named(line: Evidence) -> str:
    """A segment and its size: "header:x-country=DE (512 units of v2, 9,731 of v1)"."""
    seen = line.units.get(line.arm, 0), line.units.get(line.baseline, 0)
    return f"{line.segment} ({seen[0]:,} units of {line.arm}, {seen[1]:,} of {line.baseline})"


def began_late(line: Evidence, look: Look) -> str:
    """Harm that began after promotion: since about when, the values since then, and the proof."""
    change = line.change or {}
    since = clock(look.position.stage_since + change["after"], look.now)
    values, units = change["values"], change["units"]
    found = " against ".join(
        f"{arm} {_value(values[arm], line)} of {units[arm]:,}"
        for arm in (line.arm, line.baseline)
        if values[arm] is not None
    )
    needed = 1.0 / (1.0 - line.confidence)
    e = "" if line.e_value is None else f", e-value {_large(line.e_value)} ≥ {_large(needed)} needed"
    limit = "" if not line.limit else f" by more than its limit of {number(line.limit, line)}"
    return f"{line.metric} of {line.arm} has become worse than {line.baseline}{limit}, since about {since} ({found}){e}"


def _value(value: float, line: Evidence) -> str:
    """One arm's value since a change: of quantiles the share of observations beyond the cut."""
    return share(value) if line.kind in ("rate", "quantile") else _digits(value)


def _large(value: float) -> str:
    return f"{value:,.0f}" if value < 1e6 else "over a million"
