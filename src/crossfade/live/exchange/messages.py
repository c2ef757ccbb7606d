"""The words between an exchange and whoever runs it: events go in, commands come out."""

from __future__ import annotations

from crossfade.live.exchange.commands import (
    Abort,
    AsAsked,
    Call,
    Cancel,
    Command,
    Count,
    Devise,
    Mirror,
    More,
    Record,
    Reply,
    Watch,
)
from crossfade.live.exchange.events import Arrived, Begun, Devised, Event, Failed, Gone, Late, Started
from crossfade.live.exchange.heads import Head, Headers
from crossfade.live.exchange.pairs import Answer, Compare

__all__ = [
    "Abort",
    "Answer",
    "Arrived",
    "AsAsked",
    "Begun",
    "Call",
    "Cancel",
    "Command",
    "Compare",
    "Count",
    "Devise",
    "Devised",
    "Event",
    "Failed",
    "Gone",
    "Head",
    "Headers",
    "Late",
    "Mirror",
    "More",
    "Record",
    "Reply",
    "Started",
    "Watch",
]
