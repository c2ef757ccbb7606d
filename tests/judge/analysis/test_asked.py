"""Metrics, shares and arms as they are typed, and what is said when they cannot be read."""

from __future__ import annotations

import pytest

from crossfade.judge.analysis.asked import (
    EXPOSURES,
    AnalysisError,
    choose_baseline,
    read_expected,
    read_metric,
    read_window,
)
from crossfade.spec.model import Better, Kind, Margin


def test_every_part_of_a_metric():
    asked = read_metric("latency:quantile:0.95:lower:20%", window=60.0)
    metric = asked.metric
    assert (metric.name, metric.kind, metric.q, metric.better) == ("latency", Kind.QUANTILE, 0.95, Better.LOWER)
    assert metric.guardrail == Margin(value=0.2, relative=True)
    assert (metric.window, asked.role) == (60.0, "guardrail")


def test_what_is_left_out_has_a_default():
    asked = read_metric("purchase:rate")
    assert (asked.metric.better, asked.metric.guardrail, asked.role) == (Better.HIGHER, None, "goal")
    assert read_metric("wait:quantile").metric.q == 0.5


@pytest.mark.parametrize(
    ("text", "outcome", "per"),
    [
        ("clicks/views:ratio", "clicks", "views"),
        ("ctr:ratio:per=views", "ctr", "views"),
        ("clicks:ratio", "clicks", EXPOSURES),
    ],
)
def test_a_ratio_names_its_denominator(text, outcome, per):
    asked = read_metric(text)
    assert (asked.outcome, asked.per) == (outcome, per)


def test_margins_in_every_unit():
    assert read_metric("x:rate:0.5pp").metric.guardrail == Margin(value=0.005, relative=False)
    assert read_metric("x:mean:lower:3.5").metric.guardrail == Margin(value=3.5, relative=False)
    assert read_metric("x:quantile:0.9:0.2").metric.guardrail == Margin(value=0.2, relative=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("purchase", "expected NAME:KIND"),
        ("purchase:rat", "did you mean rate?"),
        ("purchase:rate:highr", "did you mean higher?"),
        ("purchase:rate:higher:lower", "second direction"),
        ("purchase:rate:1%:2%", "second margin"),
        ("purchase:rate:5", "between 0 and 1"),
        ("x:quantile:95", "between 0 and 1"),
        ("x:mean:covarite=y", "did you mean covariate=?"),
        ("x:mean:cap=-3", "number above 0"),
        ("x:rate:cap=3", "only means and counts"),
        ("x:rate:per=views", "only a ratio"),
        ("x:mean:120%", "all of the baseline's value"),
    ],
)
def test_what_is_wrong_is_told(text, said):
    with pytest.raises(AnalysisError) as caught:
        read_metric(text)
    assert said in f"{caught.value.error}; {caught.value.what_to_do}"


def test_expected_shares():
    assert read_expected("a=90%,b=10%") == pytest.approx({"a": 0.9, "b": 0.1})
    assert read_expected("a=0.5, b=0.5") == {"a": 0.5, "b": 0.5}
    for wrong in ("a=0.5,b=0.4", "a", "a=x,b=1", "a=0,b=1"):
        with pytest.raises(AnalysisError, match="--expected"):
            read_expected(wrong)


def test_windows_and_baselines():
    assert read_window("24h") == 86400.0
    assert read_window(None) is None
    with pytest.raises(AnalysisError, match="did you mean 24h"):
        read_window("24hours")
    assert choose_baseline(["control", "v2"], None) == "control"
    assert choose_baseline(["v1", "v2"], "v1") == "v1"
    with pytest.raises(AnalysisError, match="no baseline was named"):
        choose_baseline(["v1", "v2"], None)
    with pytest.raises(AnalysisError, match="did you mean v1"):
        choose_baseline(["v1", "x"], "v11")
