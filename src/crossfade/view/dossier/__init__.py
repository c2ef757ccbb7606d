"""The dossier: all that is known of a rollout for a reviewer who was not there, as parts made of plain blocks.

One record for page, Markdown and JSON. It claims what the facts show; a part of which nothing is recorded is there, and
says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossfade.view.dossier import articles, decided, happened, oversight, planned, shown
from crossfade.view.dossier.blocks import Part
from crossfade.view.dossier.known import Known
from crossfade.view.dossier.summary import summary
from crossfade.view.words import moment

SCHEMA = "crossfade.dossier/1"

__all__ = ["SCHEMA", "Known", "dossier"]


def dossier(known: Known) -> dict[str, Any]:
    """The whole dossier as JSON scalars, lists and objects."""
    parts: Sequence[Part] = (
        planned.purpose(known),
        planned.models(known),
        planned.data(known),
        planned.plan(known),
        happened.exposure(known),
        decided.evidence(known),
        decided.segments(known),
        decided.calibration(known),
        happened.drift(known),
        happened.harm(known),
        happened.incidents(known),
        oversight.people(known),
        shown.method(known),
        shown.integrity(known),
        shown.retention(known),
    )
    return {
        "schema": SCHEMA,
        "name": known.rollout.name,
        "at": known.now,
        "made": f"{moment(known.now)} UTC by crossfade {known.software}",
        "phase": known.view["phase"],
        "tone": known.view["tone"],
        "sentence": known.view["sentence"],
        "summary": summary(known),
        "parts": [part.to_json() for part in (*parts, articles.mapped(parts))],
        "missing": [{"part": part.id, "title": part.title, "what": text} for part in parts for text in part.missing],
    }
