"""Metrics where the arms differ: who counts, since when, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crossfade
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.rim.analyze import AnalysisError

START = 1_700_000_000.0
N = 20_000


def tables(seed: int = 1, effect: float = 6.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two exposures a unit; answers differ at the second of every tenth unit, whose revenue b raises by `effect`."""
    rng = np.random.default_rng(seed)
    unit = np.array([f"u{i:05}" for i in range(N)])
    arm = rng.choice(["a", "b"], N)
    hit = rng.random(N) < 0.1
    at = START + 10.0 * np.arange(N)
    first = pd.DataFrame({"unit": unit, "arm": arm, "at": at, "differing": False})
    second = pd.DataFrame({"unit": unit, "arm": arm, "at": at + 60.0, "differing": hit})
    value = rng.normal(20.0, 30.0, N) + effect * (hit & (arm == "b"))
    later = pd.DataFrame({"unit": unit, "name": "revenue", "value": value, "at": at + 61.0})
    between = pd.DataFrame({"unit": unit, "name": "revenue", "value": 5.0, "at": at + 30.0})
    return pd.concat([first, second]), pd.concat([later, between])


def by_name(lines: tuple[Evidence, ...]) -> dict[str, Evidence]:
    return {line.metric: line for line in lines}


def test_units_count_from_where_the_arms_differ():
    exposures, outcomes = tables()
    found = crossfade.analyze(
        exposures, outcomes, metrics=["revenue:mean", "revenue:mean:only=differing"], baseline="a", segments=[]
    )
    lines = by_name(found.last)
    some, everyone = lines["revenue where differing"], lines["revenue"]
    chosen = exposures[exposures["differing"]].merge(outcomes, on="unit", suffixes=("", "_later"))
    chosen = chosen[chosen["at_later"] >= chosen["at"]]
    means = chosen.groupby("arm")["value"].mean()
    assert some.estimate == pytest.approx(means["b"] - means["a"], abs=1e-9)
    assert sum(some.units.values()) == len(chosen)
    assert sum(everyone.units.values()) == N
    # What a tenth of the units shows alone is lost among the others.
    assert (some.verdict, everyone.verdict) == (Verdict.SAFE, Verdict.UNDECIDED)
    assert any("first exposure where differing is true" in text for text in some.assumptions)
    assert not any("differing" in text for text in everyone.assumptions)
    (note,) = [note for note in found.notes if "differing is true for" in note]
    counted = chosen.groupby("arm").size()
    assert f"{counted['a']:,} of " in note
    assert f"{counted['b']:,} of " in note


def test_alpha_is_shared_with_the_metrics_of_all_units_and_the_column_is_no_segment():
    exposures, outcomes = tables()
    metrics = ["revenue:mean", "revenue:mean:only=differing"]
    found = crossfade.analyze(exposures, outcomes, metrics=metrics, baseline="a", alpha=0.1)
    assert {line.confidence for line in found.last} == {0.95}
    assert {line.segment for line in found.last} == {None}


def test_looks_are_those_of_the_whole_data():
    exposures, outcomes = tables()
    found = crossfade.analyze(
        exposures,
        outcomes,
        metrics=["revenue:mean", "revenue:rate:only=differing"],
        baseline="a",
        window="10m",
        looks=4,
        segments=[],
    )
    assert [line.look for line in found.lines] == [1, 1, 2, 2, 3, 3, 4, 4]
    counts = [sum(line.evidence.units.values()) for line in found.lines if "where" in line.evidence.metric]
    assert counts == sorted(counts)
    assert 0.07 * N < counts[-1] < 0.13 * N


def test_a_column_that_chooses_units_by_their_arm_is_found_out():
    exposures, outcomes = tables()
    exposures["differing"] &= (exposures["arm"] == "b") | (exposures["at"].astype(int) % 3 > 0)
    found = crossfade.analyze(
        exposures,
        outcomes,
        metrics=["revenue:mean", "revenue:mean:only=differing"],
        baseline="a",
        expected={"a": 0.5, "b": 0.5},
        segments=[],
    )
    lines = by_name(found.last)
    assert lines["revenue where differing"].verdict is Verdict.UNMEASURED
    assert "sample-ratio mismatch" in lines["revenue where differing"].reason
    assert lines["revenue"].verdict is not Verdict.UNMEASURED
    assert any(note.startswith("where differing: ") for note in found.notes)


def test_an_answer_given_before_may_be_the_covariate():
    """The prediction of one model for every request, served or not, is known before anything happens."""
    exposures, outcomes = tables()
    rng = np.random.default_rng(3)
    later = outcomes[outcomes["value"] != 5.0].set_index("unit")["value"]
    exposures["predicted"] = later[exposures["unit"]].to_numpy() + rng.normal(0.0, 10.0, len(exposures))
    metrics = ["revenue:mean:only=differing:covariate=predicted"]
    line = crossfade.analyze(exposures, outcomes, metrics=metrics, baseline="a", segments=[]).last[0]
    plain = crossfade.analyze(exposures, outcomes, metrics=["revenue:mean:only=differing"], baseline="a").last[0]
    assert "explains" in line.reason
    assert line.upper - line.lower < 0.6 * (plain.upper - plain.lower)


@pytest.mark.parametrize(
    ("change", "metric", "said"),
    [
        (lambda e: e.drop(columns="differing"), "differing", "answers of both were recorded"),
        (lambda e: e, "difering", "did you mean differing?"),
        (lambda e: e.assign(differing=False), "differing", "true for no exposure"),
    ],
)
def test_where_nothing_was_recorded_it_is_refused(change, metric, said):
    exposures, outcomes = tables()
    with pytest.raises(AnalysisError) as refused:
        crossfade.analyze(change(exposures), outcomes, metrics=[f"revenue:mean:only={metric}"], baseline="a")
    assert said in f"{refused.value.error} {refused.value.what_to_do}"


def test_a_cell_that_is_neither_true_nor_false_is_named_by_its_line(tmp_path: Path):
    (tmp_path / "e.csv").write_text("unit,arm,at,differing\nu1,a,1,true\nu2,b,2,0\nu3,b,3,perhaps\n")
    (tmp_path / "o.csv").write_text("unit,name,at\nu1,buy,2\n")
    with pytest.raises(AnalysisError, match="line 4, column differing: found 'perhaps'") as refused:
        crossfade.analyze(tmp_path / "e.csv", tmp_path / "o.csv", metrics=["buy:rate:only=differing"], baseline="a")
    assert "true or false" in refused.value.what_to_do


def test_totals_know_no_exposures(tmp_path: Path):
    (tmp_path / "s.csv").write_text("arm,n,sum,sum_squares\na,10,1,1\nb,10,1,1\n")
    with pytest.raises(AnalysisError, match="a summary has no exposures"):
        crossfade.analyze(summary=tmp_path / "s.csv", metrics=["buy:rate:only=differing"], baseline="a")
