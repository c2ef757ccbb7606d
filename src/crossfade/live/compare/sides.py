"""One mirrored request's answers side by side: what the recorded fact says of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from crossfade.live.compare.rules import NO_RULES, Embed, Rules, nobody
from crossfade.live.compare.walk import MOST_PATHS, Found, fields_of, found, known
from crossfade.live.protocols.base import Prediction
from crossfade.spec.model import Comparison

_LOOKED_AT = 64
"""Differing fields found before the fact's own are chosen, so that muted ones do not crowd out those that count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Where the challenger differs from the champion, and the champion from itself."""

    differs: bool = False
    """Some field that is not muted differs."""
    noise_differs: bool | None = None
    """Likewise between the champion's two answers; None where it was asked once."""
    fields: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    """How each of `fields` differs."""
    sizes: tuple[float, ...] = ()
    """How far apart the values are in each of `fields`; −1 where that has no size."""
    noise_fields: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    """Fields of which nobody knows whether they differ, each with the reason."""
    among: int = 0
    """How many fields there were to differ; 0 where none did, so that nobody counted."""


def sides(
    champion: Prediction | None,
    challenger: Prediction | None,
    again: Prediction | None,
    comparisons: tuple[Comparison, ...] = (),
    embed: Embed = nobody,
) -> Sides:
    """The answers set side by side, of which any may be absent; the champion's own object in another place agrees."""
    if champion is None:
        return Sides()
    rules = rules_of(comparisons, embed)
    theirs = {} if challenger is None or challenger is champion else _found(champion, challenger, rules)
    noise = {} if again is None or again is champion else _found(champion, again, rules)
    theirs, silent = known(theirs)
    noise, silent_too = known(noise)
    named = _named(theirs, rules)
    among = 0
    if theirs or noise:
        among = len(fields_of(champion, rules))
    return Sides(
        differs=rules.counting(theirs),
        # What could not be compared a second time says nothing of the champion's noise.
        noise_differs=None if again is None or silent_too else rules.counting(noise),
        fields=named,
        kinds=tuple(str(theirs[path].kind) for path in named),
        sizes=tuple(size(theirs[path].a, theirs[path].b) for path in named),
        noise_fields=_named(noise, rules),
        unmeasured=_told(silent_too | silent, rules),
        among=among,
    )


@lru_cache(maxsize=256)
def rules_of(comparisons: tuple[Comparison, ...], embed: Embed = nobody) -> Rules:
    """The rules that a spec's comparisons make."""
    return Rules(comparisons, embed) if comparisons else NO_RULES


def size(a: object, b: object) -> float:
    """How far two numbers are apart, as a share of the larger; −1 for anything else."""
    if (type(a) is not float and type(a) is not int) or (type(b) is not float and type(b) is not int):
        return -1.0
    try:
        found = abs(a - b) / max(abs(a), abs(b))
    except (OverflowError, ZeroDivisionError):
        return -1.0
    return float(found) if found == found else -1.0


def _found(a: Prediction, b: Prediction, rules: Rules) -> dict[str, Found]:
    return found(a, b, rules=rules, most=_LOOKED_AT)


def _told(silent: dict[str, str], rules: Rules) -> tuple[str, ...]:
    """What was not measured and would have counted, with why."""
    return tuple(f"{path}: {why}" for path, why in silent.items() if rules.mute(path) is None)[:MOST_PATHS]


def _named(differing: dict[str, Found], rules: Rules) -> tuple[str, ...]:
    """At most eight of the fields, those that count first."""
    if len(differing) > MOST_PATHS and rules.muted:
        return tuple(sorted(differing, key=lambda path: rules.mute(path) is not None))[:MOST_PATHS]
    return tuple(differing)[:MOST_PATHS]
