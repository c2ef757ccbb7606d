"""The main job, from training to the last line: real models, real processes, real traffic."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from crossfade.rim.store import Store

from .run_demo import RunningDemo

pytestmark = pytest.mark.timeout(240)
Demo = Callable[..., RunningDemo]


def test_a_better_model_goes_all_the_way_on_outcomes(demo: Demo) -> None:
    running = demo("--scenario", "good", "--seed", "7")
    record = running.finish()
    assert running.process.returncode == 0
    (rollout,) = record["rollouts"]
    assert rollout["phase"] == "promoted"
    moves = [(d["move"], d["rule"]) for d in rollout["decisions"]]
    assert moves == [("start", "manual"), *[("advance", "cleared")] * 4, ("promote", "cleared")]
    # The holdback stays on the old champion.
    assert rollout["exposure"]["planned"] == pytest.approx(0.95)
    (said,) = record["summary"]["scenarios"]
    assert said["client"]["failed"] == 0
    assert said["client"]["outcomes"]["accepted"] > 1000
    # The challenger really was better for the people it served.
    assert said["harmed"]["excess_wrong"] < 0
    # The promotion stands on outcomes that were joined to exposures by decision id.
    entries = Store(running.data).entries(rollout["name"])
    promotion = next(entry for entry in entries if entry.move == "promote")
    goal = next(line for line in promotion.evidence if line["role"] == "goal")
    assert goal["metric"] == "wrong"
    assert goal["verdict"] == "safe"
    assert goal["upper"] < 0 < min(goal["units"].values())


def test_a_worse_model_is_rolled_back_and_its_harm_counted(demo: Demo) -> None:
    running = demo("--scenario", "bad", "--seed", "7")
    record = running.finish()
    assert running.process.returncode == 0
    (rollout,) = record["rollouts"]
    assert rollout["phase"] == "rolled_back"
    assert rollout["exposure"]["planned"] == 0
    last = rollout["decisions"][-1]
    assert (last["move"], last["rule"]) == ("rollback", "harm")
    (said,) = record["summary"]["scenarios"]
    assert said["harmed"]["units"] > 0
    assert said["harmed"]["arms"]["one-feature"]["wrong"] > said["harmed"]["excess_wrong"] > 0
    assert said["client"]["failed"] == 0


@pytest.mark.parametrize(
    "fault", ["errors", "nan", *(pytest.param(one, marks=pytest.mark.full) for one in ("slow", "wrong-shape", "crash"))]
)
def test_a_broken_model_is_stopped_in_shadow_and_nobody_is_harmed(demo: Demo, fault: str) -> None:
    running = demo("--scenario", "bad", "--fault", fault, "--seed", "7")
    record = running.finish()
    assert running.process.returncode == 0
    (rollout,) = record["rollouts"]
    assert (rollout["phase"], rollout["stage"]) == ("rolled_back", "shadow")
    (said,) = record["summary"]["scenarios"]
    assert said["harmed"]["units"] == 0
    assert said["client"]["failed"] == 0


def test_interleaving_names_the_better_ranker(demo: Demo) -> None:
    running = demo("--scenario", "ranking", "--seed", "7")
    record = running.finish()
    assert running.process.returncode == 0
    assert record["rollouts"][0]["phase"] == "promoted"
    (said,) = record["summary"]["scenarios"]
    assert said["ranking"]["preferred"] == "pixels"
    assert said["client"]["failed"] == 0


def test_ctrl_c_leaves_no_process_and_no_half_written_file(demo: Demo) -> None:
    running = demo("--scenario", "good")
    running.wait_for(lambda record: record["stage"] == "shadow")
    running.process.send_signal(signal.SIGINT)
    running.process.communicate(timeout=40)
    time.sleep(0.5)
    assert processes_of(running) == []
    assert not (running.data / "run" / "serve.json").exists()
    verified = subprocess.run(
        [sys.executable, "-m", "crossfade.cli.main", "verify", "digits-v2", "--data", str(running.data)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_demo_that_is_killed_leaves_no_process(demo: Demo) -> None:
    running = demo("--scenario", "good")
    running.wait_for(lambda record: record["stage"] == "shadow")
    running.process.kill()
    running.process.communicate(timeout=40)
    deadline = time.monotonic() + 20
    while processes_of(running) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_of(running) == []


def processes_of(running: RunningDemo) -> list[str]:
    """Command lines of living processes that name the demo's folder."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(running.data) in line:
                found.append(line)
    return found
