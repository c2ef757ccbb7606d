"""`crossfade check` as people and programs meet it: a real process, its exit code, and what it prints where."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from crossfade.spec.parse import parse
from crossfade.spec.template import template

BROKEN = """\
name: ranker-v2
route: /v2/models/ranker/infer
protocol: open-inference
unit: header:x-user-id
champion: {name: v1, url: http://127.0.0.1:8101}
challenger: {name: v2, url: http://127.0.0.1:8102}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
stages:
  - canary: {steps: [1 percent, 5%], hold_fro: 10m}
"""


def crossfade(*arguments: str | Path, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One run of the command line."""
    return subprocess.run(
        [sys.executable, "-m", "crossfade.cli.main", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
    )


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(BROKEN)
    return path


def test_a_good_spec_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(template())
    run = crossfade("check", path)
    assert run.returncode == 0
    assert run.stdout.startswith(f"{path}: fine: my-rollout (revision {parse(template()).revision}), v2 against v1: ")
    assert "shadow → canary 1%, 5%, 20% → ab 50% → promote, 2% held back" in run.stdout
    assert run.stderr == ""


def test_every_mistake_is_shown_with_its_line_and_without_colour(broken: Path) -> None:
    run = crossfade("check", broken)
    assert run.returncode == 1
    assert run.stdout == (
        f"{broken}:10: stages[0].canary.steps[0]: found '1 percent'; expected a share such as 5% or 0.05; "
        "did you mean 1%?\n"
        "    10 |   - canary: {steps: [1 percent, 5%], hold_fro: 10m}\n"
        "       |                      ^\n"
        f"{broken}:10: stages[0].canary.hold_fro: unknown key 'hold_fro'; did you mean hold_for?; "
        "allowed: steps, hold_for, budget, prior, counterfactual, until, approve\n"
        "    10 |   - canary: {steps: [1 percent, 5%], hold_fro: 10m}\n"
        "       |                                      ^\n"
        f"2 problems in {broken}\n"
    )


def test_json_is_one_object_for_programs(broken: Path) -> None:
    run = crossfade("check", broken, "--json")
    assert run.returncode == 1
    record = json.loads(run.stdout)
    assert (record["schema"], record["ok"]) == ("crossfade.check/1", False)
    assert record["problems"][0] == {
        "file": str(broken),
        "line": 10,
        "column": 22,
        "path": "stages[0].canary.steps[0]",
        "found": "'1 percent'",
        "allowed": "a share such as 5% or 0.05",
        "nearest": "1%",
        "message": "found '1 percent'; expected a share such as 5% or 0.05; did you mean 1%?",
    }
    assert record["specs"] == [{"file": str(broken), "name": None, "revision": None, "notes": []}]


def test_what_would_never_be_proven_is_told_and_is_no_mistake(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    crashes = "  crashes: {from: outcome, kind: count, window: 1h, better: lower, guardrail: {margin: 0.01}}\n"
    spec.write_text(template().replace("metrics:\n", f"metrics:\n{crashes}", 1))
    run = crossfade("check", spec)
    assert run.returncode == 0
    assert f"{spec}: note: metrics.crashes: should it happen to nobody" in run.stdout
    (record,) = json.loads(crossfade("check", spec, "--json").stdout)["specs"]
    assert "a cap" in record["notes"][0]


def test_a_spec_may_come_through_a_pipe() -> None:
    run = crossfade("check", "-", "--json", stdin=template())
    assert run.returncode == 0
    assert json.loads(run.stdout) == {
        "schema": "crossfade.check/1",
        "ok": True,
        "problems": [],
        "specs": [{"file": "<stdin>", "name": "my-rollout", "revision": parse(template()).revision, "notes": []}],
    }


def test_specs_that_take_each_others_place_are_told(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(template())
    other.write_text(template(name="another"))
    run = crossfade("check", one, other)
    assert run.returncode == 1
    assert f"{other}:" in run.stdout
    assert f"this route is taken by {one}" in run.stdout
    assert f"{one}: fine" in run.stdout


def test_the_schema_can_be_given_to_an_editor() -> None:
    run = crossfade("check", "--schema")
    assert run.returncode == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(run.stdout))


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("given", "says", "helps"),
    [
        (["nowhere.yaml"], "there is no file nowhere.yaml", "crossfade init nowhere.yaml"),
        (["."], ". is a directory", "name the spec inside it"),
        ([], "no spec was named", "crossfade check spec.yaml"),
    ],
)
def test_wrong_use_is_explained(given: list[str], says: str, helps: str, as_json: bool, tmp_path: Path) -> None:
    run = crossfade("check", *given, *(["--json"] if as_json else []), cwd=tmp_path)
    assert run.returncode == 2
    assert says in (run.stdout if as_json else run.stderr)
    assert helps in (run.stdout if as_json else run.stderr)
    if as_json:
        assert json.loads(run.stdout)["ok"] is False


def test_a_file_that_is_no_text_is_a_problem_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"name: a\nroute: \xff\xfe\n")
    run = crossfade("check", path)
    assert run.returncode == 1
    assert f"{path}:2: found the byte 0xFF; expected text in UTF-8" in run.stdout


def test_a_spec_cannot_steer_the_terminal_that_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text('name: "\\e[31mred"\nroute: /\u202e \n"\\e[2Jkey": 1\n')
    run = crossfade("check", path)
    assert run.returncode == 1
    assert "\x1b" not in run.stdout
    assert "\u202e" not in run.stdout
