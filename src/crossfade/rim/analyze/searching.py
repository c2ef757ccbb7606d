"""Groups that nobody named: the columns of an experiment's exposures, searched for harm as a live rollout is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.judge.analysis import report
from crossfade.judge.analysis.asked import AnalysisError, Asked
from crossfade.judge.analysis.experiment import Settings, check_planned
from crossfade.judge.analysis.units import Units
from crossfade.judge.search import Compared, Feature, Table, search
from crossfade.judge.search.hunt import LAG
from crossfade.rim.searching.kept import Record
from crossfade.rim.searching.look import WATCHED, finding, sentence
from crossfade.spec.model import Kind

WHY = (
    "what counts false discoveries among so many small groups is evidence that is exact for few units, and only rates "
    "have it; ask about a share, such as whether a unit spent anything"
)
"""Why other metrics than rates are not searched."""


def searched(units: Units, asked: Sequence[Asked], settings: Settings) -> Record:
    """The record of the search. Raises AnalysisError where there is nothing to search, or no plan to bet by."""
    rates = [one for one in asked if one.metric.kind is Kind.RATE]
    if not rates:
        raise AnalysisError(
            f"only rates are searched, and no metric is one: {WHY}", "add one, such as --metric errors:rate:lower"
        )
    if settings.expected is None:
        raise AnalysisError(
            "a search bets on the shares that were planned, and none were told",
            "say them, such as --expected control=50%,new=50%",
        )
    check_planned(units.arms, settings.expected)
    if not units.segments:
        raise AnalysisError("the exposures have no column to search", "add columns beside unit, arm and at")
    rows = _table(units, rates, settings)
    hunted = search(rows, float(rows.at[-1]) + LAG if len(rows.at) else 0.0)
    began = float(units.entered.min()) if len(units.entered) else 0.0
    return {
        "exploratory": True,
        "alpha": hunted.alpha,
        "rows": hunted.rows,
        "fields": list(units.segments),
        "tested": len(hunted.memory.hypotheses),
        "found": [finding(one, began) for one in hunted.found],
        "watched": [finding(one, began) for one in hunted.watched[:WATCHED]],
        "sentence": sentence(hunted, len(units.segments)),
        "left_out": {one.metric.name: WHY for one in asked if one.metric.kind is not Kind.RATE},
    }


def _table(units: Units, rates: Sequence[Asked], settings: Settings) -> Table:
    """Units whose value is settled. All is known of each: later units are those that came in later."""
    assert settings.expected is not None
    closed = np.flatnonzero(units.entered + (settings.window or 0.0) <= units.ended)
    at = units.entered[closed] - (float(units.entered.min()) if len(units.entered) else 0.0)
    arm, a = units.arm[closed], units.arms.index(settings.baseline)
    signals = []
    for one in rates:
        for b, name in enumerate(units.arms):
            if b == a:
                continue
            ours, theirs = settings.expected[name], settings.expected[settings.baseline]
            signals.append(
                Compared(
                    question=report.question(one, name, settings.baseline, settings.alpha),
                    is_b=arm == b,
                    use=(arm == a) | (arm == b),
                    share=np.full(len(at), ours / (ours + theirs)),
                    step=np.zeros(len(at), dtype=np.int64),
                    event=units.values[one.metric.name].events[closed] > 0,
                    happened=at,
                    counts_from=at,
                    settled=True,
                )
            )
    features = tuple(
        Feature(name=name, values=values, code=code[closed].astype(np.int64))
        for name, (values, code) in units.segments.items()
    )
    return Table(at=at, features=features, signals=tuple(signals))
