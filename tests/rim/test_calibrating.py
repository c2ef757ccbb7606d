"""Calibration from the lake: of a real model and a distorted one, or why there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.console.calibration import calibration_of
from crossfade.rim.calibrating import Calibrating
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.spec.model import Better, Kind, Metric, Predicted, Rollout, Shadow, Source, Until
from crossfade.state import Phase, Position
from rim.by_hand import ROLLOUT
from rim.facts_made import START, compared, outcome

HERE = Position(phase=Phase.RUNNING, stage_since=START, step_since=START)
QUALITY = Metric(
    name="quality",
    source=Source.PREDICTION,
    kind=Kind.LOG_LOSS,
    better=Better.LOWER,
    window=900.0,
    goal=True,
    outcome="label",
)


def rollout(**changes: object) -> Rollout:
    given = {
        "challengers": ROLLOUT.challengers[:1],
        "metrics": (QUALITY,),
        "stages": (Shadow(until=Until(requests=100)), *ROLLOUT.stages[1:]),
        "prediction": Predicted(probability="$.p"),
    }
    return replace(ROLLOUT, **(given | changes))


def test_both_curves_on_bundled_data(tmp_path: Path) -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="SCIKIT-LEARN IS NOT INSTALLED: no real model")
    from sklearn.linear_model import LogisticRegression

    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    said = LogisticRegression(C=0.01).fit(x[:150], y[:150]).predict_proba(x[150:])[:, 1]
    meek, truth = 0.5 + 0.4 * (said - 0.5), y[150:].astype(float)
    lake, journal, inbox = Lake(tmp_path), Journal(tmp_path, "w0"), OutcomeInbox(tmp_path)
    journal.append(
        [
            compared(n, at=START + n, champion_numbers=(float(p),), challenger_numbers=(float(q),))
            for n, (p, q) in enumerate(zip(said, meek, strict=True))
        ]
    )
    inbox.accept(
        [
            outcome(
                f"o{n}", decision_id=f"d{n}", unit="", rollout="", name="label", value=v, received_at=START + n + 9.0
            )
            for n, v in enumerate(truth.tolist())
        ]
    )
    lake.compact_journals()
    told = Calibrating(tmp_path).of(rollout(), HERE, START + 5000.0)
    (arm,) = told["arms"]
    assert (told["available"], arm["arm"], arm["labels"]) == (True, "v2", len(truth))

    def error(p: np.ndarray) -> float:
        place = np.minimum((p * 10).astype(int), 9)
        return sum(abs((p[place == at] - truth[place == at]).sum()) for at in range(10)) / len(p)

    assert arm["champion"]["error"] == pytest.approx(error(said))
    assert arm["challenger"]["error"] == pytest.approx(error(meek))
    assert arm["lower"] > 0.0, "answers that shy away from 0 and 1 are worse calibrated, proven"
    (section,) = calibration_of(told)
    assert f"over {len(truth)} labels" in str(section)
    journal.close()
    inbox.close()
    lake.close()


@pytest.mark.parametrize(
    ("changes", "here", "why"),
    [
        ({"prediction": Predicted(value="$.y")}, HERE, "sets one probability against labels"),
        ({}, Position(), "no shadow has begun yet"),
        ({}, HERE, "no label has come"),
    ],
)
def test_what_there_is_none_of_is_told(tmp_path: Path, changes: dict[str, object], here: Position, why: str) -> None:
    Lake(tmp_path).close()
    told = Calibrating(tmp_path).of(rollout(**changes), here, START + 10.0)
    assert (told["available"], told["arms"]) == (False, [])
    assert why in told["reason"]
