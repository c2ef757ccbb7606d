"""Inference: moments in, one line of evidence out; anytime-valid, one kind of moments a file.

>>> import numpy as np
>>> from crossfade.judge.infer import infer
>>> from crossfade.judge.moments import RateMoments
>>> from crossfade.spec.model import Better, Kind, Margin, Metric, Source
>>> errors = Metric(name="errors", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER)
>>> one = lambda n: np.array([n])
>>> seen = RateMoments(step=one(0), bucket=one(0), share=np.array([0.05]),
...                    n_a=one(5000), k_a=one(40), n_b=one(264), k_b=one(30))
>>> found = infer(errors, seen, role="guardrail", limit=Margin(value=0.005, relative=False), arm="v2", baseline="v1",
...               stage="canary", step=0, alpha_harm=0.05, alpha_safe=0.05)
>>> str(found.verdict)
'harmful'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np

from crossfade.judge.evidence import Evidence
from crossfade.judge.infer.blocks import infer_in_blocks
from crossfade.judge.infer.differences import infer_differences
from crossfade.judge.infer.labelled import infer_scored
from crossfade.judge.infer.means import infer_means
from crossfade.judge.infer.paired import infer_paireds
from crossfade.judge.infer.preference import PREFERENCE, infer_preferences
from crossfade.judge.infer.quantiles import infer_quantiles
from crossfade.judge.infer.question import Question
from crossfade.judge.infer.rates import infer_rates
from crossfade.judge.infer.ratios import infer_ratios
from crossfade.judge.infer.verdict import Numbers, unmeasured_line
from crossfade.judge.moments import (
    MeanMoments,
    Moments,
    PairedMeans,
    PairedMoments,
    QuantileMoments,
    RateMoments,
    RatioMoments,
    ScoredMoments,
)
from crossfade.spec.model import Margin, Metric

__all__ = ["PREFERENCE", "answer", "answers", "infer", "unmeasured"]


def infer(
    metric: Metric,
    moments: Moments,
    *,
    role: str,
    limit: Margin | None,
    arm: str,
    baseline: str,
    stage: str,
    step: int | None,
    alpha_harm: float,
    alpha_safe: float,
    window: float | None = None,
) -> Evidence:
    """The evidence that `moments` hold about `metric`, arm against baseline.

    `role` is `guardrail` (safe = no worse than the limit), `goal` (safe = better at all) or `gate` (a limit on the mean
    itself). Each verdict may be read at every look: over all looks it is wrong with at most its own alpha.
    """
    question = Question(
        metric=metric,
        role=role,
        limit=limit,
        arm=arm,
        baseline=baseline,
        stage=stage,
        step=step,
        alpha_harm=alpha_harm,
        alpha_safe=alpha_safe,
        window=window if window is not None else metric.window,
    )
    return answer(question, moments)


def answer(question: Question, moments: Moments) -> Evidence:
    """The same for a question already put together: what the kind of moments says about it."""
    return answers([(question, moments)])[0]


def answers(asked: Sequence[tuple[Question, Moments]]) -> list[Evidence]:
    """Many lines at once, in their order; those of one kind together take far less time than one by one."""
    rates: dict[int, tuple[Question, RateMoments]] = {}
    means: dict[int, tuple[Question, MeanMoments]] = {}
    ratios: dict[int, tuple[Question, RatioMoments]] = {}
    quantiles: dict[int, tuple[Question, QuantileMoments]] = {}
    votes: dict[int, tuple[Question, PairedMoments]] = {}
    pairs: dict[int, tuple[Question, PairedMoments]] = {}
    found: dict[int, Evidence] = {}
    for place, (question, moments) in enumerate(asked):
        match moments:
            case RateMoments():
                rates[place] = question, moments
            case MeanMoments():
                means[place] = question, moments
            case RatioMoments():
                ratios[place] = question, moments
            case QuantileMoments() if question.metric.blocks is not None:
                found[place] = infer_in_blocks(question, moments)
            case QuantileMoments():
                quantiles[place] = question, moments
            case PairedMoments() if question.stage == "interleave":
                votes[place] = question, moments
            case PairedMoments():
                pairs[place] = question, moments
            case PairedMeans():
                found[place] = infer_differences(question, moments)
            case ScoredMoments():
                found[place] = infer_scored(question, moments)
            case _:
                assert_never(moments)
    found |= zip(rates, infer_rates(list(rates.values())), strict=True)
    # What is too large to be squared is no number afterwards, and refused as such.
    with np.errstate(over="ignore", invalid="ignore"):
        found |= zip(means, infer_means(list(means.values())), strict=True)
        found |= zip(ratios, infer_ratios(list(ratios.values())), strict=True)
    found |= zip(votes, infer_preferences(list(votes.values())), strict=True)
    found |= zip(pairs, infer_paireds(list(pairs.values())), strict=True)
    found |= zip(quantiles, infer_quantiles(list(quantiles.values())), strict=True)
    return [found[place] for place in range(len(asked))]


def unmeasured(
    metric: Metric,
    reason: str,
    *,
    role: str,
    limit: Margin | None,
    arm: str,
    baseline: str,
    stage: str,
    step: int | None,
    alpha_harm: float,
    alpha_safe: float,
    window: float | None = None,
    units: Mapping[str, int] | None = None,
    immature: int = 0,
) -> Evidence:
    """A line that says why `metric` could not be measured."""
    question = Question(
        metric=metric,
        role=role,
        limit=limit,
        arm=arm,
        baseline=baseline,
        stage=stage,
        step=step,
        alpha_harm=alpha_harm,
        alpha_safe=alpha_safe,
        window=window if window is not None else metric.window,
    )
    counts = units if units is not None else {baseline: 0, arm: 0}
    return unmeasured_line(question, reason, Numbers(units=counts, immature=immature))
