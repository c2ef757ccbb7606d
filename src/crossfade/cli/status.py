"""`crossfade status`: where rollouts stand, why, and what they wait for."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.common import DATA, WRONG_USE, AsJson, DataDir, console, fail, opened, print_json

if TYPE_CHECKING:
    from crossfade.rim.store import Store


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("status")(status)


def status(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One rollout; all of them if left out.")] = None,
    data: DataDir = DATA,
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Keep the view up to date until interrupted.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between looks with --watch.", min=0.05)] = 1.0,
    json: AsJson = False,
) -> None:
    """Show where rollouts stand: the sentence, exposure, evidence, decisions."""
    with opened(data, as_json=json) as store:
        records = _records(store, name)
        if not records and not watch:
            fail(f"{data} holds no rollouts yet", "begin with `crossfade serve SPEC`", code=WRONG_USE, as_json=json)
        if not watch:
            _show(records, json=json)
        elif json:
            _follow_json(store, name, interval)
        elif sys.stdout.isatty():
            _follow_live(store, name, interval)
        else:
            _follow_text(store, name, interval)


def _records(store: Store, name: str | None) -> list[dict[str, Any]]:
    from crossfade.rim.standing import all_standing, standing

    now = time.time()
    return [standing(store, name, now)] if name else all_standing(store, now)


def _show(records: list[dict[str, Any]], *, json: bool) -> None:
    if json:
        from crossfade.view import status as envelope

        print_json(envelope(records))
        return
    from crossfade.cli.terminal import trees

    console().print(trees(records, now=time.time()))


def _follow_json(store: Store, name: str | None, interval: float) -> None:
    """A line whenever a record has changed."""
    shown: list[dict[str, Any]] | None = None
    while True:
        records = _records(store, name)
        if records != shown:
            _show(records, json=True)
            shown = records
        time.sleep(interval)


def _follow_text(store: Store, name: str | None, interval: float) -> None:
    """For logs: the whole tree once a sentence or a phase has changed, not every second."""
    shown: list[tuple[str, str]] | None = None
    while True:
        records = _records(store, name)
        told = [(record["phase"], record["sentence"]) for record in records]
        if told != shown:
            _show(records, json=False)
            shown = told
        time.sleep(interval)


def _follow_live(store: Store, name: str | None, interval: float) -> None:
    from rich.live import Live

    from crossfade.cli.terminal import trees

    terminal = console()
    with Live(console=terminal, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(trees(_records(store, name), now=time.time()), refresh=True)
            time.sleep(interval)
