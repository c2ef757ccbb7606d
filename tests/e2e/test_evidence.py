"""What a demo leaves behind can be checked and recomputed elsewhere, and nothing can be changed in it unseen."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rim import tampering
from rim.test_verifying import once

from .run_demo import RunningDemo

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]
Demo = Callable[..., RunningDemo]


def crossfade(*arguments: str, cwd: Path) -> tuple[int, dict[str, Any]]:
    """The command in a process of its own, in a folder that knows nothing of where the facts came from."""
    command = [sys.executable, "-m", "crossfade.cli.main", *arguments, "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    return ran.returncode, json.loads(ran.stdout)


@pytest.mark.parametrize("scenario", ["good", "bad", "ranking"])
def test_every_decision_of_a_demo_comes_out_again_from_its_export_alone(
    demo: Demo, scenario: str, tmp_path: Path
) -> None:
    running = demo("--scenario", scenario, "--seed", "7")
    (rollout,) = running.finish()["rollouts"]
    name = rollout["name"]
    code, said = crossfade("verify", name, "--data", str(running.data), cwd=tmp_path)
    assert (code, said["intact"], said["unsealed"]) == (0, True, []), said
    code, written = crossfade("export", name, "--data", str(running.data), "-o", "out", cwd=tmp_path)
    assert (code, written["missing"]) == (0, [])
    shutil.rmtree(running.data)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out").rename(elsewhere / "evidence")
    code, verified = crossfade("verify", name, "--folder", "evidence", "--expect", said["head"], cwd=elsewhere)
    assert (code, verified["intact"], verified["facts"]) == (0, True, written["files"])
    code, replayed = crossfade("replay", name, "--folder", "evidence", cwd=elsewhere)
    assert (code, replayed["differing"]) == (0, [])
    assert replayed["reproduced"] == replayed["decisions"] == len(rollout["decisions"])
    spec = next((elsewhere / "evidence" / "specs").iterdir())
    code, told = crossfade("replay", name, "--folder", "evidence", "--spec", str(spec), cwd=elsewhere)
    assert (code, told["differs"]) == (0, None)
    for kind in ("html", "md", "json"):
        code, told = crossfade("report", name, "--folder", "evidence", "-o", f"dossier.{kind}", cwd=elsewhere)
        assert (code, told["holds"]) == (0, True)
    # Nobody signed it, so that what was hashed anew to the end is left out: only a hash from before would show it.
    ways = [way for way in tampering.CHAINS if way is not tampering.rehash]
    for seed in range(200):
        once(elsewhere / "evidence", None, random.Random(seed), ways)
