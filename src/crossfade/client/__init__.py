"""For programs: report outcomes, and run a rollout around Python callables. Stays free of heavy imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossfade.client.outcomes import OutcomeClient
    from crossfade.client.rollout import Result, Rollout

__all__ = ["OutcomeClient", "Result", "Rollout"]


def __getattr__(name: str) -> Any:
    # Whoever only reports outcomes needs nothing but the standard library, and loads nothing else.
    if name == "OutcomeClient":
        from crossfade.client import outcomes

        return outcomes.OutcomeClient
    if name in ("Result", "Rollout"):
        from crossfade.client import rollout

        return getattr(rollout, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
