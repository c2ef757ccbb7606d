"""The example of a GitHub Action: linted, and its own lines run on specs that hold and on one that does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .kit import TOP, run, tool

FILE = TOP / "examples" / "github-action" / "rollouts.yml"
WORKFLOW = yaml.safe_load(FILE.read_text())
STEPS = {step["name"]: step for step in WORKFLOW["jobs"]["specs"]["steps"] if "run" in step}

SPEC = """\
name: ranker-v2
route: /v2/models/ranker/infer
protocol: open-inference
unit: header:x-user-id
champion: {name: v1, url: "http://127.0.0.1:8101"}
challenger: {name: v2, url: "http://127.0.0.1:8102"}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 1pp}}
stages:
  - canary: {steps: [1%, 5%], hold_for: 10m}
  - promote: {holdback: 2%, watch: 1d}
"""
TESTS = """\
spec: ranker.yaml
tests:
  - name: four times the errors are taken back
    stage: canary
    step: 5%
    after: 5m
    evidence: {errors: {v1: 80 of 10000, v2: 36 of 500}}
    expect: {move: rollback, rule: harm}
"""


def step(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One step as the runner runs it: bash that ends at the first failure, also of a pipe."""
    bin_folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rollouts").mkdir()
    (tmp_path / "rollouts" / "ranker.yaml").write_text(SPEC)
    (tmp_path / "rollouts" / "ranker.test.yaml").write_text(TESTS)
    (tmp_path / "rollouts" / "ranker.plan").write_text("--rate 100\n--baseline errors=1%\n")
    return tmp_path


def test_the_linter_of_actions_is_silent() -> None:
    assert run(tool("actionlint"), FILE) == ""


def test_it_may_only_read() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    # YAML 1.1 reads `on` as a truth value.
    assert "pull_request_target" not in WORKFLOW[True]


def test_its_steps_pass_specs_that_hold_and_write_the_plan_into_the_summary(folder: Path) -> None:
    for name in list(STEPS)[1:]:
        done = step(name, folder)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    assert "ranker-v2 at 100 units a second" in (folder / "summary.md").read_text()


def test_a_spec_that_does_not_hold_ends_it(folder: Path) -> None:
    names = list(STEPS)[1:]
    (folder / "rollouts" / "other.yaml").write_text(SPEC.replace("hold_for", "hold_four"))
    done = step(names[0], folder)
    assert done.returncode == 1
    assert "hold_four" in done.stdout + done.stderr
