"""What cannot be used is told with file, line, column and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.judge.analysis.asked import AnalysisError
from crossfade.rim.analyze import analyze

EXPOSURES = "unit,arm,at\nu1,a,1\nu2,b,2\n"
OUTCOMES = "unit,name,value,at\nu1,buy,1,5\n"
SUMMARY = "look,arm,n,sum,sum_squares\n1,a,100,10,10\n1,b,100,12,12\n"


def told(tmp_path: Path, *, exposures: str = EXPOSURES, outcomes: str = OUTCOMES, **how: object) -> AnalysisError:
    (tmp_path / "e.csv").write_text(exposures)
    (tmp_path / "o.csv").write_text(outcomes)
    with pytest.raises(AnalysisError) as caught:
        analyze(tmp_path / "e.csv", tmp_path / "o.csv", **({"metrics": ["buy:rate"], "baseline": "a"} | how))
    return caught.value


@pytest.mark.parametrize(
    ("exposures", "said", "allowed"),
    [
        ("unit,group,at\nu1,a,1\n", "e.csv has no column arm", "exposures need unit, arm and at"),
        ("unit,arm,at\nu1,a,1\nu2,b,yesterday\n", "e.csv: line 3, column at: found 'yesterday'", "seconds since 1970"),
        ("unit,arm,at\nu1,a,1\n,b,2\n", "e.csv: line 3, column unit: found nothing", "not empty"),
        ("unit,arm,at\nu1,a,inf\n", "line 2, column at: found 'inf'", "seconds"),
        ("unit,arm,at\n", "no rows", "one a row"),
        ("unit,arm,at\nu1,a,1\n", "a is the only arm", ""),
    ],
)
def test_exposures(tmp_path, exposures, said, allowed):
    error = told(tmp_path, exposures=exposures)
    assert said in error.error
    assert allowed in error.what_to_do
    assert error.found_in_data


def test_outcomes(tmp_path):
    error = told(tmp_path, outcomes="unit,name,value,at\nu1,buy,1,5\nu1,buy,much,5\n")
    assert "o.csv: line 3, column value: found 'much'" in error.error
    assert error.what_to_do == "expected a number"
    assert "did you mean time" not in told(tmp_path, outcomes="unit,name\nu1,buy\n").error


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"baseline": "c"}, "there is no arm 'c'"),
        ({"baseline": None}, "no baseline was named"),
        ({"metrics": []}, "no metric was named"),
        ({"metrics": ["buy:rate", "buy:mean"]}, "asked twice"),
        ({"alpha": 5}, "alpha is 5"),
        ({"looks": 0}, "looks is 0"),
        ({"looks": 3}, "several looks need a window"),
        ({"segments": ["country"]}, "no segment column country"),
        ({"expected": {"a": 0.5}}, "sum to 0.5"),
        ({"summary": "s.csv"}, "both given"),
    ],
)
def test_wrong_use(tmp_path, how, said):
    error = told(tmp_path, **how)
    assert said in error.error
    assert not error.found_in_data


def test_files_that_are_not_there_or_not_tables(tmp_path):
    with pytest.raises(AnalysisError, match="there is no file"):
        analyze(tmp_path / "none.csv", tmp_path / "none.csv", metrics=["buy:rate"])
    (tmp_path / "e.xlsx").write_text("x")
    with pytest.raises(AnalysisError, match="cannot tell its format"):
        analyze(tmp_path / "e.xlsx", tmp_path / "e.xlsx", metrics=["buy:rate"])
    (tmp_path / "e.parquet").write_text("not a table")
    with pytest.raises(AnalysisError, match=r"e\.parquet: "):
        analyze(tmp_path / "e.parquet", tmp_path / "e.parquet", metrics=["buy:rate"])
    with pytest.raises(AnalysisError, match="no outcomes were given"):
        analyze(tmp_path / "e.parquet", metrics=["buy:rate"])


def summarised(tmp_path: Path, text: str, metric: str = "buy:rate") -> str:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(AnalysisError) as caught:
        analyze(summary=tmp_path / "s.csv", metrics=[metric], baseline="a")
    return f"{caught.value.error}; {caught.value.what_to_do}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arm,n\na,1\n", "has no column sum"),
        ("arm,users,sum\na,1,1\n", "has no column n"),
        ("arm,n,sum\n", "has no rows"),
        ("arm,n,sum\na,ten,1\nb,1,1\n", "line 2, column n: found 'ten'; expected a number"),
        ("arm,n,sum\na,10,1\nb,-1,1\n", "line 3, column n: found '-1'; expected a count of units"),
        ("arm,n,sum\na,10,11\nb,10,1\n", "line 2, column sum: found 11"),
        ("arm,n,sum\na,10,1.5\nb,10,1\n", "number of units with an event"),
        ("arm,n,sum\na,10,1\na,10,1\n", "again, as in line 2"),
        ("look,arm,n,sum\n1,a,10,1\n1,b,10,1\n2,a,20,1\n", "look 2 has no row for b"),
        ("look,arm,n,sum\n1,a,10,1\n1,b,10,1\n2,a,20,1\n2,b,9,1\n", "line 5, column n: found 9"),
        ("arm,n,sum\na,10,1,7\nb,10,1\n", "different number of values"),
    ],
)
def test_summaries(tmp_path, text, said):
    assert said in summarised(tmp_path, text)


def test_summaries_answer_only_what_totals_can(tmp_path):
    assert "do not tell numerators" in summarised(tmp_path, SUMMARY, "buy:ratio")
    assert "how values are distributed" in summarised(tmp_path, SUMMARY, "buy:quantile")
    assert "needs each unit's value" in summarised(tmp_path, SUMMARY, "buy:mean:cap=3")
    assert "column sum_squares: found nothing" in summarised(tmp_path, "arm,n,sum\na,9,1\nb,9,1\n", "buy:mean")
    assert "at least sum² / n" in summarised(tmp_path, "arm,n,sum,sum_squares\na,9,9,1\nb,9,1,1\n", "buy:mean")


def test_a_summary_without_looks_is_one_look(tmp_path):
    (tmp_path / "s.csv").write_text("arm,n,sum,sum_squares\na,1000,100,100\nb,1000,102,102\n")
    found = analyze(summary=tmp_path / "s.csv", metrics=["buy:rate", "amount:mean"], baseline="a")
    assert [line.look for line in found.lines] == [1, 1]
    assert found.evidence[0].estimate == pytest.approx(0.002)
    assert found.evidence[1].estimate == pytest.approx(0.002)
