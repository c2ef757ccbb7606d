"""Numbers in words: shares, differences, intervals, durations and times as people read them.

Every function takes None for a number that is absent and says so with a dash, never with a zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import floor, isfinite, log10
from typing import Any

ABSENT = "–"
MINUS = "−"


def percent(share: float | None) -> str:
    """A share (0–1) as a percentage with no more digits than it needs: 0.005 → `0.5 %`."""
    if share is None:
        return ABSENT
    scaled = share * 100.0
    if scaled and abs(scaled) < 0.1:
        digits = f"{scaled:.2g}"
    else:
        digits = f"{scaled:.2f}" if abs(scaled) < 1 else f"{scaled:.1f}"
    if "." in digits and "e" not in digits:
        digits = digits.rstrip("0").rstrip(".")
    return f"{digits} %".replace("-", MINUS)


def of_which(share: float | None, why: Mapping[str, int] | None) -> str:
    """A count's share and its reasons, to follow it: ` (12 %: 30 queue-full, 2 flood)`; nothing where none is known."""
    reasons = ", ".join(f"{whole(count)} {reason}" for reason, count in sorted((why or {}).items()))
    known = [text for text in (percent(share) if share is not None else "", reasons) if text]
    return f" ({': '.join(known)})" if known else ""


def unmeasured(counts: Mapping[str, Any]) -> list[str]:
    """What of a stage was not measured, each in a few words: dropped copies, missing units, orphans, faults, lists."""
    words = {
        "dropped": f"shadow copies dropped{of_which(counts.get('dropped_share'), counts.get('dropped_why'))}",
        "missing_units": "request(s) without a unit",
        "orphans": "outcome(s) that joined nothing",
        "faults": "fault(s) of ours",
    }
    told = [
        f"{whole(counts[key])} {text.replace('(s)', 's' * (counts[key] != 1))}"
        for key, text in words.items()
        if counts.get(key)
    ]
    if excluded := counts.get("excluded"):
        told.append(f"{whole(sum(excluded.values()))} interleaved lists are no evidence{of_which(None, excluded)}")
    return told


def untold(told: Mapping[str, Any]) -> str:
    """That somebody could not be told, and what of: `webhook ops was not told (3 waiting): it answered 503`."""
    left = f"{whole(told['waiting'])} waiting" if told["waiting"] else "nothing waiting"
    given_up = f", {whole(told['given_up'])} given up" if told["given_up"] else ""
    what = "does not follow" if told["target"] == "registry" else f"was not told ({left}{given_up})"
    return f"{told['target']} {what}: {told['error']}"


def whole(count: int | None) -> str:
    """A count with thousands apart: `12,480`."""
    return ABSENT if count is None else f"{count:,}"


def amount(value: float | None, unit: str) -> str:
    """A value of the metric itself, as opposed to a difference: rates in %, latencies in ms."""
    if value is None or not isfinite(value):
        return ABSENT
    if unit == "pp":
        return percent(value)
    text = f"{value:,.{_decimals((value,), 3)}f}".replace("-", MINUS)
    return f"{text} {unit}" if unit else text


def excess(value: float | None) -> str:
    """Units harmed beyond what was to be expected, which need not be whole: `+12.8`."""
    return ABSENT if value is None else f"{value:+,.1f}".replace("-", MINUS)


def signed(value: float | None, unit: str, *, like: Iterable[float | None] = ()) -> str:
    """A difference with its sign and unit; `like` are the numbers beside it, so that all show the same decimals."""
    if value is None or not isfinite(value):
        return ABSENT
    text = _signed(value, unit, like)
    return f"{text} {unit}" if unit else text


def interval(lower: float | None, upper: float | None, unit: str, *, like: Iterable[float | None] = ()) -> str:
    """An interval; a side that is not bounded is open: `[−0.12, ∞)`."""
    if lower is None and upper is None:
        return ABSENT
    beside = tuple(like)
    low = f"({MINUS}∞" if lower is None or not isfinite(lower) else f"[{_bound(lower, unit, beside)}"
    high = "∞)" if upper is None or not isfinite(upper) else f"{_bound(upper, unit, beside)}]"
    return f"{low}, {high}"


def _bound(value: float, unit: str, like: Iterable[float | None]) -> str:
    """An end of an interval. One beside zero is shown apart from it, because that is what verdicts are about."""
    said = _signed(value, unit, like)
    return said if value == 0.0 or said.strip("0.,") else _signed(value, unit, ())


def duration(seconds: float | None) -> str:
    """A length of time in at most two units: `2 d 4 h`, `3 min 20 s`, `1.5 s`."""
    if seconds is None:
        return ABSENT
    if seconds < 10:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + " s"
    left = round(seconds)
    parts = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size} {name}")
            left %= size
    return " ".join(parts[:2])


def clock(at: float | None) -> str:
    """A time of day in UTC, `14:03:20`."""
    return ABSENT if at is None else datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def moment(at: float | None, now: float | None = None) -> str:
    """A date and time in UTC, `2026-03-01 14:03:20`; the date is left out within 20 hours of `now`."""
    if at is not None and now is not None and abs(at - now) < 72_000.0:
        return clock(at)
    return ABSENT if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def seen_in(record: Mapping[str, Any]) -> str:
    """Which stage a record's evidence is of, and since when: ` in promote, since 20:43:58`; nothing before a start."""
    since = record["since"]["stage"]
    if record["stage"] is None or since is None:
        return ""
    return f" in {record['stage']}, since {moment(since, record['at'])}"


def promoted_by(record: Mapping[str, Any]) -> int | None:
    """The ledger's number of the promotion, while the evidence is that of the watch which came after it."""
    moves = [entry["n"] for entry in record["decisions"] if entry["move"] == "promote"]
    return moves[-1] if moves and record["stage"] == "promote" else None


def known_at(record: Mapping[str, Any]) -> str:
    """What harm was counted up to; outcomes whose window is open may add to it."""
    windows = ((record.get("outcomes") or {}).get("windows") or {}).values()
    late = "; outcomes still come in" if any(window["open"] for window in windows) else ""
    return f"as known at {clock(record['at'])} UTC{late}"


def _signed(value: float, unit: str, like: Iterable[float | None]) -> str:
    scale = 100.0 if unit == "pp" else 1.0
    shown = value * scale
    text = f"{abs(shown):,.{_decimals([shown, *(n * scale for n in like if n is not None)])}f}"
    if not text.strip("0.,"):
        return text
    return ("+" if shown > 0 else MINUS) + text


def _decimals(values: Iterable[float], digits: int = 2) -> int:
    """Decimals that leave so many significant digits on the largest of the values, at most three."""
    largest = max((abs(value) for value in values if isfinite(value)), default=0.0)
    return 0 if not largest else min(3, max(0, digits - 1 - floor(log10(largest))))
