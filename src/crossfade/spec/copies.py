"""Copies of requests that are sent to a model which does not serve them: how many, in which direction, how bounded."""

from __future__ import annotations

from dataclasses import dataclass

AT_ONCE = 8
"""Copies under way at one arm of a canary or A/B test, whose models serve users, where its spec does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerDay:
    """What copies may spend in a day, at one host; None where that is not bounded."""

    requests: int | None = None
    """Requests that are copied."""
    cost: float | None = None
    """What the copies' replies cost, as the spec's `cost` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """Requests of some units of a canary or an A/B test that also the arm answers which does not serve them."""

    share: float
    """Of units, whatever their arm: all requests of such a unit are copied, and none of another's."""
    both: bool = False
    """Champions answer copies of their challengers' requests, too; else challengers alone answer copies."""
    at_once: int = AT_ONCE
    """Copies under way at one arm, shared by a host's workers."""
    per_day: PerDay | None = None
