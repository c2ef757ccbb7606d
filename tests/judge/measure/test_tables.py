"""Slices of time and latency bins: fixed functions, the same in Python and in a query."""

from __future__ import annotations

import duckdb
import ibis
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossfade.facts import KINDS
from crossfade.judge.measure import tables
from crossfade.judge.measure.spread import slice_of
from crossfade.judge.measure.tables import FACTS, bucket_of, latency_bin, latency_bin_of
from crossfade.judge.moments import BINS, FIRST_EDGE, GROWTH
from crossfade.judge.slices import MEDIUM, SHORT, began, began_of_segment, bucket

elapsed = st.floats(-10.0, 5e6)


def test_slices_are_a_second_then_a_minute_then_an_hour() -> None:
    assert [bucket(t) for t in (-3.0, 0.0, 0.999, 1.0, 599.9)] == [0, 0, 0, 1, 599]
    assert [bucket(t) for t in (SHORT, SHORT + 59.9, SHORT + 60)] == [600, 600, 601]
    assert bucket(MEDIUM) == bucket(MEDIUM - 0.1) + 1
    assert bucket(MEDIUM + 3600.0) == bucket(MEDIUM) + 1
    assert bucket(14 * 86_400) < 2500  # a fortnight of histograms still fits into memory


@given(elapsed, elapsed)
def test_slices_follow_time(one: float, other: float) -> None:
    assert bucket(min(one, other)) <= bucket(max(one, other))
    assert bucket(one) >= 0


def test_a_query_cuts_time_as_python_does() -> None:
    rng = np.random.default_rng(1)
    around = np.array([0.0, 1.0, SHORT, SHORT + 60, MEDIUM, MEDIUM + 3600])
    times = np.r_[rng.uniform(-5, 2e5, 3000), around, np.nextafter(around, 0), np.nextafter(around, 1e9)]
    assert _asked(bucket_of, times) == [bucket(t) for t in times]


@given(st.floats(0.0, 5e6))
def test_a_slice_began_no_later_than_what_lies_in_it(at: float) -> None:
    assert began(bucket(at)) <= at < began(bucket(at) + 1)


def test_slices_of_segments_began_when_the_query_cuts_them() -> None:
    times = np.floor(np.r_[np.arange(0.0, 70.0), np.geomspace(64.0, 5e6, 400)])
    for at, slice_ in zip(times, _asked(slice_of, times), strict=True):
        assert began_of_segment(slice_) <= at < began_of_segment(slice_ + 1)


def test_a_query_bins_latencies_as_python_does() -> None:
    rng = np.random.default_rng(2)
    edges = FIRST_EDGE * GROWTH ** np.arange(0, BINS, 7)
    values = np.r_[rng.lognormal(2, 2, 3000), 0.0, FIRST_EDGE, 1e12, edges * 1.0001, edges * 0.9999]
    assert _asked(latency_bin_of, values) == [latency_bin(v) for v in values]


def _asked(function: object, values: np.ndarray) -> list[int]:
    table = ibis.table({"value": "float64"}, name="given")
    sql = ibis.to_sql(table.select(answer=function(table["value"])), dialect="duckdb")  # type: ignore[operator]
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.register("given", {"value": values})
    return [row[0] for row in connection.execute(str(sql)).fetchall()]


@given(st.floats(0.011, 1e6))
def test_a_bin_holds_what_lies_under_its_edge(ms: float) -> None:
    found = latency_bin(ms)
    edge = FIRST_EDGE * GROWTH**found
    assert ms <= edge * (1 + 1e-9)
    assert ms > edge / GROWTH * (1 - 1e-9)


def test_questions_ask_only_for_columns_that_facts_have() -> None:
    fields = {name: set(kind.__struct_fields__) for kind, name in KINDS.items()}
    for name, table in FACTS.items():
        assert set(table.columns) <= fields[name]
    assert tables.exposures().columns == tables.EXPOSURES.columns
    assert tables.visits().columns == tables.VISITS.columns
    assert tables.arrivals().columns == tables.ARRIVALS.columns
    assert tables.greetings().columns == tables.GREETINGS.columns
    assert tables.homes().columns == tables.HOMES.columns
    assert tables.units().columns == tables.UNITS.columns
