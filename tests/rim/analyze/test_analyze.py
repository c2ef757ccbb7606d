"""`crossfade.analyze` on files, frames and tables: who counts, when, and the same numbers as tea-tasting."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

import crossfade
from crossfade.judge.evidence import Verdict

tea_tasting = pytest.importorskip("tea_tasting", reason="tea-tasting is the independent implementation of this test")

START = 1_700_000_000.0


def users(n: int = 4000, seed: int = 42) -> pd.DataFrame:
    """tea-tasting's own made-up users."""
    data = tea_tasting.make_users_data(rng=seed, n_users=n, covariates=True, return_type="pandas")
    return data.assign(
        unit=[f"u{i}" for i in range(len(data))],
        arm=np.where(data["variant"] == 1, "b", "a"),
        at=START + np.arange(len(data)),
    )


def tables(data: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    exposures = data[["unit", "arm", "at", "revenue_covariate"]]
    names = ("sessions", "orders", "revenue")
    parts = [data[["unit"]].assign(name=n, value=data[n].astype(float), at=data["at"] + 5.0) for n in names]
    before = data[["unit"]].assign(name="revenue_before", value=data["revenue_covariate"], at=data["at"] - 5.0)
    return exposures, pd.concat([*parts, before])


METRICS = ("orders:rate", "revenue:mean", "orders/sessions:ratio", "revenue/sessions:ratio")


def estimates(found: crossfade.rim.analyze.Analysis) -> dict[str, float]:
    return {line.metric: line.estimate for line in found.evidence}


@pytest.mark.parametrize("form", ["parquet", "csv", "frame", "ibis"])
def test_the_same_estimates_as_tea_tasting(form: str, tmp_path: Path):
    data = users()
    exposures, outcomes = tables(data)
    given: list[object] = [exposures, outcomes]
    if form == "parquet":
        given = [tmp_path / "e.parquet", tmp_path / "o.parquet"]
        exposures.to_parquet(given[0])
        outcomes.to_parquet(given[1])
    elif form == "csv":
        given = [tmp_path / "e.csv", str(tmp_path / "o.csv")]
        exposures.to_csv(given[0], index=False)
        outcomes.to_csv(given[1], index=False)
    elif form == "ibis":
        engine = ibis.duckdb.connect()
        for name, table in zip(("e", "o"), given, strict=True):
            engine.con.register(f"frame_{name}", table)
            engine.con.execute(f"CREATE TABLE {name} AS SELECT * FROM frame_{name}")
        given = [engine.table("e"), engine.table("o")]
    found = crossfade.analyze(*given, metrics=METRICS, baseline="a", segments=[])
    theirs = tea_tasting.Experiment(
        orders=tea_tasting.Mean("converted"),
        revenue=tea_tasting.Mean("revenue"),
        ops=tea_tasting.RatioOfMeans("orders", "sessions"),
        rps=tea_tasting.RatioOfMeans("revenue", "sessions"),
    ).analyze(data.assign(converted=(data["orders"] > 0).astype(int)), control=0)
    for ours, name in zip(METRICS, ("orders", "revenue", "ops", "rps"), strict=True):
        assert estimates(found)[ours.split(":")[0]] == pytest.approx(theirs[name].effect_size, abs=1e-9, rel=1e-9)


@pytest.mark.parametrize("covariate", ["revenue_covariate", "revenue_before"])
def test_the_same_adjusted_estimate_as_tea_tasting(covariate: str):
    """From a column of the exposures, and from outcomes that happened before the first exposure."""
    data = users()
    found = crossfade.analyze(*tables(data), metrics=[f"revenue:mean:covariate={covariate}"], baseline="a", segments=[])
    theirs = tea_tasting.Experiment(revenue=tea_tasting.Mean("revenue", "revenue_covariate")).analyze(data, control=0)
    assert found.evidence[0].estimate == pytest.approx(theirs["revenue"].effect_size, abs=1e-9)
    assert "explains" in found.evidence[0].reason


def test_quantiles_are_those_of_the_values():
    rng = np.random.default_rng(5)
    data = users(8000)
    slow = np.where(data["arm"] == "b", 1.3, 1.0) * rng.lognormal(-3.0, 0.5, len(data))
    outcomes = data[["unit"]].assign(name="wait", value=slow, at=data["at"] + 1.0)
    found = crossfade.analyze(
        data[["unit", "arm", "at"]], outcomes, metrics=["wait:quantile:0.9:lower"], baseline="a"
    ).evidence[0]
    a, b = (np.quantile(slow[data["arm"] == arm], 0.9) for arm in "ab")
    assert found.estimate == pytest.approx(b - a, rel=1e-12)
    assert found.verdict is Verdict.HARMFUL
    assert 0.0 < found.lower < found.estimate < found.upper
    assert found.lower < 0.3 * a < found.upper


def small(**changes: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    """400 units by turns in a and b; every fifth buys ten seconds after its exposure."""
    n = 400
    unit = [f"u{i:03}" for i in range(n)]
    exposures = pd.DataFrame({"unit": unit, "arm": ["a", "b"] * (n // 2), "at": START + 10.0 * np.arange(n)})
    buys = exposures.iloc[::5]
    outcomes = pd.DataFrame({"unit": buys["unit"], "name": "buy", "value": 1.0, "at": buys["at"] + 10.0})
    return exposures.assign(**changes), outcomes


def events(exposures: pd.DataFrame, outcomes: pd.DataFrame, **how: object) -> dict[str, int]:
    found = crossfade.analyze(exposures, outcomes, metrics=["buy:rate"], baseline="a", **how)
    return dict(found.evidence[0].events)


def test_a_unit_counts_once_at_its_first_exposure():
    exposures, outcomes = small()
    want = events(exposures, outcomes)
    assert want == {"a": 40, "b": 40}
    again = exposures.assign(at=exposures["at"] + 7.0, arm=np.where(exposures["arm"] == "a", "b", "a"))
    found = crossfade.analyze(pd.concat([again, exposures]), outcomes, metrics=["buy:rate"], baseline="a")
    assert dict(found.evidence[0].events) == want
    assert any("400 units were exposed to more than one arm" in note for note in found.notes)


def test_what_happened_before_exposure_or_to_strangers_does_not_count():
    exposures, outcomes = small()
    before = pd.DataFrame({"unit": exposures["unit"], "name": "buy", "value": 1.0, "at": exposures["at"] - 1.0})
    strangers = pd.DataFrame({"unit": ["x", "y"], "name": "buy", "value": 1.0, "at": START})
    found = crossfade.analyze(exposures, pd.concat([outcomes, before, strangers]), metrics=["buy:rate"], baseline="a")
    assert dict(found.evidence[0].events) == {"a": 40, "b": 40}
    assert any("2 of 482 outcomes are of units that were never exposed" in note for note in found.notes)
    assert any("400 outcomes happened before" in note for note in found.notes)


def test_a_value_of_zero_is_no_event_and_values_may_be_left_out():
    exposures, outcomes = small()
    assert events(exposures, outcomes.assign(value=[0.0, 1.0] * 40)) == {"a": 0, "b": 40}
    assert events(exposures, outcomes.drop(columns="value")) == {"a": 40, "b": 40}


def test_a_window_leaves_out_what_is_late_and_units_that_are_young():
    exposures, outcomes = small()
    late = outcomes.assign(at=np.where(np.arange(80) < 20, outcomes["at"] + 1000.0, outcomes["at"]))
    found = crossfade.analyze(exposures, late, metrics=["buy:rate"], baseline="a", window="60s").evidence[0]
    # The last six units came less than a minute before the data ends; one of them has bought.
    assert found.events == {"a": 30, "b": 29}
    assert (found.window, found.immature, sum(found.units.values())) == (60.0, 6, 394)


def test_looks_see_only_what_was_known():
    exposures, outcomes = small()
    found = crossfade.analyze(
        exposures, outcomes, metrics=["buy:rate", "buy:mean"][:1], baseline="a", window="60s", looks=4
    )
    units = [sum(line.evidence.units.values()) for line in found.lines]
    assert [line.look for line in found.lines] == [1, 2, 3, 4]
    assert units == sorted(units)
    end = found.lines[1].evidence
    half = START + (float(max(exposures["at"].max(), outcomes["at"].max())) - START) / 2.0
    early = crossfade.analyze(
        exposures[exposures["at"] <= half],
        pd.concat(
            [outcomes[outcomes["at"] <= half], pd.DataFrame({"unit": ["-"], "name": "-", "value": 1.0, "at": half})]
        ),
        metrics=["buy:rate"],
        baseline="a",
        window="60s",
        looks=2,
    )
    assert early.lines[-1].evidence == end


def test_segments_have_lines_of_their_own_and_share_alpha():
    exposures, outcomes = small(country=["at", "at", "de", "de"] * 100, junk=np.arange(400))
    found = crossfade.analyze(exposures, outcomes, metrics=["buy:rate"], baseline="a")
    assert [line.segment for line in found.evidence] == [None, "country=at", "country=de"]
    assert [round(1 - line.confidence, 6) for line in found.evidence] == [0.025, 0.0125, 0.0125]
    whole, one, other = found.evidence
    assert one.units["a"] + other.units["a"] == whole.units["a"]
    assert any("junk" in note for note in found.notes)


def test_three_arms_are_each_compared_with_the_baseline():
    exposures, outcomes = small(arm=(["a", "b", "c"] * 134)[:400])
    found = crossfade.analyze(
        exposures, outcomes, metrics=["buy:rate"], baseline="b", expected={"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}
    )
    assert [(line.arm, line.baseline) for line in found.evidence] == [("a", "b"), ("c", "b")]
    assert found.sample_ratio.verdict is Verdict.UNDECIDED


def test_a_ramp_in_the_exposures_is_no_difference():
    """The share grows from 2 to 50 % while the rate triples; pooled, the arms differ by far."""
    rng = np.random.default_rng(7)
    share = np.repeat([0.02, 0.1, 0.5], 4000)
    base = np.repeat([0.05, 0.1, 0.15], 4000)
    n = len(share)
    arm = np.where(rng.random(n) < share, "b", "a")
    bought = rng.random(n) < base
    exposures = pd.DataFrame({"unit": [f"u{i}" for i in range(n)], "arm": arm, "at": START + np.arange(n)})
    outcomes = exposures.loc[bought, ["unit"]].assign(name="buy", value=1.0, at=exposures["at"][bought] + 0.5)
    pooled = bought[arm == "b"].mean() - bought[arm == "a"].mean()
    assert pooled > 0.04
    for line in crossfade.analyze(
        exposures, outcomes, metrics=["buy:rate", "buy/exposures:ratio"], baseline="a"
    ).evidence:
        assert line.verdict is Verdict.UNDECIDED
        assert abs(line.estimate) < 0.02


def test_a_cap_is_told_and_applied():
    exposures, outcomes = small()
    rich = outcomes.assign(value=np.where(np.arange(80) == 0, 1e6, 5.0), name="revenue")
    found = crossfade.analyze(exposures, rich, metrics=["revenue:mean:cap=5"], baseline="a").evidence[0]
    assert found.values == {"a": 1.0, "b": 1.0}
    assert any("±5" in told for told in found.assumptions)


def test_times_of_every_form_mean_the_same():
    exposures, outcomes = small()
    want = events(exposures, outcomes, window="60s")
    stamp = lambda table, zone: table.assign(at=pd.to_datetime(table["at"], unit="s", utc=zone))  # noqa: E731
    for zone in (True, False):
        assert events(stamp(exposures, zone), stamp(outcomes, zone), window="60s") == want


def test_a_name_that_nobody_reports_is_not_measured():
    found = crossfade.analyze(*small(), metrics=["bye:rate"], baseline="a").evidence[0]
    assert found.verdict is Verdict.UNMEASURED
    assert "did you mean buy?" in found.reason
    assert found.estimate is None


def test_the_query_runs_on_another_engine(tmp_path: Path):
    exposures, outcomes = small()
    with sqlite3.connect(tmp_path / "elsewhere.db") as database:
        exposures.to_sql("e", database, index=False)
        outcomes.to_sql("o", database, index=False)
    engine = ibis.sqlite.connect(tmp_path / "elsewhere.db")
    how = {"metrics": ["buy:rate", "buy/exposures:ratio", "spent:mean"], "baseline": "a", "window": "60s", "looks": 3}
    there = crossfade.analyze(engine.table("e"), engine.table("o"), **how)
    assert there.to_json() == crossfade.analyze(exposures, outcomes, **how).to_json()
