"""`crossfade replay`: recompute every decision of a rollout from its recorded facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, Name, fail, opened_record, print_json
from crossfade.cli.engines import EngineOption, opened_engine
from crossfade.cli.progress import working
from crossfade.cli.verify import Folder, RunCode

if TYPE_CHECKING:
    from crossfade.rim.replayed import Again, Replayed


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("replay")(replay)


def replay(
    name: Name,
    data: DataDir = DATA,
    folder: Folder = None,
    spec: Annotated[
        Path | None, typer.Option("--spec", help="Say what this other spec would have decided on the same facts.")
    ] = None,
    engine: EngineOption = None,
    run_code: RunCode = False,
    json: AsJson = False,
) -> None:
    """Recompute every decision from the facts it was taken on, under its own revision of the spec, and say of each
    whether it comes out the same. Exit code 1 if one does not; one whose facts were deleted in their time is told
    apart. With --spec: where another policy would have parted."""
    from crossfade.rim.replaying import replay as again

    if spec is not None:
        _otherwise(name, data, folder, spec, as_json=json)
        return
    with (
        opened_record(data, name, folder, as_json=json, runs_code=run_code) as record,
        opened_engine(engine, as_json=json) as backend,
        working("Computing every decision again") as at_work,
    ):
        found = again(record, backend=backend, progress=at_work.upto)
    if json:
        print_json(found.to_json())
    else:
        _say(found)
    if found.differing:
        raise typer.Exit(PROBLEM)


def _otherwise(name: str, data: Path, folder: Path | None, spec: Path, *, as_json: bool) -> None:
    from crossfade.rim.otherwise import CannotCompare, otherwise
    from crossfade.spec.parse import parse
    from crossfade.spec.problems import SpecProblems
    from crossfade.view.words import moment

    try:
        other = parse(spec.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read {spec}: {error}", "name the file of a spec", as_json=as_json)
    except SpecProblems as problems:
        fail(f"{spec} is not a spec that could run:\n{problems}", f"see `crossfade check {spec}`", as_json=as_json)
    with opened_record(data, name, folder, as_json=as_json) as record:
        try:
            with working("Deciding by the other spec"):
                found = otherwise(record, other)
        except CannotCompare as error:
            fail(f"{spec} cannot be compared: {error}", as_json=as_json)
    if as_json:
        print_json(found.to_json())
        return
    moves = ", ".join(map(str, found.agreed))
    if found.decided is None or found.at is None:
        typer.echo(f"{name}: under {spec} every recorded move would have been made as well (entries {moves}).")
        return
    made = found.decided.move or "no move"
    typer.echo(f"{name}: under {spec} the same up to entry {found.agreed[-1]}; then, at {moment(found.at)} UTC:")
    typer.echo(f"  would have decided: {made} ({found.decided.rule}) {found.decided.sentence}")
    typer.echo(f"  recorded next:      {found.recorded}")
    typer.echo("  What came after that is not in the facts: users would have been served otherwise.")


def _say(found: Replayed) -> None:
    for one in found.looked:
        typer.echo(f"  {one.n:>3}  {one.move:<9} {_how(one)}")
        for difference in one.differences:
            typer.echo(f"       ✖ {difference}")
    good, gone = sum(one.reproduced for one in found.looked), len(found.aged_out)
    aged = f" {gone} aged out, as recorded: their facts were deleted in their time." if gone else ""
    typer.echo(f"{found.name}: {good} of {len(found.looked)} decisions reproduced.{aged}")
    others = [version for version in found.software if version != found.by]
    if others:
        typer.echo(f"  Decided by crossfade {', '.join(others)}, recomputed by {found.by}, which judge differently.")


def _how(one: Again) -> str:
    if one.differences:
        return f"({one.rule}) NOT reproduced"
    if one.aged_out is not None:
        return f"({one.rule}) {one.aged_out}"
    if one.by_hand:
        return "by hand: a person's move, carried out again"
    return f"({one.rule}) reproduced from {one.files} files of facts"
