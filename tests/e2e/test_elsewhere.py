"""Every decision of every demo comes out again from its export alone, by another clone in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from crossfade.sim.faults import Fault
from crossfade.sim.scenarios import SCENARIOS

from .run_demo import RunningDemo

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]
Demo = Callable[..., RunningDemo]

ROOT = Path(__file__).parents[2]

RUNS = [
    *((name, "none", 0) for name in SCENARIOS),
    *(("bad", str(fault), 0) for fault in Fault if fault is not Fault.NONE),
    # The fault begins when users are exposed already.
    ("good", "errors", 25),
    ("ranking", "slow", 10),
]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[str], Path], dict[str, Any]]:
    """Runs a command of a copy of the sources, by a Python that knows of it and of the libraries alone."""
    place = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(ROOT / "src", place / "clone" / "src", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "env")], check=True)
    [site] = (place / "env").glob("lib/python*/site-packages")
    # Folders that a path file names are searched, but what path files in them name is not: our own tree is not found.
    (site / "there.pth").write_text(f"{place / 'clone' / 'src'}\n{sysconfig.get_path('purelib')}\n")

    def run(arguments: Sequence[str], folder: Path) -> dict[str, Any]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL"))}
        python = str(place / "env" / "bin" / "python")
        where = "import crossfade; print(crossfade.__file__)"
        found = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True, env=clean, cwd=folder)
        assert str(place) in found.stdout
        command = [python, "-m", "crossfade.cli.main", *arguments, "--json"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=clean, cwd=folder)
        assert ran.stdout, ran.stderr
        return {"code": ran.returncode, **json.loads(ran.stdout)}

    return run


@pytest.mark.parametrize(("scenario", "fault", "after"), RUNS)
def test_every_decision_comes_out_again(
    demo: Demo,
    elsewhere: Callable[[Sequence[str], Path], dict[str, Any]],
    scenario: str,
    fault: str,
    after: int,
    tmp_path: Path,
) -> None:
    running = demo("--scenario", scenario, "--fault", fault, "--fault-after", str(after), "--seed", "7")
    (rollout,) = running.finish()["rollouts"]
    name, data = rollout["name"], str(running.data)
    command = [sys.executable, "-m", "crossfade.cli.main", "export", name, "--data", data, "-o", str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(running.data)
    (tmp_path / "carried").mkdir()
    (tmp_path / "out").rename(tmp_path / "carried" / "evidence")
    checked = elsewhere(["verify", name, "--folder", "evidence"], tmp_path / "carried")
    assert (checked["code"], checked["intact"]) == (0, True), checked
    replayed = elsewhere(["replay", name, "--folder", "evidence"], tmp_path / "carried")
    assert (replayed["code"], replayed["differing"]) == (0, [])
    assert replayed["reproduced"] == replayed["decisions"] == len(rollout["decisions"])
    assert replayed["decisions"] >= 2
    ended = rollout["phase"]
    assert ended == SCENARIOS[scenario].expected(Fault(fault)), rollout["sentence"]
    print(f"{scenario}, {fault} after {after} s: {replayed['reproduced']} of {replayed['decisions']}, {ended}")
