"""`crossfade doctor`: is this machine fit, and do the models of a spec say what Crossfade can read?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, console, fail, print_json
from crossfade.cli.progress import working

if TYPE_CHECKING:
    from crossfade.rim.checkup.finding import Finding
    from crossfade.rim.traffic import Request

SCHEMA = "crossfade.doctor/1"

INK = {"fine": ("●", "bright_black"), "note": ("◆", ""), "problem": ("✖", "red"), "unknown": ("?", "yellow")}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("doctor")(doctor)


def doctor(
    spec: Annotated[Path | None, typer.Argument(metavar="[SPEC]", help="Ask the models of this spec, too.")] = None,
    request: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What to send: one line, as for `replay-traffic`.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address on which the ports will be opened.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Data port.", min=1, max=65535)] = 8080,
    control_port: Annotated[int, typer.Option(help="Control port.", min=1, max=65535)] = 8090,
    data: DataDir = DATA,
    json: AsJson = False,
) -> None:
    """Look at ports, disk, clocks and limits; with SPEC, send one real request to each model and say what was read.

    Where the protocol can describe its inputs the request is made up; else give one with --request. Models that write
    get the header that `dry_run_header:` in the spec names.

    Exit code 0: no problem was found; 1: some was; 2: wrong use.
    """
    from crossfade.cli.specs import named_rollout
    from crossfade.rim.checkup import arms, machine

    now = time.time()
    rollout = None if spec is None else named_rollout(spec, as_json=json)
    # Where a router carries the traffic, the data port may well be the router's.
    opened = (
        {"control-port": control_port} if rollout and rollout.router else {"port": port, "control-port": control_port}
    )
    findings = [*machine.machine(), *machine.ports(host, opened, data), *machine.folder(data, now)]
    if rollout is not None:
        first = _first(request, rollout.route, json)
        with working("Asking the models"):
            findings += arms.fit(rollout, first, now)
    elif request is not None:
        fail("--request is sent to the models of a spec", "name the spec, too", as_json=json)
    problems = sum(one.state == "problem" for one in findings)
    if json:
        print_json({"schema": SCHEMA, "problems": problems, "findings": [one.to_json() for one in findings]})
    else:
        _tell(findings, spec is not None)
    if problems:
        raise typer.Exit(PROBLEM)


def _first(file: Path | None, route: str, json: bool) -> Request | None:
    from crossfade.rim.traffic import Recorded

    if file is None:
        return None
    if not file.is_file():
        fail(f"there is no file {file}", "name a file with a request", as_json=json)
    recorded = Recorded(file, route)
    found = next(iter(recorded), None)
    if found is None:
        why = f"line {recorded.bad[0].line}: {recorded.bad[0].problem}" if recorded.bad else "it is empty"
        fail(f"{file} holds no request: {why}", 'write a line such as {"body": {...}}', as_json=json)
    return found


def _tell(findings: list[Finding], asked: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column()
    for one in findings:
        mark, ink = INK[one.state]
        told = Text(one.sentence)
        if one.todo:
            told.append(f"\n→ {one.todo}", style="bright_black")
        table.add_row(Text(mark, style=ink), Text(one.what), told)
    terminal = console()
    terminal.print(table)
    count = sum(one.state == "problem" for one in findings)
    unknown = sum(one.state == "unknown" for one in findings)
    said = "No problem was found." if not count else f"{count} problem{'s' if count > 1 else ''} found."
    said += f" {unknown} could not be looked at." if unknown else ""
    terminal.print(said if asked else f"{said} `crossfade doctor SPEC` asks the models, too.")
