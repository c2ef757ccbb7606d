"""What the rules may see of a look besides its evidence: the same for who decides and for who decides again."""

from __future__ import annotations

from crossfade.judge.decide import Progress
from crossfade.judge.measure.measured import Measured


def seen_of(measured: Measured) -> Progress:
    """How much has been seen of the present stage."""
    progress = measured.progress
    return Progress(
        mirrored=progress.mirrored, requests=progress.requests, units=progress.units, step_units=progress.step_units
    )
