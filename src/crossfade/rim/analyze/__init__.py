"""The judge as a library: experiments that ran elsewhere, from files or any engine that Ibis speaks to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from crossfade.judge.analysis.asked import (
    AnalysisError,
    Asked,
    check_expected,
    choose_baseline,
    read_metric,
    read_window,
)
from crossfade.judge.analysis.experiment import Settings, analyse
from crossfade.judge.analysis.report import Analysis
from crossfade.judge.analysis.totals import analyse_totals
from crossfade.rim.analyze.elsewhere import tables
from crossfade.rim.analyze.query import units
from crossfade.rim.analyze.searching import searched
from crossfade.rim.analyze.sources import EXPOSURES, OUTCOMES, Expr, Reader, Source
from crossfade.rim.analyze.summary import read_summary
from crossfade.rim.analyze.triggered import joined, recorded, triggered, where

__all__ = ["Analysis", "AnalysisError", "analyze"]


def analyze(
    exposures: Source | None = None,
    outcomes: Source | None = None,
    *,
    metrics: Sequence[str],
    summary: str | Path | None = None,
    baseline: str | None = None,
    expected: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    window: str | None = None,
    looks: int = 1,
    segments: Sequence[str] | None = None,
    engine: str | None = None,
    search: bool = False,
) -> Analysis:
    """The evidence of a live rollout for an experiment that ran elsewhere.

    `exposures` (`unit, arm, at` and segment columns) and `outcomes` (`unit, name, value, at`) are paths to CSV or
    Parquet files, Ibis tables of one backend, or data frames; or `summary` is a CSV of totals (`look, arm, n, sum,
    sum_squares`). With an `engine` (`postgresql://…`, `spark://…`) a text names a table there. `metrics` are written
    as on the command line: `purchase:rate:higher:0.5pp`. `search`: look for harm in groups of the segment columns that
    nobody named. Raises AnalysisError.
    """
    if not 0.0 < alpha < 0.5:
        raise AnalysisError(f"alpha is {alpha:g}", "expected an error probability above 0 and below 0.5, such as 0.05")
    if looks < 1:
        raise AnalysisError(f"looks is {looks}", "expected a whole number from 1")
    if not metrics:
        raise AnalysisError("no metric was named", "name one, such as --metric purchase:rate:higher")
    seconds = read_window(window)
    asked = [read_metric(text, window=seconds) for text in metrics]
    _once(asked)
    if expected is not None:
        expected = check_expected(expected)
    if summary is not None:
        if exposures is not None or outcomes is not None:
            raise AnalysisError(
                "a summary and unit-level tables were both given", "give --summary, or --exposures and --outcomes"
            )
        if seconds is not None or looks != 1:
            raise AnalysisError("a summary has its own looks and no times", "leave --window and --looks out")
        if some := next((one for one in asked if one.only is not None), None):
            raise AnalysisError(
                f"a summary has no exposures, so {some.only} cannot be told of them",
                "leave only= out, or give --exposures and --outcomes",
            )
        if search:
            raise AnalysisError(
                "a summary has no units to search", "leave --search out, or give --exposures and --outcomes"
            )
        totals = read_summary(Path(summary), asked)
        arm = choose_baseline(totals.arms, baseline)
        return analyse_totals(totals, asked, baseline=arm, alpha=alpha, expected=expected)
    if exposures is None or outcomes is None:
        missing = "exposures" if exposures is None else "outcomes"
        raise AnalysisError(f"no {missing} were given", "give --exposures and --outcomes, or --summary")
    reader = Reader()
    try:
        with tables(engine) as named:
            if named is not None:
                exposures, outcomes = (named(one) if isinstance(one, str) else one for one in (exposures, outcomes))
            return _of_units(
                reader, exposures, outcomes, asked, segments, baseline, expected, alpha, seconds, looks, search
            )
    finally:
        reader.close()


def _of_units(
    reader: Reader,
    exposures: Source,
    outcomes: Source,
    asked: Sequence[Asked],
    segments: Sequence[str] | None,
    baseline: str | None,
    expected: Mapping[str, float] | None,
    alpha: float,
    window: float | None,
    looks: int,
    search: bool,
) -> Analysis:
    covariates = [one.covariate for one in asked if one.covariate is not None]
    flags = list(dict.fromkeys(one.only for one in asked if one.only is not None))
    exposed = reader.table(exposures, EXPOSURES, covariates, flags)
    for flag in flags:
        recorded(flag, exposed.columns)
    happened = reader.table(outcomes, OUTCOMES)
    chosen = _segments(exposed, segments, [*covariates, *flags])
    everywhere = [one for one in asked if one.only is None]
    found = units(exposed, happened, everywhere, window=window, segments=chosen)
    settings = Settings(
        baseline=choose_baseline(found.units.arms, baseline),
        alpha=alpha,
        window=window,
        looks=looks,
        expected=expected,
        metrics=len(asked),
    )
    whole = analyse(found.units, everywhere, settings, found.names, found.notes)
    if search:
        whole = replace(whole, searched=searched(found.units, everywhere, settings))
    parts = [
        triggered(
            units(
                where(exposed, flag),
                happened,
                [one for one in asked if one.only == flag],
                window=window,
                segments=chosen,
            ),
            found,
            [one for one in asked if one.only == flag],
            flag,
            settings,
        )
        for flag in flags
    ]
    return joined(whole, parts)


def _segments(exposed: Expr, segments: Sequence[str] | None, taken: Sequence[str]) -> list[str]:
    free = [name for name in exposed.columns if name not in EXPOSURES.kinds and name not in taken]
    if segments is None:
        return free
    for name in segments:
        if name not in free:
            raise AnalysisError(
                f"the exposures have no segment column {name}", f"allowed: {', '.join(free) or 'none; add a column'}"
            )
    return list(segments)


def _once(asked: Sequence[Asked]) -> None:
    seen: set[str] = set()
    for one in asked:
        if one.metric.name in seen:
            raise AnalysisError(f"the metric {one.metric.name} was asked twice", "ask once for each name")
        seen.add(one.metric.name)
