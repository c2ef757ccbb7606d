"""Which query answers which metric in which mode, and how its rows become the moments of each challenger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from crossfade.judge.measure import arms, assemble, pairs
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.measured import Absent
from crossfade.judge.measure.tables import Expr
from crossfade.judge.moments import Moments
from crossfade.spec.model import Interleave, Kind, Metric, Rollout, Shadow, Source

Shape = Callable[[Rows, str], "Moments"]
"""Rows and a challenger's name to that challenger's moments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One query and what is made of its rows."""

    key: tuple[object, ...]
    """Equal keys compile to the same query."""
    build: Callable[[], Expr]
    shape: Shape
    silent: str
    """Why there is nothing, when no row comes back."""
    reports: str = ""
    """For outcome metrics: why there is nothing, when units have been judged and nothing was ever reported."""


def ask(rollout: Rollout, mode: str, metric: Metric) -> Question | Absent:
    """The question that `metric` puts in a mode, or why it cannot be put."""
    if metric.kind is Kind.RATIO:
        return Absent(reason=f"{metric.name} is a ratio, and ratios are not measured on live traffic yet")
    if mode == "shadow":
        return _in_shadow(metric)
    if metric.source is Source.RESPONSE:
        return _of_response(rollout, metric)
    return _of_outcome(rollout, metric)


def _in_shadow(metric: Metric) -> Question | Absent:
    if metric.source is Source.OUTCOME:
        return Absent(reason=f"{metric.name} cannot differ in shadow: nobody sees the challenger's answers")
    silent = "no mirrored request has been compared in this stage yet"
    match metric.kind:
        case Kind.RATE:
            return Question(key=("failures",), build=pairs.failures, shape=assemble.paired, silent=silent)
        case Kind.QUANTILE:
            build = pairs.latency_pairs
            return Question(key=("latency-pairs",), build=build, shape=assemble.paired_quantile, silent=silent)
        case Kind.MEAN:
            build = pairs.latency_means
            return Question(key=("latency-means",), build=build, shape=assemble.paired_mean, silent=silent)
    return Absent(reason=f"{metric.name} counts failures, which shadow compares as a rate, not as a count")


def _of_response(rollout: Rollout, metric: Metric) -> Question | Absent:
    champion, many = rollout.champion.name, len(rollout.challengers)
    silent = "no unit has been exposed in this stage yet"

    def rate(rows: Rows, arm: str) -> Moments:
        return assemble.rate(rows, champion, arm, many, settled=False)

    def quantile(rows: Rows, arm: str) -> Moments:
        return assemble.quantile(rows, champion, arm, many)

    def mean(rows: Rows, arm: str) -> Moments:
        return assemble.mean(rows, champion, arm)

    match metric.kind:
        case Kind.RATE:
            return Question(key=("response-rate",), build=arms.response_rate, shape=rate, silent=silent)
        case Kind.QUANTILE:
            return Question(key=("response-quantile",), build=arms.response_quantile, shape=quantile, silent=silent)
        case Kind.MEAN:
            return Question(key=("response-mean",), build=arms.response_mean, shape=mean, silent=silent)
    build = partial(arms.response_mean, failures=True)
    return Question(key=("response-count",), build=build, shape=mean, silent=silent)


def _of_outcome(rollout: Rollout, metric: Metric) -> Question | Absent:
    champion, many = rollout.champion.name, len(rollout.challengers)
    name, window = metric.outcome or metric.name, metric.window
    if window is None:
        return Absent(reason=f"{metric.name} has no window, so no unit's value is ever settled")
    if metric.kind is Kind.QUANTILE:
        return Absent(reason=f"{metric.name}: quantiles of outcomes are not measured yet")

    def rate(rows: Rows, arm: str) -> Moments:
        return assemble.rate(rows, champion, arm, many, settled=True)

    def mean(rows: Rows, arm: str) -> Moments:
        return assemble.mean(rows, champion, arm)

    def build() -> Expr:
        judged = arms.settled(name, window)
        if metric.kind is Kind.RATE:
            return arms.outcome_rate(judged)
        return arms.outcome_mean(judged, count=metric.kind is Kind.COUNT)

    return Question(
        key=("outcome", str(metric.kind), name, window),
        build=build,
        shape=rate if metric.kind is Kind.RATE else mean,
        silent="no unit has been exposed in this stage yet",
        reports=f"no outcome named {name} has arrived for any unit of this stage",
    )


def gates(rollout: Rollout, stage: int, mode: str) -> dict[str, Question]:
    """The gates of a stage by name."""
    spec = rollout.stages[stage]
    if mode == "shadow" and isinstance(spec, Shadow):
        noise = spec.noise > 0.0
        asked = "no mirrored request has been compared"
        twice = " (the champion has not been asked twice yet)" if noise else ""
        return {
            assemble.DISAGREEMENT: Question(
                key=("disagreement", noise),
                build=partial(pairs.disagreement, noise=noise),
                shape=assemble.paired,
                silent=f"{asked} in this stage yet{twice}",
            )
        }
    if mode == "interleave" and isinstance(spec, Interleave):
        settle = settle_of(rollout, spec)
        names = tuple(arm.name for arm in rollout.challengers)
        return {
            assemble.PREFERENCE: Question(
                key=("votes", spec.credit, rollout.champion.name, names, settle),
                build=partial(pairs.votes, spec.credit, rollout.champion.name, names, settle),
                shape=assemble.paired,
                silent=f"no {spec.credit} on an interleaved list has been settled yet",
            )
        }
    return {}


def settle_of(rollout: Rollout, stage: Interleave) -> float:
    """Seconds in which clicks on a list are gathered: the window of a metric on that outcome, else SETTLE."""
    for metric in rollout.metrics:
        if metric.source is Source.OUTCOME and (metric.outcome or metric.name) == stage.credit and metric.window:
            return metric.window
    return pairs.SETTLE


def answer(question: Question, rows: Rows, arm: str) -> Moments | Absent:
    """The moments of one challenger, or why there are none."""
    if not len(rows["arm"]):
        return Absent(reason=question.silent)
    if question.reports and not rows["reports"].sum() and _any_closed(rows):
        return Absent(reason=question.reports)
    return question.shape(rows, arm)


def _any_closed(rows: Rows) -> bool:
    if "bucket" in rows:
        return bool((rows["bucket"] != arms.OPEN).any())
    return bool(rows["closed"].any())
