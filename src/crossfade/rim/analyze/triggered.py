"""Metrics of some units: those with an exposure at which, say, the arms' answers differed. Others show no effect.

Whether they differed has to be known for both arms alike, from answers that were recorded for both: a column that is
filled for one arm only chooses units by their arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crossfade.judge.analysis.asked import AnalysisError, Asked
from crossfade.judge.analysis.experiment import Settings, analyse
from crossfade.judge.analysis.report import Analysis
from crossfade.judge.evidence import Verdict
from crossfade.rim.analyze.query import Found
from crossfade.rim.analyze.sources import Expr
from crossfade.spec.problems import nearest


def recorded(flag: str, columns: Sequence[str]) -> None:
    """Refuses a restriction that nothing was recorded for. Raises AnalysisError."""
    if flag in columns:
        return
    near = nearest(flag, list(columns))
    raise AnalysisError(
        f"the exposures have no column {flag}" + (f"; did you mean {near}?" if near else ""),
        "where the arms differ can only be told if the answers of both were recorded: "
        f"add a column {flag} that is true for exposures at which they differed, or leave only= out",
        found_in_data=True,
    )


def where(exposures: Expr, flag: str) -> Expr:
    """The exposures at which a column is true. Raises AnalysisError when there are none."""
    kept = exposures.filter(exposures[flag])
    if not kept.count().to_pyarrow().as_py():
        raise AnalysisError(
            f"the column {flag} is true for no exposure, so there is nothing to compare where it is",
            "leave only= out",
            found_in_data=True,
        )
    return kept


def triggered(some: Found, everyone: Found, asked: Sequence[Asked], flag: str, settings: Settings) -> Analysis:
    """The lines of metrics that are restricted to a column."""
    arms = everyone.units.arms
    place = np.asarray([arms.index(name) for name in some.units.arms], dtype=np.int64)
    units = replace(some.units, arms=arms, arm=place[some.units.arm])
    begun = float(everyone.units.entered.min()) if len(everyone.units.entered) else 0.0
    found = analyse(
        units,
        asked,
        replace(settings, span=(begun, everyone.units.ended)),
        some.names,
        _notes(units.arm, everyone, flag),
    )
    assumed = (
        f"units count from their first exposure where {flag} is true, which was recorded alike for both arms; "
        "others cannot differ"
    )
    lines = [
        replace(line, evidence=replace(line.evidence, assumptions=(*line.evidence.assumptions, assumed)))
        for line in found.lines
    ]
    notes = found.notes
    if found.sample_ratio.verdict is Verdict.HARMFUL:
        notes = (*notes, f"where {flag}: {found.sample_ratio.reason}")
    return replace(found, lines=tuple(lines), notes=notes)


def joined(whole: Analysis, parts: Sequence[Analysis]) -> Analysis:
    """All lines by look; the sample ratio is that of all units."""
    lines = [line for one in (whole, *parts) for line in one.lines]
    notes = dict.fromkeys(note for one in (whole, *parts) for note in one.notes)
    return replace(whole, lines=tuple(sorted(lines, key=lambda line: line.look)), notes=tuple(notes))


def _notes(arm: np.ndarray, everyone: Found, flag: str) -> list[str]:
    """How large a part it is, by arm: it says what a difference is worth over all units, and has to be alike."""
    counted = np.bincount(arm, minlength=len(everyone.units.arms))
    of = np.bincount(everyone.units.arm, minlength=len(everyone.units.arms))
    shares = ", ".join(
        f"{n:,} of {total:,} units of {name} ({n / total:.1%})"
        for name, n, total in zip(everyone.units.arms, counted.tolist(), of.tolist(), strict=True)
        if total
    )
    return [f"{flag} is true for {shares}; over all units a difference of means or rates is that share of it"]
