"""What must hold of what is counted to see drift."""

from __future__ import annotations

from crossfade.spec.document import Document
from crossfade.spec.partial import known
from crossfade.spec.source import shown

SHORTEST, LONGEST = 10.0, 28 * 86_400.0
"""Seconds of a reference. Ten slices of it are the least to learn from, and all of it is read when a look begins."""


def check_drift(document: Document) -> None:
    """A reference can be compared with, and what must not be kept is not asked for."""
    asked = document.drift
    if asked is None or not known(asked):
        return
    url = document.champion.url if known(document.champion) else None
    if isinstance(url, str) and url.startswith("python:"):
        document.at("drift").report_key(
            "'drift' counts requests over HTTP, and models inside a program get none; remove it"
        )
        return
    if known(asked.reference) and not SHORTEST <= asked.reference <= LONGEST:
        asked.at("reference").report(
            "a reference this long or short cannot be compared with; take 10s to 28d, whole days where there are any",
            allowed="10s to 28d",
        )
    if not known(asked.features) or not known(document.redact):
        return
    for index, path in enumerate(asked.features):
        if known(path) and any(
            known(one) and (one == path or path.startswith((f"{one}.", f"{one}["))) for one in document.redact
        ):
            asked.at("features").value[index].report(
                f"{shown(path)} is redacted, so it cannot be counted; remove it here or there"
            )
