"""Counts of one slice of time: which fields were there, and how often which value, as facts that add up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import xxhash

from crossfade.facts import Sketched, bin_of
from crossfade.live.compare.redact import Parts, parts, rules
from crossfade.live.drift.features import MOST_FIELDS, Fields
from crossfade.spec.model import Drift

HASHES: Final = 64
"""Values of the hash that texts are counted by: too few to tell a person by, enough to see a new category."""

MOST_NAMES: Final = HASHES
"""Names kept of one field in one slice; the others are counted together."""

LONGEST_NAME: Final = 40
"""Characters of a text that may be a category; a longer one is counted and no more."""


@dataclass(slots=True)
class _Counts:
    n: int = 0
    missing: int = 0
    total: float = 0.0
    squares: float = 0.0
    bins: dict[int, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    others: int = 0
    nested: int = 0

    def take(self, value: Any, named: bool) -> None:
        self.n += 1
        if value is None:
            self.missing += 1
        elif value is True or value is False:
            self._name("true" if value else "false")
        elif isinstance(value, (int, float)):
            self._number(value)
        elif isinstance(value, str):
            if len(value) > LONGEST_NAME:
                self.others += 1
            else:
                self._name(value if named else _hashed(value))
        else:
            self.nested += 1

    def _number(self, value: float) -> None:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.missing += 1
            return
        place = bin_of(number)
        self.bins[place] = self.bins.get(place, 0) + 1
        if abs(number) < 1e150:
            self.total += number
            self.squares += number * number

    def _name(self, name: str) -> None:
        if name in self.names or len(self.names) < MOST_NAMES:
            self.names[name] = self.names.get(name, 0) + 1
        else:
            self.others += 1


class Sketch:
    """What one worker counts of one arm's requests, or replies, in one slice of time."""

    def __init__(self, drift: Drift, hidden: tuple[Parts, ...]) -> None:
        self._drift = drift
        self._hidden = hidden
        self._read = 0
        self._unread = 0
        self._shapes: dict[str, int] = {}
        self._fields: dict[str, _Counts] = {}

    def take(self, fields: Fields | None) -> None:
        """Count the fields of one request or reply; None where it could not be read."""
        if fields is None:
            self._unread += 1
            return
        self._read += 1
        wanted = self._drift.features
        kept = [name for name in fields if self._wanted(name, wanted)]
        shape = _fingerprint(tuple(sorted(kept)))
        if shape in self._shapes or len(self._shapes) < MOST_NAMES:
            self._shapes[shape] = self._shapes.get(shape, 0) + 1
        for name in kept:
            counts = self._fields.get(name)
            if counts is None:
                if len(self._fields) >= MOST_FIELDS:
                    continue
                counts = self._fields[name] = _Counts()
            counts.take(fields[name], bool(wanted))

    def _wanted(self, name: str, wanted: tuple[str, ...]) -> bool:
        if wanted and name not in wanted and not any(name.startswith((f"{one}.", f"{one}[")) for one in wanted):
            return False
        if not self._hidden:
            return True
        here = parts(name)
        return not any(here[: len(rule)] == rule for rule in self._hidden)

    def facts(self, *, rollout: str, revision: str, at: float, worker: str, arm: str, side: str) -> Iterator[Sketched]:
        """The slice as facts: one of the whole, one of each field."""
        seconds = self._drift.every
        if self._read or self._unread:
            yield Sketched(
                rollout=rollout, revision=revision, at=at, seconds=seconds, worker=worker, arm=arm, side=side, field="",
                n=self._read, missing=self._unread, names=tuple(self._shapes), named=tuple(self._shapes.values()),
            )  # fmt: skip
        for name, counts in self._fields.items():
            bins = sorted(counts.bins)
            names = sorted(counts.names, key=lambda each: (-counts.names[each], each))
            yield Sketched(
                rollout=rollout,
                revision=revision,
                at=at,
                seconds=seconds,
                worker=worker,
                arm=arm,
                side=side,
                field=name,
                n=counts.n,
                missing=counts.missing,
                total=counts.total,
                squares=counts.squares,
                bins=tuple(bins),
                in_bins=tuple(counts.bins[each] for each in bins),
                names=tuple(names),
                named=tuple(counts.names[each] for each in names),
                others=counts.others,
                nested=counts.nested,
            )


def hidden_of(redact: tuple[str, ...], unit: str) -> tuple[Parts, ...]:
    """What is not counted: what is redacted, and the unit's own field, which names somebody."""
    return rules((*redact, unit) if unit else redact)


def _hashed(text: str) -> str:
    return f"#{xxhash.xxh3_64_intdigest(text.encode(errors='surrogatepass')) % HASHES}"


@lru_cache(maxsize=1024)
def _fingerprint(names: tuple[str, ...]) -> str:
    return xxhash.xxh3_64_hexdigest("\0".join(names).encode(errors="surrogatepass"))[:8]
