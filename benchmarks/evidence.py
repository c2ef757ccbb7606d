"""Evidence from moments: 50 metrics × 20 segments × 3 arms, which is two thousand comparisons with the champion."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.cases import Effort, Row
from crossfade.judge.infer import answers
from crossfade.judge.infer.question import Question
from crossfade.judge.moments import MeanMoments, Moments, RateMoments
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

METRICS, SEGMENTS, CHALLENGERS = 50, 20, 2
TARGET = 0.1
SHARES = np.array([0.05, 0.2, 0.5])
BUCKETS = 20
"""Slices of time in each of the three steps."""


def evidence(effort: Effort) -> Iterator[Row]:
    """Seconds of CPU for the whole look, by the kind of the metrics; a third of each makes the mixed one."""
    rng = np.random.default_rng(1)
    lines = METRICS * SEGMENTS * CHALLENGERS
    kinds = {
        "rates of outcomes": [(_question(Source.OUTCOME, Kind.RATE), _rate(rng, True)) for _ in range(lines)],
        "rates of responses": [(_question(Source.RESPONSE, Kind.RATE), _rate(rng, False)) for _ in range(lines)],
        "means": [(_question(Source.OUTCOME, Kind.MEAN), _mean(rng)) for _ in range(lines)],
    }
    kinds["a third of each"] = [one for asked in kinds.values() for one in asked[: lines // 3]]
    for name, asked in kinds.items():
        took = statistics.median(_seconds(asked) for _ in range(effort.rounds))
        yield Row(
            case=f"evidence for 50 metrics × 20 segments × 3 arms: {name}",
            peer="(target)",
            ratio=took / TARGET,
            ours=took,
            theirs=TARGET,
            unit="seconds of one core",
            rounds=effort.rounds,
            target="≤ 0.1 s",
            holds=took <= TARGET,
            note=f"{len(asked):,} lines, three steps of {BUCKETS} slices of time each",
        )


def _seconds(asked: list[tuple[Question, Moments]]) -> float:
    began = time.process_time()
    answers(asked)
    return time.process_time() - began


def _question(source: Source, kind: Kind) -> Question:
    metric = Metric(name="metric", source=source, kind=kind, better=Better.LOWER, window=60.0)
    return Question(
        metric=metric,
        role="guardrail",
        limit=Margin(value=0.05, relative=kind is Kind.MEAN),
        arm="v2",
        baseline="v1",
        stage="canary",
        step=2,
        alpha_harm=0.05 / 2000,
        alpha_safe=0.05,
    )


def _rate(rng: np.random.Generator, settled: bool) -> RateMoments:
    share, step = np.repeat(SHARES, BUCKETS), np.repeat(np.arange(len(SHARES)), BUCKETS)
    n_b = rng.binomial(500, share)
    n_a = 500 - n_b
    return RateMoments(
        step=step,
        bucket=np.arange(len(share)),
        share=share,
        n_a=n_a,
        k_a=rng.binomial(n_a, 0.05),
        n_b=n_b,
        k_b=rng.binomial(n_b, 0.05),
        settled=settled,
        seen_a=None if settled else n_a,
        seen_b=None if settled else n_b,
    )


def _mean(rng: np.random.Generator) -> MeanMoments:
    n, values = np.full(len(SHARES), 900), rng.normal(10.0, 3.0, (2, len(SHARES), 900))
    sums, squares = values.sum(axis=2), (values * values).sum(axis=2)
    return MeanMoments(
        step=np.arange(len(SHARES)),
        n_a=n,
        sum_a=sums[0],
        squares_a=squares[0],
        n_b=n,
        sum_b=sums[1],
        squares_b=squares[1],
    )


EVIDENCE = {"evidence": evidence}
