"""`crossfade status`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from .conftest import Crossfade


def test_it_shows_the_tree_for_people_and_the_record_for_programs(crossfade: Crossfade, data: Path) -> None:
    shown = crossfade("status", "--data", str(data))
    assert shown.code == 0
    assert "ranker-v2  running · canary 5 %" in shown.out
    record = json.loads(crossfade("status", "--data", str(data), "--json").out)
    assert record["schema"] == "crossfade.status/1"
    [rollout] = record["rollouts"]
    assert (rollout["phase"], rollout["stage"], rollout["step"]) == ("running", "canary", 1)
    assert rollout["exposure"]["units"] == {"v1": 8120, "v2": 412}


def test_one_rollout_by_name(crossfade: Crossfade, data: Path) -> None:
    assert "ranker-v2" in crossfade("status", "ranker-v2", "--data", str(data)).out


def test_what_is_not_there_is_said_with_what_to_do(crossfade: Crossfade, data: Path, tmp_path: Path) -> None:
    unknown = crossfade("status", "ranker-2", "--data", str(data))
    assert unknown.code == 2
    assert "did you mean ranker-v2?" in unknown.err
    missing = crossfade("status", "--data", str(tmp_path / "nowhere"))
    assert missing.code == 2
    assert "there is no folder" in missing.err
    assert not (tmp_path / "nowhere").exists()
    as_json = crossfade("status", "--data", str(tmp_path / "nowhere"), "--json")
    assert set(json.loads(as_json.out)) == {"error", "what_to_do"}


def test_a_damaged_store_is_a_problem_and_not_a_traceback(crossfade: Crossfade, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is not a database, it is a love letter" * 100)
    ran = crossfade("status", "--data", str(tmp_path))
    assert ran.code == 1
    assert "state.db" in ran.err
    assert "Traceback" not in ran.err


def test_watching_prints_again_when_somebody_moves_it(crossfade: Crossfade, data: Path) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "crossfade.cli.main", "status", "-w", "--interval", "0.1", "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"COLUMNS": "80", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
    )
    try:
        assert watching.stdout is not None
        assert "running" in watching.stdout.readline()
        crossfade("hold", "ranker-v2", "--reason", "lunch", "--data", str(data))
        deadline = time.monotonic() + 20.0
        while "held" not in watching.stdout.readline():
            assert time.monotonic() < deadline
    finally:
        watching.terminate()
        watching.communicate(timeout=10)
