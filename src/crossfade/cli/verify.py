"""`crossfade verify`: check that a rollout's ledger is whole, by recomputing every hash in its chain."""

from __future__ import annotations

from typing import Any

import typer

from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, Name, opened, print_json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("verify")(verify)


def verify(name: Name, data: DataDir = DATA, json: AsJson = False) -> None:
    """Check a rollout's ledger: every entry's content, its link to the one before, that none is missing, and that the
    rollout stands where the last one left it."""
    from crossfade import ledger

    with opened(data, as_json=json) as store:
        found = ledger.verify(store.entries(name), store.head(name))
    record: dict[str, Any] = {
        "entries": found.entries,
        "facts": None,
        "facts_reason": "the recorded facts are not covered by the chain yet; only the ledger was checked",
        "intact": found.intact,
        "first_broken": found.first_broken,
        "reason": found.reason,
    }
    if json:
        print_json(record)
    elif found.intact:
        typer.echo(f"{name}: {found.entries} entries, intact. {record['facts_reason'].capitalize()}.")
    else:
        typer.echo(f"{name}: broken at entry {found.first_broken}. {found.reason}")
    if not found.intact:
        raise typer.Exit(PROBLEM)
