"""`crossfade compare` on real models: another runtime passes, another model's disagreement is inside the interval."""

from __future__ import annotations

import json
import re
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
from crossfade.spec.model import Kind
from crossfade.spec.parse import parse
from spec.examples import DESIGN

from .conftest import Crossfade

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "compare.md"


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


def test_the_page_shows_comparisons_that_are_understood() -> None:
    page = PAGE.read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    # One of them has metrics of its own: its lines go among those of the design.
    (labels,) = (block for block in blocks if "metrics:" in block)
    prediction, _, metrics = labels.partition("metrics:\n")
    blocks[blocks.index(labels)] = prediction
    rollout = parse(DESIGN.replace("metrics:\n", f"metrics:\n{metrics}") + "\n" + "".join(blocks))
    assert rollout.metric("quality").kind is Kind.LOG_LOSS
    assert rollout.redact == ("$.user.email", "$.rows[*].name")
    assert len(rollout.compare) == 8
    assert rollout.dry_run_header == "x-dry-run"
    for path, text in re.findall(r"^  (\$\S+): +(\{.*?\})  ", page, re.MULTILINE):
        assert comparison(path, text) in rollout.compare
