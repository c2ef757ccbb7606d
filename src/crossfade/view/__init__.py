"""What a person sees: one record of a rollout for terminal, page, JSON and notification, and its words."""

from crossfade.view.harm import Harm, Harmed, harm_so_far
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
    "Progress",
    "harm_so_far",
    "line_in_words",
    "refreshed",
    "status",
    "view",
]
