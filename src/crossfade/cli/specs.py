"""One spec that a command needs whole: read, or told what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import typer

from crossfade.cli.check import Unreadable, problems_of, read, told
from crossfade.cli.common import PROBLEM, fail, print_json
from crossfade.spec.model import Rollout


def one_rollout(spec: Path, *, as_json: bool) -> Rollout:
    """The rollout of a spec file; ends the command with 2 where it cannot be read, with 1 where it has problems."""
    try:
        checked = read(spec)
    except Unreadable as error:
        fail(error.error, error.what_to_do, as_json=as_json)
    if checked.rollout is not None:
        return checked.rollout
    if as_json:
        problems = [
            {"line": problem.line, "path": problem.path, "message": problem.message} for problem in checked.problems
        ]
        print_json(
            {"error": f"{checked.file} has problems", "what_to_do": "see `crossfade check`", "problems": problems}
        )
    else:
        for _, problem in problems_of([checked]):
            typer.echo(told(checked.file, checked.text, problem), err=True)
    raise typer.Exit(PROBLEM)


def named_rollout(spec: Path, *, as_json: bool) -> Rollout:
    """The rollout of a spec that goes with other files; ends the command with 2 at the first thing wrong in it."""
    try:
        checked = read(spec)
    except Unreadable as error:
        fail(error.error, error.what_to_do, as_json=as_json)
    if checked.rollout is None:
        first = checked.problems[0]
        fail(f"{spec}:{first.line}: {first.message}", f"see `crossfade check {spec}`", as_json=as_json)
    return checked.rollout
