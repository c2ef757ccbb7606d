"""`crossfade test`: what the guide shows, mistakes with their lines, and the same through pytest."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Crossfade

PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "test.md"
SPEC = """
name: ranker-v2
route: /v2/models/ranker/infer
protocol: open-inference
unit: header:x-user-id
champion:   {name: v1, url: "http://127.0.0.1:8101"}
challenger: {name: v2, url: "http://127.0.0.1:8102"}
metrics:
  errors:   {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
  latency:  {from: response, kind: quantile, q: 0.99, better: lower, guardrail: {margin: 20%}}
  purchase: {from: outcome, kind: rate, window: 24h, better: higher, goal: true}
  revenue:  {from: outcome, kind: mean, window: 24h, better: higher, guardrail: {margin: 2%}}
stages:
  - shadow:  {mirror: 100%, until: {requests: 5000}, gates: {disagreement: {at_most: 30%}}}
  - canary:  {steps: [1%, 5%, 20%], hold_for: 10m}
  - ab:      {weight: 50%, until: {decided: true, at_most: 14d}}
  - promote: {holdback: 2%, watch: 30d}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ranker.yaml").write_text(SPEC)
    (block,) = re.findall(r"```yaml\n(spec: .*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "ranker.test.yaml").write_text(block)
    return tmp_path


def test_the_guide_shows_what_happens(crossfade: Crossfade, folder: Path) -> None:
    ran = crossfade("test", "ranker.test.yaml")
    assert ran.code == 0, ran.out + ran.err
    (shown,) = re.findall(r"\$ crossfade test ranker.test.yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert ran.out.split() == shown.split(), "but for where lines are broken"


def test_a_wider_margin_is_noticed_by_the_test_of_the_old_one(crossfade: Crossfade, folder: Path) -> None:
    (folder / "ranker.yaml").write_text(SPEC.replace("0.5pp", "50pp"))
    ran = crossfade("test", "ranker.test.yaml")
    assert ran.code == 1
    assert "✖ four times the errors are taken back at 5 %  ranker.test.yaml:3" in ran.out
    assert "expected the move rollback, found " in ran.out
    assert "errors of v2: " in ran.out
    record = json.loads(crossfade("test", "ranker.test.yaml", "--json").out)
    assert (record["schema"], record["tests"]) == ("crossfade.test/1", 4)
    failed = [one for one in record["results"] if not one["passed"]]
    assert len(failed) == record["failed"] >= 1
    assert failed[0]["decided"]["rule"] != "harm"


def one_case(**parts: str) -> str:
    case = {"name": "a", "stage": "ab", "evidence": "{errors: safe}", "expect": "{move: hold}"} | parts
    lines = [f"    {key}: {value}" for key, value in case.items() if value]
    return "spec: ranker.yaml\ntests:\n  -\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the spec is empty"),
        ("tests: []", "spec' is missing"),
        ("spec: ranker.yaml\ntests: 3", "expected a list of tests"),
        ("spec: nowhere.yaml\ntests: [{}]", "there is no file nowhere.yaml"),
        (one_case(stage="abb"), "5: found 'abb'; expected a stage of the spec: shadow, canary, ab or promote"),
        (one_case(stage="canary", step="7%"), "expected a step of this stage: 1%, 5% or 20%"),
        (one_case(after="soon"), "such as 30s"),
        (one_case(evidence="{error: safe}"), "unknown: 'error'; did you mean errors?"),
        (one_case(evidence="{errors: fine}"), "expected safe, harmful, undecided or unmeasured"),
        (one_case(evidence="{errors: {v1: 9 of 5, v2: 1 of 5}}"), "expected safe, harmful"),
        (one_case(evidence="{errors: {v2: 1 of 5}}"), "the numbers of v1 are missing"),
        (one_case(evidence="{latency: {v1: 1 of 5, v2: 1 of 5}}"), "latency is a quantile: say safe"),
        (one_case(stage="shadow", evidence="{errors: {v1: 1 of 5, v2: 1 of 5}}"), "write {worse, better, of}"),
        (one_case(expect="{move: retreat}"), "expected none, advance, hold"),
        (one_case(expect="{rule: hram}"), "no rule is named hram"),
        (one_case(expect=""), "the key 'expect' is missing"),
        (one_case(evident="{}"), "unknown: 'evident'; did you mean evidence?"),
    ],
)
def test_mistakes_are_told_with_their_place(crossfade: Crossfade, folder: Path, text: str, said: str) -> None:
    (folder / "t.yaml").write_text(text)
    ran = crossfade("test", "t.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_every_verdict_word_is_the_verdict_of_its_line(crossfade: Crossfade, folder: Path) -> None:
    for word in ("safe", "harmful", "undecided", "unmeasured"):
        (folder / "t.yaml").write_text(one_case(evidence=f"{{errors: {word}}}", expect="{}"))
        record = json.loads(crossfade("test", "t.yaml", "--json").out)
        lines = {line["metric"]: line["verdict"] for line in record["results"][0]["evidence"]}
        assert lines["errors"] == word
        assert lines["purchase"] == "unmeasured"
        assert (record["results"][0]["decided"]["move"] == "rollback") == (word == "harmful")


def test_pytest_collects_them(folder: Path) -> None:
    (folder / "t.test.yaml").write_text(one_case(evidence="{errors: harmful}"))
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "crossfade.cli.pytest_plugin",
            "-p",
            "no:cacheprovider",
            "-q",
            str(folder),
        ],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 1
    assert "1 failed, 4 passed" in ran.stdout
    assert "expected the move hold, found rollback" in ran.stdout
