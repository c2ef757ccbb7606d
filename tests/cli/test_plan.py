"""`plan` and `simulate SPEC` from the command line: what they print, and what they ask for."""

from __future__ import annotations

import json

import pytest

from crossfade.cli.main import main

SPEC = """
name: ranker-v2
route: /v2/models/ranker/infer
protocol: open-inference
unit: header:x-user-id
champion:   {name: v1, url: http://127.0.0.1:8101}
challenger: {name: v2, url: http://127.0.0.1:8102}
metrics:
  errors:   {from: response, kind: rate, better: lower, guardrail: {margin: 2pp}}
  purchase: {from: outcome, kind: rate, window: 10s, better: higher, goal: true}
stages:
  - canary:     {steps: [5%, 20%], hold_for: 10s, budget: {errors: 50}}
  - ab:         {weight: 50%, until: {decided: true, at_most: 10m}}
  - promote:    {}
"""
ASSUMED = ["--rate", "100", "--baseline", "errors=1%", "--baseline", "purchase=20%"]


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return str(path)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_a_plan_says_what_each_stage_takes_and_may_cost(spec, capsys):
    code, out, _ = run(capsys, "plan", spec, *ASSUMED)
    assert code == 0
    assert "if the challenger changes purchase by +2 pp" in out
    for words in ("canary 5 % to 20 %", "ab 50 %", "≤ 5 %", "worst cost", "alpha 5 % is split evenly over 4 tests"):
        assert words in out


def test_a_plan_for_programs(spec, capsys):
    code, out, _ = run(capsys, "plan", spec, *ASSUMED, "--change", "purchase=+10pp", "--json")
    record = json.loads(out)
    assert (code, record["schema"]) == (0, "crossfade.plan/1")
    assert record["assumed"]["metrics"]["purchase"]["change"] == pytest.approx(0.1)
    assert [stage["stage"] for stage in record["stages"]] == ["canary", "ab"]
    assert len(record["tests"]) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "add --rate 50 --baseline errors=1% --baseline purchase=1%"),
        (["--rate", "5", "--baseline", "errors=1%"], "--baseline purchase=1%"),
        ([*ASSUMED, "--baseline", "revenue=3"], "METRIC one of: errors, purchase"),
        ([*ASSUMED, "--baseline", "errors=200%"], "more than 0 % and less than 100 %"),
        ([*ASSUMED, "--change", "errors=much"], "expected a change such as +10% or -0.2pp"),
        ([*ASSUMED, "--from", "nobody"], "name the folder with --data"),
    ],
)
def test_what_is_missing_or_wrong_is_asked_for(spec, capsys, tmp_path, arguments, words):
    code, _, err = run(capsys, "plan", spec, "--data", str(tmp_path / "data"), *arguments)
    assert code != 0
    assert words in err
    assert "Traceback" not in err


def test_a_spec_with_problems_is_told_as_check_tells_it(tmp_path, capsys):
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.replace("steps: [5%, 20%]", "steps: [20%, 5%]"))
    code, _, err = run(capsys, "plan", str(path), *ASSUMED)
    assert code == 1
    assert "canary.steps" in err


def test_rehearsals_for_programs_and_people(spec, capsys):
    code, out, _ = run(capsys, "simulate", spec, *ASSUMED, "--runs", "2", "--change", "purchase=+10pp", "--json")
    record = json.loads(out)
    assert (code, record["schema"]) == (0, "crossfade.simulate/1")
    found = {one["challenger"]: one for one in record["challengers"]}
    assert set(found) == {"the same", "better", "at a margin", "broken"}
    assert found["better"]["promoted"]["times"] == 2
    assert found["broken"]["harmful"]["times"] == 2
    assert found["at a margin"]["promoted"]["times"] == 0
    assert found["broken"]["harm"]["errors"][0] > 0.0
    code, out, _ = run(capsys, "simulate", spec, *ASSUMED, "--runs", "1")
    assert code == 0
    assert "rolled back for harm: 100.0 % (1 of 1; 0.5–100.0 %)" in out


def test_there_must_be_something_to_simulate(capsys):
    code, _, err = run(capsys, "simulate")
    assert code == 2
    assert "name a spec" in err
