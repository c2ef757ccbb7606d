"""The quantities people write in a spec: shares, durations, margins, counts, amounts, quantiles."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from crossfade.spec.model import Margin
from crossfade.spec.words import Word, Wrong, number

_PERCENT = r"\d+(?:\.\d+)?%"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
PERCENT_SCHEMA = {"type": "string", "pattern": rf"^{_PERCENT}$"}


def _percent(text: str) -> float:
    # Shifting the decimal point as text rounds once: 0.7% is 0.007 and not 0.7 / 100.
    return float(f"{text}e-2")


def _short(value: float) -> str:
    return f"{value:.6g}"


def share(*, zero: bool = True, whole: bool = True, most: float = 1.0, example: str = "5% or 0.05") -> Word:
    """A fraction written `5%` or `0.05`, at most `most`; `zero` and `whole` say whether 0% and 100% are allowed."""
    low = "from 0%" if zero else "above 0%"
    high = f"up to {_short(most * 100)}%" if whole else "below 100%"
    within = f"a share {low} and {high}, such as {example}"

    def read(value: Any) -> float:
        plain = number(value)
        if plain is None:
            if not isinstance(value, str):
                raise Wrong
            if not re.fullmatch(_PERCENT, value):
                raise _not_a_share(value)
            plain = _percent(value[:-1])
        if 0.0 <= plain <= most and (zero or plain > 0.0) and (whole or plain < 1.0):
            return plain
        mistaken = not isinstance(value, str) and 1.0 < plain <= 100.0 * most
        raise Wrong(expected=within, near=f"{_short(plain)}%" if mistaken else None)

    limits: dict[str, Any] = {"type": "number"}
    limits["minimum" if zero else "exclusiveMinimum"] = 0
    limits["maximum" if whole else "exclusiveMaximum"] = most
    return Word(f"a share such as {example}", read, {"anyOf": [PERCENT_SCHEMA, limits], "examples": ["5%", 0.05]})


def _not_a_share(text: str) -> Wrong:
    start = _NUMBER.match(text)
    if text.endswith("pp") and start:
        return Wrong(near=f"{start[0]}%", hint="pp, percentage points, is for margins only")
    if start and start.end() == len(text):
        return Wrong(hint="leave the quotes out")
    if start and text[start.end() :].strip().lower() in ("%", "percent", "per cent", "pct", "prozent"):
        return Wrong(near=f"{start[0]}%")
    return Wrong()


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_DURATION_LIKE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_UNIT_WORDS = {
    "ms": ("msec", "msecs", "millis", "millisecond", "milliseconds"),
    "s": ("sec", "secs", "second", "seconds"),
    "m": ("min", "mins", "minute", "minutes"),
    "h": ("hr", "hrs", "hour", "hours"),
    "d": ("day", "days"),
    "w": ("week", "weeks"),
}
_TEN_YEARS = 3650 * 86400.0


def duration(*, zero: bool = False) -> Word:
    """Seconds, written `30s`, `10m`, `24h` or `3d`; also `ms` and `w`."""
    expected = "a duration such as 30s, 10m, 24h or 3d"

    def read(value: Any) -> float:
        plain = number(value)
        if plain is not None:
            near = f"{_short(plain)}s" if plain > 0 else None
            raise Wrong(near=near, hint="a plain number does not say its unit")
        if not isinstance(value, str):
            raise Wrong
        match = _DURATION.fullmatch(value)
        if match is None:
            raise Wrong(near=_near_duration(value))
        seconds = float(match[1]) * _UNITS[match[2]]
        if seconds > _TEN_YEARS:
            raise Wrong(expected="a duration of at most ten years (3650d)")
        if seconds <= 0.0 and not zero:
            raise Wrong(expected="a duration longer than nothing, such as 30s, 10m, 24h or 3d")
        return seconds

    schema = {"type": "string", "pattern": rf"^{_DURATION.pattern}$", "examples": ["30s", "10m", "24h", "3d"]}
    return Word(expected, read, schema)


def _near_duration(text: str) -> str | None:
    like = _DURATION_LIKE.fullmatch(text.strip())
    if like is None:
        return None
    word = like[2].lower()
    unit = next((unit for unit, words in _UNIT_WORDS.items() if word == unit or word in words), None)
    return f"{like[1]}{unit}" if unit else None


def _read_margin(value: Any) -> Margin:
    plain = number(value)
    if plain is not None and plain >= 0.0:
        return Margin(value=plain, relative=False)
    if not isinstance(value, str):
        raise Wrong
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(pp|%)", value)
    if match is None:
        start = _NUMBER.match(value)
        rest = value[start.end() :].strip().lower() if start else ""
        if start and rest in ("percentage points", "points", "pp", "p.p."):
            raise Wrong(near=f"{start[0]}pp")
        if start and rest in ("%", "percent", "per cent", "pct"):
            raise Wrong(near=f"{start[0]}%")
        if start and rest in ("ms", "milliseconds"):
            raise Wrong(near=start[0], hint="latency is measured in milliseconds already")
        raise Wrong(hint="leave the quotes out" if start and not rest else None)
    size = _percent(match[1])
    if not math.isfinite(size):
        raise Wrong
    return Margin(value=size, relative=match[2] == "%")


MARGIN = Word(
    "a margin: 0.5pp (percentage points), 20% (of the champion's value) or a number in the metric's own units",
    _read_margin,
    {
        "anyOf": [
            {"type": "string", "pattern": r"^\d+(?:\.\d+)?(pp|%)$"},
            {"type": "number", "minimum": 0},
        ],
        "examples": ["0.5pp", "20%", 15],
    },
)


def _read_count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        digits = re.sub(r"[ _,']", "", value) if isinstance(value, str) else ""
        raise Wrong(near=digits if re.fullmatch(r"[1-9]\d{0,14}", digits) else None)
    if not 0 < value <= 10**15:
        raise Wrong
    return value


def whole(least: int, most: int) -> Word:
    """A whole number between two others."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Wrong
        return value

    said = f"a whole number from {least} to {most}"
    return Word(said, read, {"type": "integer", "minimum": least, "maximum": most})


COUNT = Word("a whole number above 0", _read_count, {"type": "integer", "minimum": 1, "maximum": 10**15})


def _read_amount(value: Any) -> float:
    plain = number(value)
    if plain is None or plain <= 0.0:
        percent = isinstance(value, str) and value.endswith("%")
        raise Wrong(hint="a budget counts harm itself, not a share of anything" if percent else None)
    return plain


AMOUNT = Word(
    "a number above 0, in the metric's own counts, such as 50", _read_amount, {"type": "number", "exclusiveMinimum": 0}
)


def _read_cap(value: Any) -> float:
    plain = number(value)
    if plain is None or not 0.0 < plain <= 1e15:
        raise Wrong
    return plain


CAP = Word(
    "a number above 0, in the metric's own units, such as 20",
    _read_cap,
    {"type": "number", "exclusiveMinimum": 0, "maximum": 10**15},
)


def _read_any_number(value: Any) -> float:
    plain = number(value)
    if plain is None or not math.isfinite(plain):
        raise Wrong
    return plain


def _read_harm(value: Any, *, least: float) -> float:
    plain = number(value)
    if plain is None and isinstance(value, str):
        match = re.fullmatch(r"(-?\d+(?:\.\d+)?)(pp|%)", value)
        if match and match[2] == "%":
            raise Wrong(near=f"{match[1]}pp", hint="harm per unit is a difference: write percentage points")
        plain = _percent(match[1]) if match else None
    if plain is None or not math.isfinite(plain) or not least <= plain <= 1.0 or (least == 0.0 and plain == 0.0):
        raise Wrong
    return plain


_HARM_SCHEMA = {"type": "string", "pattern": r"^-?\d+(?:\.\d+)?pp$"}

HARM = Word(
    "the mean harm of one unit, from -100pp to 100pp, such as 0pp",
    lambda value: _read_harm(value, least=-1.0),
    {"anyOf": [_HARM_SCHEMA, {"type": "number", "minimum": -1, "maximum": 1}], "examples": ["0pp", "1pp"]},
)

HARM_SPREAD = Word(
    "a standard deviation above 0pp and up to 100pp, such as 2pp",
    lambda value: _read_harm(value, least=0.0),
    {"anyOf": [_HARM_SCHEMA, {"type": "number", "exclusiveMinimum": 0, "maximum": 1}], "examples": ["2pp"]},
)


ANY_NUMBER = Word("a number such as 0", _read_any_number, {"type": "number"})


def _read_quantile(value: Any) -> float:
    plain = number(value)
    if plain is None and isinstance(value, str) and re.fullmatch(_PERCENT, value):
        plain = _percent(value[:-1])
    if plain is not None and 0.0 < plain < 1.0:
        return plain
    named = re.fullmatch(r"[pP]?(\d{1,2}(?:\.\d+)?)", value) if isinstance(value, str) else None
    if named:
        plain = float(named[1])
    raise Wrong(near=_short(plain / 100) if plain is not None and 1.0 <= plain < 100.0 else None)


QUANTILE = Word(
    "a quantile between 0 and 1, such as 0.99",
    _read_quantile,
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, PERCENT_SCHEMA], "examples": [0.99]},
)

Duration = Annotated[float, duration()]
Share = Annotated[float, share()]
PositiveShare = Annotated[float, share(zero=False)]
PartialShare = Annotated[float, share(zero=False, whole=False)]
