"""`crossfade analyze`: the evidence of a live rollout for an experiment that ran elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.common import PROBLEM, WRONG_USE, AsJson, console, fail, print_json
from crossfade.cli.progress import working


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("analyze")(analyze)


def analyze(
    exposures: Annotated[
        str | None,
        typer.Option("--exposures", metavar="FILE", help="CSV or Parquet: unit, arm, at; other columns are segments."),
    ] = None,
    outcomes: Annotated[
        str | None, typer.Option("--outcomes", metavar="FILE", help="CSV or Parquet: unit, name, value, at.")
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option("--summary", metavar="FILE", help="CSV instead: look, arm, n, sum, sum_squares; cumulative."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME:KIND",
            help="rate, mean, count, ratio or quantile; then :q, :higher or :lower, :margin, :per=, :covariate=, "
            ":cap=, :only=COLUMN. Repeatable.",
        ),
    ] = None,
    baseline: Annotated[str | None, typer.Option(metavar="ARM", help="The arm that others are compared with.")] = None,
    expected: Annotated[
        str | None, typer.Option(metavar="ARM=SHARE,…", help="Check that units came in these shares.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Error probability over all lines and looks.")] = 0.05,
    window: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Outcomes count this long after first exposure: 24h.")
    ] = None,
    looks: Annotated[int, typer.Option(help="Evenly spaced looks; more than one needs --window.")] = 1,
    segments: Annotated[
        str | None, typer.Option(metavar="COLUMN,…", help="Segment columns; every other column if left out.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="ENGINE",
            help="Ask postgresql://USER@HOST/DATABASE, spark://HOST:PORT or spark:local[2]; --exposures and --outcomes "
            "then name tables there (for Spark also Parquet).",
        ),
    ] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Search the segment columns for groups in which rates come to harm.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 where an arm is harmful or units do not fit the shares.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Compare the arms of an experiment from files, by the code that judges live rollouts.

    Exit code 0: analysed, whatever was found; 1: a file holds something that cannot be used (with --strict also: harm
    or a sample-ratio mismatch was found); 2: wrong use.
    """
    from crossfade.judge.analysis.asked import AnalysisError, read_expected
    from crossfade.judge.evidence import Verdict
    from crossfade.rim.analyze import analyze as analysed

    try:
        with working("Reading and judging"):
            found = analysed(
                exposures,
                outcomes,
                metrics=metric or [],
                summary=summary,
                baseline=baseline,
                expected=None if expected is None else read_expected(expected),
                alpha=alpha,
                window=window,
                looks=looks,
                search=search,
                segments=None if segments is None else [name.strip() for name in segments.split(",") if name.strip()],
                engine=engine,
            )
    except AnalysisError as error:
        code = PROBLEM if error.found_in_data else WRONG_USE
        fail(error.error, error.what_to_do, code=code, as_json=json)
    if json:
        print_json(found.to_json())
    else:
        from crossfade.cli.analyze_text import drawn

        console().print(drawn(found))
    verdicts = [found.sample_ratio.verdict, *(line.verdict for line in found.last)]
    if strict and Verdict.HARMFUL in verdicts:
        raise typer.Exit(PROBLEM)
