"""Whether a challenger is asked at all: out after a row of failures, for longer each time, and back after one success.

While it is out its units are served by the champion at once and stay in the analysis as failed: who was randomised to
a broken model was randomised to it. Time is an argument.
"""

from __future__ import annotations

from typing import Final

from crossfade.facts import Exposed

FAILURES: Final = 5
"""Failures in a row after which an arm is out."""

FIRST_PAUSE: Final = 1.0
"""Seconds out the first time; doubled each time it fails again on its return."""

LONGEST_PAUSE: Final = 30.0

EJECTED: Final = "ejected"
"""The reason that facts give while an arm is out."""


EXPOSING: Final = frozenset(("canary", "ab", "interleave", "promote"))
"""Modes in which users meet a challenger. Copies for hidden arms hurt nobody, and their failures are the evidence."""


def told(fact: Exposed) -> bool | None:
    """What a challenger's request tells of it: well, failing, or nothing (None).

    A failure that the champion shares is the request's own and says nothing of the arm.
    """
    if fact.mode not in EXPOSING or fact.reason == EJECTED:
        return None
    if not fact.failed:
        return True if fact.served_by and not fact.reason else None
    return False if fact.served_by not in ("", fact.arm) and 0 < fact.status < 500 else None


class Outlier:
    """One challenger as one worker sees it. The champion has none: there is nobody behind it."""

    __slots__ = ("_failures", "_out_since", "_pause", "_probed", "_trial_until", "_well_since", "trial_seconds")

    def __init__(self, *, probed: bool = False, trial_seconds: float = 30.0) -> None:
        self.trial_seconds = trial_seconds
        """How long one trial may stay unanswered before the next request is one."""
        self._probed = probed
        """Whether probes make the trial; else the next user of the arm does, with the champion behind."""
        self._failures = 0
        self._pause = 0.0
        self._out_since: float | None = None
        self._trial_until = 0.0
        self._well_since = 0.0

    @property
    def out(self) -> bool:
        """Whether it is ejected; a trial does not change that."""
        return self._out_since is not None

    @property
    def pause(self) -> float:
        """Seconds of the present or the last time out; 0 when there was none."""
        return self._pause

    def due(self, now: float) -> bool:
        """Whether it is out, and its pause is over."""
        return self._out_since is not None and now - self._out_since >= self._pause

    def admits(self, now: float) -> bool:
        """Whether this request may be sent to it. After the pause one at a time is, as a trial."""
        if self._out_since is None:
            return True
        if self._probed or not self.due(now) or now < self._trial_until:
            return False
        self._trial_until = now + self.trial_seconds
        return True

    def succeeded(self, now: float) -> bool:
        """It answered; True when that brings it back. What was asked before it went out brings nobody back."""
        self._failures = 0
        if not self.due(now):
            return False
        self._out_since = None
        self._well_since = now
        return True

    def failed(self, now: float) -> bool:
        """It failed where the champion did not; True when that puts it out, for the first time or again."""
        if self._out_since is not None:
            if not self.due(now):
                return False
        else:
            self._failures += 1
            if self._failures < FAILURES:
                return False
        # An arm that was well for as long as it had been out begins anew; one that only seemed so does not.
        healed = self._out_since is None and now - self._well_since > max(self._pause, LONGEST_PAUSE)
        self._pause = min(LONGEST_PAUSE, self._pause * 2.0) if self._pause and not healed else FIRST_PAUSE
        self._out_since = now
        self._failures = 0
        self._trial_until = 0.0
        return True
