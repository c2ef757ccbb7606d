"""What the controller tells of each arm."""

from __future__ import annotations

from crossfade.judge.measure.measured import Measured, Progress, Reach
from crossfade.rim.showing import _arms
from crossfade.spec.parse import parse
from spec.examples import DESIGN


def test_a_hidden_arm_fails_copies_and_one_that_users_met_fails_requests() -> None:
    rollout = parse(DESIGN)
    progress = Progress(requests=20, failures={"v1": 2}, pairs={"v2": 12}, failed_pairs={"v2": 3})
    looked = {"rollout": "r", "stage": 0, "step": 0, "since": 0.0, "now": 1.0, "facts": {}, "metrics": {}}
    hidden = _arms(rollout, Measured(**looked, mode="shadow", progress=progress))
    assert {name: (one.requests, one.failures) for name, one in hidden.items()} == {"v1": (20, 2), "v2": (12, 3)}
    reach = Reach(requests={"v1": 90, "v2": 10}, failures={"v2": 1})
    met = _arms(rollout, Measured(**looked, mode="canary", progress=progress, reach=reach))
    assert {name: (one.requests, one.failures) for name, one in met.items()} == {"v1": (90, 0), "v2": (10, 1)}
