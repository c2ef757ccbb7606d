"""The same look at another time: where nothing that a line is made of has changed, its evidence is what it was."""

from __future__ import annotations

from dataclasses import replace

from crossfade.judge.assess import assess
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer.mismatch import SAMPLE_RATIO
from crossfade.judge.measure.measured import Measured, Progress
from crossfade.spec.model import Rollout

_MOMENTS = ("metrics", "gates", "slices", "assignment", "segments", "triggers")


class Assessor:
    """Assesses looks at many rollouts, each of which it remembers the last of."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Rollout, Measured, tuple[Evidence, ...]]] = {}

    def assess(self, rollout: Rollout, measured: Measured) -> tuple[Evidence, ...]:
        """What `assess` says; not asked again where the look is the last one at a later time."""
        last = self._last.get(rollout.name)
        if last is not None and last[0] == rollout and _alike(last[1], measured) and not _dated(last[2]):
            return last[2]
        found = assess(rollout, measured)
        self._last[rollout.name] = rollout, measured, found
        return found


def _alike(one: Measured, other: Measured) -> bool:
    """Whether two looks are the same but for their time: made of the very same moments."""
    if any(getattr(one, name) is not getattr(other, name) for name in _MOMENTS):
        return False
    return (one.stage, one.step, one.mode, one.since, _told(one.progress)) == (
        other.stage,
        other.step,
        other.mode,
        other.since,
        _told(other.progress),
    )


def _told(progress: Progress) -> Progress:
    """Without what time alone changes, of which no line speaks."""
    return replace(progress, orphans=None, early=None)


def _dated(evidence: tuple[Evidence, ...]) -> bool:
    """Whether a line says since when, in words that depend on the day: a mismatch does."""
    return any(line.metric == SAMPLE_RATIO and line.verdict is Verdict.UNMEASURED for line in evidence)
