"""`--search`: a group that nobody named is found in files, and none is told where nobody is harmed."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from crossfade.cli.analyze_text import drawn
from crossfade.rim.analyze import AnalysisError, analyze

N = 14_000


def tables(rng: np.random.Generator, *, harmed: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Errors of 2 %; with harm 20 % for the new arm's units of tablets."""
    arm = rng.choice(["control", "new"], N)
    platform = rng.choice(["web", "app", "tablet"], N, p=[0.5, 0.4, 0.1])
    exposures = pd.DataFrame(
        {
            "unit": np.arange(N).astype(str),
            "arm": arm,
            "at": 1000.0 + np.arange(N),
            "platform": platform,
            "age": rng.integers(16, 90, N),
        }
    )
    rate = np.where(harmed & (arm == "new") & (platform == "tablet"), 0.2, 0.02)
    failed = exposures[rng.random(N) < rate]
    return exposures, failed[["unit"]].assign(name="errors", value=1.0, at=failed["at"] + 1.0)


def found(harmed: bool, **how: object) -> dict[str, object]:
    given = {"metrics": ["errors:rate:lower"], "baseline": "control", "expected": {"control": 0.5, "new": 0.5}}
    exposures, outcomes = tables(np.random.default_rng(4), harmed=harmed)
    analysis = analyze(exposures, outcomes, **{**given, "search": True, **how})  # type: ignore[arg-type]
    return dict(json.loads(json.dumps(analysis.to_json(), allow_nan=False)))


@pytest.mark.parametrize("window", [None, "1h"])
def test_harm_in_a_group_is_named(window: str | None) -> None:
    told = found(True, window=window)["searched"]
    assert isinstance(told, dict)
    named = [one for one in told["found"] if one["explained_by"] is None]
    assert [one["segment"] for one in named] == ["platform=tablet"]
    assert named[0]["arm"] == "new"
    assert named[0]["since"] > 1000.0
    assert "platform=tablet" in told["sentence"]
    assert told["fields"] == ["platform", "age"]


def test_nobody_harmed_is_nobody_named() -> None:
    told = found(False)["searched"]
    assert isinstance(told, dict)
    assert not told["found"]
    assert told["tested"] > 0


def test_what_is_not_searched_is_said_with_the_reason() -> None:
    exposures, outcomes = tables(np.random.default_rng(4), harmed=True)
    analysis = analyze(
        exposures,
        outcomes,
        metrics=["errors:rate:lower", "spent:mean:lower"],
        baseline="control",
        expected={"control": 0.5, "new": 0.5},
        search=True,
    )
    assert analysis.searched is not None
    ((name, why),) = analysis.searched["left_out"].items()
    assert name == "spent"
    assert "only rates have it" in str(why)
    screen = io.StringIO()
    Console(width=200, file=screen).print(drawn(analysis))
    assert f"not searched: {name}; what counts false discoveries" in " ".join(screen.getvalue().split())


def test_a_search_nobody_asked_for_is_not_in_the_record() -> None:
    assert "searched" not in found(False, search=False)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"expected": None}, "say them, such as --expected"),
        ({"metrics": ["errors:mean:lower"]}, "--metric errors:rate:lower"),
        ({"segments": []}, "add columns beside unit, arm and at"),
    ],
)
def test_what_cannot_be_searched_is_said_with_a_way_out(how: dict[str, object], said: str) -> None:
    with pytest.raises(AnalysisError) as told:
        found(True, **how)
    assert said in told.value.what_to_do
