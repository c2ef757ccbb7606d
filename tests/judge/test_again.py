"""A look that is the last one at a later time is not judged anew, and says the same; any other one is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossfade.judge import again
from crossfade.judge.again import Assessor
from crossfade.judge.assess import assess
from crossfade.judge.measure.measured import Measured, Progress
from judge.decide.rollouts import CANARY, ERRORS, PROMOTE, rollout
from judge.questions import rates

ROLLOUT = rollout(CANARY, PROMOTE, metrics=(ERRORS,))
LOOK = Measured(
    rollout=ROLLOUT.name,
    stage=0,
    step=0,
    mode="canary",
    since=0.0,
    now=100.0,
    metrics={("errors", ROLLOUT.challenger.name): rates(5000, 50, 250, 3, share=0.05)},
    assignment={ROLLOUT.challenger.name: rates(5000, 0, 250, 0, share=0.05)},
    progress=Progress(units={"v1": 5000, "v2": 250}),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times of the looks that are judged."""
    times: list[float] = []

    def counted(of, measured):
        times.append(measured.now)
        return assess(of, measured)

    monkeypatch.setattr(again, "assess", counted)
    return times


def test_the_same_look_at_a_later_time_is_not_judged_again(asked):
    assessor = Assessor()
    first = assessor.assess(ROLLOUT, LOOK)
    later = replace(LOOK, now=400.0, progress=replace(LOOK.progress, orphans=3))
    assert assessor.assess(ROLLOUT, later) == first == assess(ROLLOUT, later)
    assert asked == [100.0]


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": {("errors", "v2"): rates(5000, 50, 250, 4, share=0.05)}},
        {"step": 1},
        {"since": 50.0},
        {"progress": Progress(units={"v1": 5000, "v2": 251})},
    ],
)
def test_any_other_look_is(change, asked):
    assessor = Assessor()
    assessor.assess(ROLLOUT, LOOK)
    other = replace(LOOK, now=400.0, **change)
    assert assessor.assess(ROLLOUT, other) == assess(ROLLOUT, other)
    changed = replace(ROLLOUT, alpha=0.01)
    assert assessor.assess(changed, other) == assess(changed, other)
    assert asked == [100.0, 400.0, 400.0]


def test_a_mismatch_says_since_when_in_the_words_of_its_day(asked):
    lost = replace(LOOK, assignment={"v2": rates(5000, 0, 2500, 0, share=0.05)})
    assessor = Assessor()
    for now in (400.0, 10 * 86_400.0):
        look = replace(lost, now=now)
        assert assessor.assess(ROLLOUT, look) == assess(ROLLOUT, look)
    assert asked == [400.0, 10 * 86_400.0]
