"""What a covariate is worth on a line of evidence, in words: the interval with it and without."""

from __future__ import annotations

from crossfade.judge.evidence import Evidence
from crossfade.view.words import interval, percent, signed


def without_covariate(line: Evidence, unit: str) -> str:
    """Estimate and interval as they would be without it, and how much narrower it makes them; '' where none is used."""
    plain = line.unadjusted
    if plain is None:
        return ""
    like = (plain["estimate"], plain["lower"], plain["upper"])
    told = f"without the covariate {signed(plain['estimate'], unit, like=like)} {interval(*like[1:], unit, like=like)}"
    now, then = _width(line.estimate, line.lower, line.upper), _width(*like)
    if not now or not then:
        return told
    change = 1.0 - now / then
    return f"{told}: {percent(round(abs(change), 2))} {'narrower' if change >= 0.0 else 'wider'} with it"


def _width(estimate: float | None, lower: float | None, upper: float | None) -> float | None:
    """Of an open interval the one end tells: how far it is from the estimate."""
    if lower is not None and upper is not None:
        return upper - lower
    end = upper if lower is None else lower
    return None if estimate is None or end is None else abs(end - estimate)
