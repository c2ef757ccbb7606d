"""Which query answers which metric in which mode, and how its rows become the moments of each challenger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from crossfade.judge.measure import arms, assemble, labelled, outcomes, pairs, unusable, votes
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.measured import Absent
from crossfade.judge.measure.mutes import mutes_of
from crossfade.judge.measure.own_scores import NOBODY, Scorer
from crossfade.judge.measure.tables import Expr
from crossfade.judge.moments import Moments
from crossfade.spec.model import Ab, Canary, Interleave, Kind, Metric, Rollout, Shadow, Source, stage_name

NOBODY_DIFFERS = "no unit has come to a request yet at which the arms' answers are known to differ"

Shape = Callable[[Rows, str], "Moments | Absent"]
"""Rows and a challenger's name to that challenger's moments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What has to be known of each unit before an outcome metric can be summed; several metrics may share it."""

    name: str
    window: float
    arrival: float = 0.0
    per: str = ""
    covariate: str = ""
    predicted: str = ""
    """`champion` or `challenger`: the covariate is what that side predicted for the unit before it entered."""
    at_entry: bool = False
    """And for the very request at which it entered, where copies let both sides answer that."""
    differing: bool = False
    """Units enter at their first request at which the arms' answers are known to differ."""

    @property
    def horizon(self) -> float:
        """Seconds after its entry at which a unit's value is settled."""
        return self.window + self.arrival

    def build(self) -> Expr:
        """The table `settled`."""
        return outcomes.settled(
            self.name,
            self.window,
            self.arrival,
            per=self.per,
            covariate=self.covariate,
            predicted=self.predicted,
            at_entry=self.at_entry,
            differing=self.differing,
        )


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
    judged: Judged | None = None
    """For outcome metrics: the table `settled` that the query sums."""
    by_unit: bool = False
    """The query sums rows of tables with a row a unit (or a unit and step): it can be kept up by differences."""
    by_pair: Callable[[int], Expr] | None = None
    """For mirrored requests that segments are told of: the query of all segments of so many fields."""
    segments: int = 0
    """How many fields the query tells the segments of; 0 for units as a whole."""


def ask(rollout: Rollout, mode: str, metric: Metric, scorer: Scorer = NOBODY) -> Question | Absent:
    """The question that `metric` puts in a mode, or why it cannot be put. `scorer` calls functions of the user's."""
    if metric.source is Source.PREDICTION:
        return _of_prediction(rollout, mode, metric, scorer)
    if metric.source is Source.COST:
        return _of_cost(mode, metric)
    if mode == "shadow":
        return _in_shadow(metric)
    if metric.source is Source.RESPONSE:
        return _of_response(rollout, metric)
    return _of_outcome(rollout, mode, metric)


def copied_both(rollout: Rollout, mode: str) -> bool:
    """Whether the stages of a mode copy requests in both directions, so that both arms know as much."""
    stages = [stage for stage in rollout.stages if stage_name(stage) == mode]
    return bool(stages) and all(
        isinstance(stage, Canary | Ab) and stage.counterfactual is not None and stage.counterfactual.both
        for stage in stages
    )


def _in_shadow(metric: Metric) -> Question | Absent:
    if metric.source is Source.OUTCOME:
        return Absent(reason=f"{metric.name} cannot differ in shadow: nobody sees the challenger's answers")
    silent = "no mirrored request has been compared in this stage yet"
    match metric.kind:
        case Kind.RATE:
            return Question(
                key=("failures",),
                build=pairs.failures,
                shape=assemble.paired,
                silent=silent,
                by_pair=pairs.failures,
            )
        case Kind.QUANTILE:
            build = pairs.latency_pairs
            return Question(key=("latency-pairs",), build=build, shape=assemble.paired_quantile, silent=silent)
        case Kind.MEAN:
            build = pairs.latency_means
            return Question(key=("latency-means",), build=build, shape=assemble.paired_mean, silent=silent)
        case Kind.RATIO:
            return Absent(reason=_NO_RATIO.format(metric.name))
    return Absent(reason=f"{metric.name} counts failures, which shadow compares as a rate, not as a count")


def _of_cost(mode: str, metric: Metric) -> Question | Absent:
    if mode != "shadow":
        return Absent(reason=f"{metric.name} compares what both models cost for the same request")
    silent = "no mirrored request has been compared in this stage yet"
    return Question(key=("cost-means",), build=pairs.cost_means, shape=assemble.paired_mean, silent=silent)


def _of_prediction(rollout: Rollout, mode: str, metric: Metric, scorer: Scorer) -> Question | Absent:
    if mode != "shadow":
        return Absent(reason=f"{metric.name} sets both models' predictions for the same request against its label")
    if metric.window is None:
        return Absent(reason=f"{metric.name} has no window, so nobody knows when a label is too late")
    name = metric.outcome or metric.name

    def shape(rows: Rows, arm: str) -> Moments | Absent:
        return labelled.scored(rows, arm, rollout, metric, scorer)

    return Question(
        key=("labels", name, metric.window, metric.by_unit),
        build=partial(labelled.labels, name, metric.window, by_unit=metric.by_unit),
        shape=shape,
        silent="no prediction of both models has been recorded in this stage yet",
    )


_NO_RATIO = "{} is a ratio, and ratios are made of two outcomes; a reply alone has none"


def _of_response(rollout: Rollout, metric: Metric) -> Question | Absent:
    champion, many = rollout.champion.name, len(rollout.challengers)
    silent = "no unit has been exposed in this stage yet"

    def rate(rows: Rows, arm: str) -> Moments:
        return assemble.rate(rows, champion, arm, many, settled=False)

    def quantile(rows: Rows, arm: str) -> Moments:
        return assemble.quantile(rows, champion, arm, many)

    def mean(rows: Rows, arm: str) -> Moments:
        return assemble.mean(rows, champion, arm)

    asked = partial(Question, silent=silent, by_unit=True)
    match metric.kind:
        case Kind.RATE:
            return asked(key=("response-rate",), build=arms.response_rate, shape=rate)
        case Kind.QUANTILE:
            return asked(key=("response-quantile",), build=arms.response_quantile, shape=quantile)
        case Kind.MEAN:
            return asked(key=("response-mean",), build=arms.response_mean, shape=mean)
        case Kind.RATIO:
            return Absent(reason=_NO_RATIO.format(metric.name))
    build = partial(arms.response_mean, failures=True, cap=metric.cap)
    return asked(key=("response-count", metric.cap), build=build, shape=mean)


def _of_outcome(rollout: Rollout, mode: str, metric: Metric) -> Question | Absent:
    champion, many = rollout.champion.name, len(rollout.challengers)
    name, window, covariate = metric.outcome or metric.name, metric.window, metric.covariate or ""
    adjusted = bool(covariate or metric.predicted)
    if window is None:
        return Absent(reason=f"{metric.name} has no window, so no unit's value is ever settled")
    both = copied_both(rollout, mode)
    if metric.differing and not both:
        return Absent(
            reason=f"{metric.name} counts units from their first request at which the arms' answers differ, which is "
            f"known of both arms' units alike only where requests are copied in both directions; in {mode} they are not"
        )

    def rate(rows: Rows, arm: str) -> Moments:
        return assemble.rate(rows, champion, arm, many, settled=True)

    def mean(rows: Rows, arm: str) -> Moments:
        return assemble.mean(rows, champion, arm)

    def ratio(rows: Rows, arm: str) -> Moments:
        return assemble.ratio(rows, champion, arm)

    def quantile(rows: Rows, arm: str) -> Moments:
        return assemble.outcome_quantile(rows, champion, arm, many)

    judged = Judged(
        name=name,
        window=window,
        arrival=metric.arrives_within,
        per=metric.per or "",
        covariate=covariate,
        predicted=metric.predicted,
        at_entry=bool(metric.predicted) and both,
        differing=metric.differing,
    )
    asked = partial(
        Question,
        key=("outcome", str(metric.kind), adjusted, bool(metric.predicted), metric.cap),
        silent=NOBODY_DIFFERS if metric.differing else "no unit has been exposed in this stage yet",
        reports=f"no outcome named {name} has arrived for any unit of this stage",
        judged=judged,
        by_unit=True,
    )
    match metric.kind:
        case Kind.RATE:
            return asked(build=arms.outcome_rate, shape=rate)
        case Kind.QUANTILE:
            return asked(build=arms.outcome_quantile, shape=quantile)
        case Kind.RATIO if metric.per is None:
            return Absent(reason=f"{metric.name} is a ratio without 'per', the outcome in its denominator")
        case Kind.RATIO:
            return asked(build=arms.outcome_ratio, shape=ratio)
    build = partial(
        arms.outcome_mean,
        count=metric.kind is Kind.COUNT,
        cap=metric.cap,
        covariate=adjusted,
        predicted=bool(metric.predicted),
    )
    return asked(build=build, shape=mean)


def sliced(rollout: Rollout, mode: str, metric: Metric) -> Question | None:
    """What a metric asks by slice of time, after promotion and for drift, so that a change that begins late is found.

    None where what it asks anyway says when things happened, or nothing would.
    """
    if mode != "promote" and (rollout.drift is None or mode not in ("canary", "ab")):
        return None
    champion, many = rollout.champion.name, len(rollout.challengers)
    if metric.source is Source.RESPONSE and metric.kind is Kind.RATE:
        # First failures speak of a unit's whole time in the stage, which no later moment can begin anew: its margin was
        # paid for when it came, and an arm that failed more units has fewer left to fail first.
        def greeted(rows: Rows, arm: str) -> Moments:
            return assemble.rate(rows, champion, arm, many, settled=True)

        return Question(
            key=("response-greeted",),
            build=arms.response_greeted,
            shape=greeted,
            silent="no unit has been exposed in this stage yet",
            by_unit=True,
        )
    if metric.source is not Source.OUTCOME or metric.kind not in (Kind.MEAN, Kind.COUNT):
        return None
    question = _of_outcome(rollout, mode, metric)
    if isinstance(question, Absent):
        return None

    def slices(rows: Rows, arm: str) -> Moments:
        return assemble.slices(rows, champion, arm, many)

    return replace(
        question,
        key=("outcome-slices", str(metric.kind), metric.cap),
        build=partial(arms.outcome_slices, count=metric.kind is Kind.COUNT, cap=metric.cap),
        shape=slices,
    )


def gates(rollout: Rollout, stage: int, mode: str) -> dict[str, Question]:
    """The gates of a stage by name."""
    spec = rollout.stages[stage]
    if mode == "shadow" and isinstance(spec, Shadow):
        noise, mutes = spec.noise > 0.0, mutes_of(rollout)
        asked = "no mirrored request has been compared"
        twice = " (the champion has not been asked twice yet)" if noise else ""
        segments = tuple(str(field) for field in rollout.segments)
        disagreement = partial(pairs.disagreement, noise=noise, mutes=mutes)
        return {
            assemble.DISAGREEMENT: Question(
                key=("disagreement", noise, mutes),
                build=disagreement,
                by_pair=disagreement,
                shape=assemble.paired,
                silent=f"{asked} in this stage yet{twice}",
            ),
            unusable.CATASTROPHIC: Question(
                key=("catastrophic", len(segments), mutes),
                build=partial(unusable.catastrophic, segments=len(segments), mutes=mutes),
                shape=partial(unusable.shape, segments=segments),
                silent=f"{asked} in this stage yet",
            ),
        }
    if mode == "interleave" and isinstance(spec, Interleave):
        asked_of = (spec.credit, rollout.champion.name, tuple(arm.name for arm in rollout.challengers))
        settle, whole = settle_of(rollout, spec), spec.method in votes.WHOLE_VOTES
        credited = " or ".join(one.outcome for one in spec.credit)
        return {
            assemble.PREFERENCE: Question(
                key=("votes", *asked_of, settle, whole),
                build=partial(votes.votes, *asked_of, settle=settle, whole=whole),
                shape=assemble.paired,
                silent=f"no {credited} on an interleaved list has been settled yet",
            )
        }
    return {}


def settle_of(rollout: Rollout, stage: Interleave) -> float:
    """Seconds in which clicks on a list are gathered: the longest window of a metric on such outcomes, else SETTLE."""
    credited = {one.outcome for one in stage.credit}
    windows = [
        metric.horizon
        for metric in rollout.metrics
        if metric.source is Source.OUTCOME and (metric.outcome or metric.name) in credited and metric.window
    ]
    return max(windows, default=votes.SETTLE)


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
