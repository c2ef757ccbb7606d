"""`crossfade compare` on real models: another runtime passes, another model's disagreement is inside the interval."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crossfade.spec.comparisons import comparison
from crossfade.spec.parse import parse
from spec.examples import DESIGN

from .conftest import Crossfade

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "compare.md"
SHADOW = PAGE.with_name("shadow.md")


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    x, y = load_digits(return_X_y=True)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(x[:800], y[:800])
    boosted = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(x[:800], y[:800])
    return {"linear": linear.predict_proba(x[800:]), "boosted": boosted.predict_proba(x[800:])}


def write(path: Path, probabilities: Any) -> str:
    with path.open("w") as file:
        for at, row in enumerate(probabilities):
            reply = {"label": int(row.argmax()), "probabilities": [float(p) for p in row]}
            file.write(json.dumps({"id": at, "response": reply}) + "\n")
    return str(path)


def test_single_precision_passes(crossfade: Crossfade, tmp_path: Path, answers: dict[str, Any]) -> None:
    a, b = write(tmp_path / "a", answers["linear"]), write(tmp_path / "b", answers["linear"].astype(np.float32))
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()
    ran = crossfade("compare", a, b, "--json")
    record = json.loads(ran.out)
    assert ran.code == 0
    assert (record["disagreement"]["differing"], record["disagreement"]["verdict"]) == (0, "safe")


@pytest.mark.parametrize("name", ["linear", "boosted"])
def test_the_same_model_as_onnx_passes(crossfade: Crossfade, tmp_path: Path, name: str) -> None:
    """Trained and asked in single precision, as ONNX Runtime computes: at most 4e-7 apart (measured 3.6e-7 and 1.8e-7).

    Coefficients trained in double precision are rounded when they are exported, which alone costs up to 6e-7.
    """
    runtime = pytest.importorskip("onnxruntime", reason="ONNXRUNTIME IS NOT INSTALLED: no other runtime is compared")
    convert = pytest.importorskip("skl2onnx", reason="SKL2ONNX IS NOT INSTALLED: no other runtime is compared")
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    model = linear if name == "linear" else GradientBoostingClassifier(n_estimators=10, random_state=0)
    model.fit(x[:800], y[:800])
    rows = x[800:]
    onnx = convert.to_onnx(model, rows[:1], options={"zipmap": False}).SerializeToString()
    _, there = runtime.InferenceSession(onnx, providers=["CPUExecutionProvider"]).run(None, {"X": rows})
    here = model.predict_proba(rows)
    assert 0.0 < float(np.abs(here - there).max()) <= 4e-7
    ran = crossfade("compare", write(tmp_path / "a", here), write(tmp_path / "b", there), "--json")
    record = json.loads(ran.out)
    assert (ran.code, record["pairs"]) == (0, len(rows))
    assert (record["disagreement"]["differing"], record["disagreement"]["verdict"]) == (0, "safe")


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_hundred_thousand_pairs_take_no_more_than_fifteen_seconds_of_one_core(tmp_path: Path) -> None:
    """Replies of 1 kB, of which one in ten differs; user and system time of the whole command."""
    rows = [{"name": f"item {n}", "score": n / 7, "tags": ["a", "b"], "ok": True} for n in range(12)]
    for name in ("a", "b"):
        with (tmp_path / name).open("w") as file:
            for n in range(100_000):
                reply = {"request": n, "items": rows, "total": n % 97 + (name == "b" and n % 10 == 0)}
                file.write(json.dumps({"id": str(n), "response": reply}) + "\n")
    size = (tmp_path / "a").stat().st_size / 100_000
    assert 950 <= size <= 1300
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [
        sys.executable,
        "-m",
        "crossfade.cli.main",
        "compare",
        str(tmp_path / "a"),
        str(tmp_path / "b"),
        "--json",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"100,000 pairs of {size:.0f} bytes: {took:.1f} s of one core")
    assert json.loads(ran.stdout)["pairs"] == 100_000
    assert took <= 15.0


def test_another_model_s_disagreement_is_inside_the_interval(
    crossfade: Crossfade, tmp_path: Path, answers: dict[str, Any]
) -> None:
    a, b = write(tmp_path / "a", answers["linear"]), write(tmp_path / "b", answers["boosted"])
    truth = float((answers["linear"].argmax(1) != answers["boosted"].argmax(1)).mean())
    ran = crossfade("compare", a, b, "--json", "--field", "$.probabilities={as: probabilities, by: argmax}")
    fields = {one["path"]: one for one in json.loads(ran.out)["fields"]}
    assert ran.code == 1
    assert fields["$.label"]["rate"] == fields["$.probabilities"]["rate"] == pytest.approx(truth)
    assert 0.0 < fields["$.label"]["lower"] < truth < fields["$.label"]["upper"] < 2 * truth
    assert fields["$.label"]["verdict"] == "harmful"


def test_the_pages_show_specs_that_are_understood() -> None:
    page = PAGE.read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page + SHADOW.read_text(), re.DOTALL)
    rollouts = [parse(_with(block)) for block in blocks]
    metrics = {metric.name: metric for rollout in rollouts for metric in rollout.metrics}
    assert {"quality", "profit", "spend", "speed"} <= metrics.keys()
    assert any(len(rollout.cost) == 2 for rollout in rollouts)
    assert any(rollout.redact == ("$.user.email", "$.rows[*].name") for rollout in rollouts)
    assert any(rollout.dry_run_header == "x-dry-run" for rollout in rollouts)
    compare = max((rollout.compare for rollout in rollouts), key=len)
    assert len(compare) == 9
    for path, written in re.findall(r"^  (\$\S+): +(\{.*?\})  ", page, re.MULTILINE):
        assert comparison(path, written) in compare


def _with(block: str) -> str:
    """The design with what a block of a page says in place of its own, and what such a block takes for granted."""
    keys, _, metrics = block.partition("metrics:\n")
    keys, _, stages = keys.partition("stages:\n")
    text = DESIGN
    for name in re.findall(r"^  (\w+):", metrics, re.MULTILINE):
        text = re.sub(rf"^  {name}:.*\n", "", text, flags=re.MULTILINE)
    text = text.replace("stages:\n", f"{metrics}stages:\n")
    text = re.sub(r"  - shadow:.*\n", stages, text) if stages else text
    if "from: prediction" in metrics and "prediction:" not in keys:
        keys += "prediction: {probability: $.probability}\n"
    if "cost: 5" in stages:
        keys += "cost: json:$.usage.total_tokens\n"
    return text + keys
