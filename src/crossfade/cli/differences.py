"""`crossfade differences`: where the replies to mirrored requests differ, field by field."""

from __future__ import annotations

import typer

from crossfade.cli.common import DATA, AsJson, DataDir, Name, console, opened, print_json


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("differences")(differences)


def differences(name: Name, data: DataDir = DATA, json: AsJson = False) -> None:
    """Show where a rollout's mirrored replies differ, and how much of it is the champion's own noise.

    Replies are not kept; examples are named by their decision ids.
    """
    with opened(data, as_json=json) as store:
        from crossfade.rim.differing import Differing

        stored = store.get(name)
        record = Differing(data).of(stored.rollout, stored.position)
    if json:
        print_json(record)
        return
    from crossfade.cli.compare_tree import tree

    terminal = console()
    if not record["available"]:
        terminal.print(f"{name}: nothing to show: {record['reason']}")
    for arm in record["arms"]:
        terminal.print(tree(arm, f"{name}: {arm['arm']} against the champion"))
