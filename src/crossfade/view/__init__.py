"""What a person sees: one record of a rollout for terminal, page, JSON and notification, and its words."""

from crossfade.view.harm import Harm, Harmed, harm_so_far
from crossfade.view.outcomes import OutcomeCounts, outcome_counts
from crossfade.view.record import (
    SCHEMA,
    ArmCounts,
    Exposure,
    Progress,
    line_in_words,
    refreshed,
    status,
    view,
)

__all__ = [
    "SCHEMA",
    "ArmCounts",
    "Exposure",
    "Harm",
    "Harmed",
    "OutcomeCounts",
    "Progress",
    "harm_so_far",
    "line_in_words",
    "outcome_counts",
    "refreshed",
    "status",
    "view",
]
