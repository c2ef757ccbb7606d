"""`crossfade test`: given this evidence, that move is expected. Rules and margins deserve tests as code does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.common import PROBLEM, AsJson, console, fail, print_json

if TYPE_CHECKING:
    from crossfade.judge.cases import Result

SCHEMA = "crossfade.test/1"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("test")(spec_tests)


def spec_tests(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of tests; each names its spec.")],
    json: AsJson = False,
) -> None:
    """Decide what the tests of a spec describe, by the rules that serve it, and say where that is not as expected.

    A file has `spec:`, the spec's file beside it, and `tests:`, each with name, stage, evidence and expect; see
    docs/how-to/test.md.

    Exit code 0: all as expected; 1: some not; 2: wrong use.
    """
    try:
        results = [(file, one) for file in files for one in decide_file(file)]
    except Misunderstood as error:
        fail(str(error), error.what_to_do, as_json=json)
    failed = sum(not one.passed for _, one in results)
    if json:
        print_json(
            {"schema": SCHEMA, "tests": len(results), "failed": failed, "results": [_told(*one) for one in results]}
        )
    else:
        _tell(results, failed)
    if failed:
        raise typer.Exit(PROBLEM)


class Misunderstood(ValueError):
    """A file of tests, or its spec, that cannot be understood."""

    def __init__(self, said: str, what_to_do: str = "see docs/how-to/test.md") -> None:
        super().__init__(said)
        self.what_to_do = what_to_do


def decide_file(file: Path) -> list[Result]:
    """Every test of a file, decided. Raises Misunderstood."""
    from crossfade.cli.check import Unreadable, read
    from crossfade.judge.cases import RULE_NAMES, Impossible, run
    from crossfade.spec.cases import read_cases
    from crossfade.spec.problems import SpecProblems

    try:
        cases = read_cases(file.read_text(encoding="utf-8"))
        checked = read(file.parent / cases.spec)
        if checked.rollout is None:
            first = checked.problems[0]
            raise Misunderstood(
                f"{checked.file}:{first.line}: {first.message}", f"see `crossfade check {checked.file}`"
            )
        found = []
        for case in cases.of(checked.rollout):
            if case.rule is not None and case.rule not in RULE_NAMES:
                known = f"rules: {', '.join(RULE_NAMES)}"
                raise Misunderstood(f"{file}:{case.line}: no rule is named {case.rule}", known)
            try:
                found.append(run(checked.rollout, case))
            except Impossible as error:
                raise Misunderstood(f"{file}:{case.line}: {error}") from None
    except Unreadable as error:
        raise Misunderstood(error.error, error.what_to_do) from None
    except SpecProblems as error:
        first, *others = error.problems
        more = "; ".join(f"line {one.line}: {one.message}" for one in others[:4])
        raise Misunderstood(f"{file}:{first.line}: {first.message}", more or "see docs/how-to/test.md") from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise Misunderstood(f"{file} cannot be read: {why}", "name a file of tests") from None
    return found


def _told(file: Path, one: Result) -> dict[str, Any]:
    decision = one.decision
    return {
        "file": str(file),
        "line": one.case.line,
        "name": one.case.name,
        "passed": one.passed,
        "wrong": list(one.wrong),
        "decided": {
            "move": None if decision.move is None else str(decision.move),
            "rule": decision.rule,
            "sentence": decision.sentence,
        },
        "evidence": [line.to_json() for line in one.evidence],
    }


def _tell(results: list[tuple[Path, Result]], failed: int) -> None:
    from rich.text import Text

    terminal = console()
    for file, one in results:
        mark = ("◆ ", "bright_black") if one.passed else ("✖ ", "red")
        terminal.print(Text.assemble(mark, one.case.name, (f"  {file}:{one.case.line}", "bright_black")))
        for wrong in one.wrong:
            terminal.print(Text(f"    {wrong}", style="red"))
        if not one.passed:
            terminal.print(Text(f"    it said: {one.decision.sentence}"))
            for line in one.evidence:
                why = f", {line.reason}" if line.reason else ""
                terminal.print(Text(f"    {line.metric} of {line.arm}: {line.verdict}{why}", style="bright_black"))
    terminal.print(f"{len(results)} tests, {failed} failed." if failed else f"{len(results)} tests, all as expected.")
