"""`crossfade check`: whether specs can be run, and every mistake in them with its line."""

from __future__ import annotations

import json as json_text
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from crossfade.approvals import wanted
from crossfade.cli.common import PROBLEM, WRONG_USE, AsJson, fail, print_json
from crossfade.spec.advice import advice
from crossfade.spec.document import json_schema
from crossfade.spec.model import Canary, Interleave, Promote, Rollout, Shadow, Stage, stage_name
from crossfade.spec.parse import Problem, SpecProblems, parse
from crossfade.spec.source import split_lines
from crossfade.spec.together import together

RECORD = "crossfade.check/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One file: its text, and either the rollout or what is wrong with it."""

    file: str
    text: str
    rollout: Rollout | None
    problems: tuple[Problem, ...] = ()


class Unreadable(Exception):
    """A file that cannot be read at all, with what the person who named it can do."""

    def __init__(self, error: str, what_to_do: str) -> None:
        super().__init__(error)
        self.error = error
        self.what_to_do = what_to_do


def check(
    specs: Annotated[
        list[Path] | None, typer.Argument(metavar="SPEC", help="Spec files; - reads from standard input.")
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of specs, for editors.")] = False,
    json: AsJson = False,
) -> None:
    """Say whether specs can be run, and every mistake in them with its line.

    Exit code 0: all fine; 1: problems were found; 2: wrong use, such as a file that is not there.
    """
    if schema:
        typer.echo(json_text.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    if not specs:
        _wrong_use(
            "no spec was named", "name one, such as `crossfade check spec.yaml`; `crossfade init` writes one", json
        )
    try:
        files = [read(path) for path in specs]
    except Unreadable as error:
        _wrong_use(error.error, error.what_to_do, json)
    problems = problems_of(files)
    if json:
        print_json(_record(files, problems))
    else:
        _print(files, problems)
    if problems:
        raise typer.Exit(PROBLEM)


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("check")(check)


def read(path: Path) -> Checked:
    """One file, parsed. Raises Unreadable."""
    file = "<stdin>" if str(path) == "-" else str(path)
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except FileNotFoundError:
        raise Unreadable(f"there is no file {file}", f"`crossfade init {file}` writes one to start from") from None
    except IsADirectoryError:
        raise Unreadable(f"{file} is a directory", "name the spec inside it") from None
    except OSError as error:
        raise Unreadable(f"cannot read {file}: {error.strerror or error}", "see to it that it can be read") from None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode(errors="replace")
        problem = Problem(
            line=before.count("\n") + 1,
            path="",
            message=f"found the byte 0x{raw[error.start]:02X}; expected text in UTF-8: save the file in that encoding",
            found=f"0x{raw[error.start]:02X}",
            allowed="text in UTF-8",
        )
        return Checked(file=file, text="", rollout=None, problems=(problem,))
    try:
        return Checked(file=file, text=text, rollout=parse(text))
    except SpecProblems as error:
        return Checked(file=file, text=text, rollout=None, problems=error.problems)


def problems_of(files: list[Checked]) -> list[tuple[Checked, Problem]]:
    """Every problem of every file, and those between them."""
    parsed = [(checked.file, checked.text, checked.rollout) for checked in files if checked.rollout is not None]
    problems = [(checked, problem) for checked in files for problem in checked.problems]
    between = together(parsed)
    return problems + [(checked, problem) for label, problem in between for checked in files if checked.file == label]


def told(file: str, text: str, problem: Problem) -> str:
    """A problem as the terminal shows it: place, sentence, and the line itself with a mark below the value."""
    head = typer.style(f"{file}:{problem.line}:", bold=True)
    path = typer.style(f" {problem.path}:", fg="cyan") if problem.path else ""
    said = f"{head}{path} {problem.message}"
    lines = split_lines(text)
    if not 0 < problem.line <= len(lines) or not lines[problem.line - 1].strip():
        return said
    number = f"{problem.line:>6}"
    shown, caret = _excerpt(lines[problem.line - 1], problem.column)
    mark = typer.style("^", fg="red", bold=True)
    return f"{said}\n{number} | {shown}\n{' ' * len(number)} | {' ' * caret}{mark}"


def _excerpt(line: str, column: int, width: int = 100) -> tuple[str, int]:
    """The part of a line around a column, and where the column is in it."""
    # A control character could move the cursor or recolour the terminal that shows it.
    line = "".join(character if character.isprintable() else " " for character in line)
    start = max(0, column - 1 - width // 2) if len(line) > width else 0
    part = line[start : start + width]
    lead, tail = ("... " if start else ""), (" ..." if start + width < len(line) else "")
    return f"{lead}{part}{tail}", min(column - 1 - start, len(part)) + len(lead)


def _print(files: list[Checked], problems: list[tuple[Checked, Problem]]) -> None:
    for checked, problem in problems:
        _echo(told(checked.file, checked.text, problem))
    broken = {id(checked) for checked, _ in problems}
    for checked in files:
        if id(checked) not in broken and checked.rollout is not None:
            good = typer.style("fine", fg="green")
            _echo(f"{checked.file}: {good}: {summary(checked.rollout)}")
            for note in advice(checked.rollout):
                _echo(f"{checked.file}: {typer.style('note', fg='yellow')}: {note}.")
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        where = files[0].file if len(files) == 1 else f"{len(broken)} of {len(files)} specs"
        _echo(f"{count} in {where}")


def _echo(text: str) -> None:
    typer.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def summary(rollout: Rollout) -> str:
    """One line: what the rollout will do."""
    challengers = ", ".join(arm.name for arm in rollout.challengers)
    way = " → ".join(_gated(stage) for stage in rollout.stages)
    return f"{rollout.name} (revision {rollout.revision}), {challengers} against {rollout.champion.name}: {way}"


def _gated(stage: Stage) -> str:
    gate = stage.approve
    return f"approval of {wanted(gate)}, then {_stage(stage)}" if gate else _stage(stage)


def _stage(stage: Stage) -> str:
    name = stage_name(stage)
    match stage:
        case Shadow():
            return name
        case Canary(steps=steps):
            return f"{name} {', '.join(f'{step:.4g}' if step < 1e-4 else f'{step * 100:.4g}%' for step in steps)}"
        case Interleave(weight=weight):
            return f"{name} {weight * 100:.4g}%"
        case Promote(holdback=holdback):
            return f"{name}, {holdback * 100:.4g}% held back" if holdback else name
        case _:
            return f"{name} {stage.weight * 100:.4g}%"


def _record(files: list[Checked], problems: list[tuple[Checked, Problem]]) -> dict[str, Any]:
    return {
        "schema": RECORD,
        "ok": not problems,
        "problems": [{"file": checked.file, **problem.to_json()} for checked, problem in problems],
        "specs": [
            {
                "file": checked.file,
                "name": checked.rollout.name if checked.rollout else None,
                "revision": checked.rollout.revision if checked.rollout else None,
                "notes": list(advice(checked.rollout)) if checked.rollout else [],
            }
            for checked in files
        ],
    }


def _wrong_use(error: str, what_to_do: str, json: bool) -> NoReturn:
    if not json:
        fail(error, what_to_do)
    print_json({"schema": RECORD, "ok": False, "problems": [], "error": error, "what_to_do": what_to_do})
    raise typer.Exit(WRONG_USE)
