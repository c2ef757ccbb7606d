"""Few users who return often, each with a habit of its own: latency verdicts bet on each of them once a step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import duckdb
import ibis
import numpy as np
import pytest

from crossfade.judge.infer import answers
from crossfade.judge.infer.question import Question
from crossfade.judge.measure import arms, assemble, tables
from crossfade.judge.moments import QuantileMoments
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

from . import ramped
from .worlds import holds, quantiles_until

ALPHA = 0.05
FAST, FULL = 40, 1000
USERS, SECONDS, PER_SECOND = 200, 240, 25


@cache
def query(name: str) -> str:
    build = {
        "visits": tables.visits,
        "arrivals": tables.arrivals,
        "greetings": tables.greetings,
        "quantile": arms.response_quantile,
    }[name]
    return str(ibis.to_sql(build(), dialect="duckdb"))


def measured(rng: np.random.Generator, connection: duckdb.DuckDBPyConnection, shares: Sequence[float]) -> assemble.Rows:
    """The rows that the engine would get of users whose arm is fixed and whose latency does not depend on it."""
    count = SECONDS * PER_SECOND
    elapsed = np.sort(rng.uniform(0.0, SECONDS, count))
    step = (elapsed * len(shares) / SECONDS).astype(np.int64)
    active, habit = rng.gamma(0.7, 1.0, USERS), rng.normal(0.0, 0.6, USERS)
    user = rng.choice(USERS, count, p=active / active.sum())
    weight = np.asarray(shares)[step]
    requests = {
        "decision_id": np.arange(count),
        "unit": user,
        "arm": np.where(rng.random(USERS)[user] < weight, "v2", "v1").astype(object),
        "step": step,
        "weight": weight,
        "failed": np.zeros(count, dtype=bool),
        "latency_ms": 20.0 * np.exp(habit[user] + rng.normal(0.0, 0.3, count)),
        "elapsed": elapsed,
    }
    connection.register("exposures", requests)
    for kept in ("visits", "arrivals", "greetings"):
        connection.execute(f"CREATE OR REPLACE TABLE {kept} AS {query(kept)}")
    found = connection.execute(query("quantile")).fetchnumpy()
    connection.unregister("exposures")
    return {name: np.ma.getdata(column) for name, column in found.items()}


def alarmed(moments: QuantileMoments, q: float, *, safe: bool) -> bool:
    """Whether the verdict was reached at any look, one after every second in which somebody arrived."""
    metric = Metric(name="latency", source=Source.RESPONSE, kind=Kind.QUANTILE, better=Better.LOWER, q=q)
    asked = Question(
        metric=metric,
        role="guardrail",
        limit=Margin(value=0.0, relative=True),
        arm="v2",
        baseline="v1",
        stage="ab",
        step=None,
        alpha_harm=ALPHA,
        alpha_safe=ALPHA,
    )
    looks = answers([(asked, quantiles_until(moments, seen)) for seen in range(1, len(moments.share) + 1)])
    told = [line.e_value_safe if safe else line.e_value for line in looks]
    return any(e is not None and e >= 1.0 / ALPHA for e in told)


def alarms(runs: int, shares: Sequence[float], q: float, *, safe: bool) -> int:
    rng = np.random.default_rng(11)
    with duckdb.connect(config={"threads": 1}) as connection:
        worlds = [assemble.quantile(measured(rng, connection, shares), "v1", "v2", 1) for _ in range(runs)]
    assert all(found.counts_a.sum() + found.counts_b.sum() <= USERS * len(shares) for found in worlds)
    return sum(alarmed(found, q, safe=safe) for found in worlds)


@pytest.mark.parametrize("safe", [False, True])
def test_regulars_seldom_make_the_same_model_look_slow_or_fast(safe):
    assert holds(alarms(FAST, (0.5,), 0.5, safe=safe), FAST, ALPHA)


@pytest.mark.full
@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("q", [0.5, 0.95])
@pytest.mark.parametrize("shares", [(0.5,), (0.05, 0.25, 0.5)])
def test_regulars_seldom_make_the_same_model_look_slow_or_fast_anywhere(shares, q, safe):
    assert holds(alarms(FULL, shares, q, safe=safe), FULL, ALPHA)


@pytest.mark.parametrize("kind", ramped.KINDS)
def test_a_challenger_that_fails_less_is_seldom_harmful_for_what_is_left_to_fail(kind):
    assert holds(ramped.alarms(kind, 100), 100, ramped.ALPHA)
