"""`crossfade differences`: where the replies to mirrored requests differ, field by field."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from crossfade.cli.common import DATA, AsJson, DataDir, Name, console, opened, print_json
from crossfade.cli.identity import by_user, user


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("differences")(differences)


def differences(
    name: Name,
    data: DataDir = DATA,
    examples: Annotated[bool, typer.Option("--examples", help="Show replies that were kept, side by side.")] = False,
    field: Annotated[str, typer.Option(metavar="PATH", help="Of the examples, those that differ there or below.")] = "",
    json: AsJson = False,
) -> None:
    """Show where a rollout's mirrored replies differ, and how much of it is the champion's own noise.

    Replies are kept only where the spec says so (`examples:`); otherwise examples are named by their decision ids.
    """
    with opened(data, as_json=json) as store:
        from crossfade.rim.differing import Differing

        stored = store.get(name)
        record = Differing(data).explored(stored.rollout, stored.position)
        pairs = []
        if examples:
            from crossfade.rim.examples import kept
            from crossfade.rim.reads import Reads

            pairs = kept(data, name, field=field)
            if pairs:
                Reads(store).note(name, user(), by_user(), time.time())
    if json:
        print_json({**record, "kept": pairs} if examples else record)
        return
    from crossfade.cli.compare_tree import tree

    terminal = console()
    if not record["available"]:
        terminal.print(f"{name}: nothing to show: {record['reason']}")
    for arm in record["arms"]:
        terminal.print(tree(arm, f"{name}: {arm['arm']} against the champion"))
    for one in record["found"]["found"]:
        terminal.print(f"exploratory: {one['sentence']}")
    if examples:
        from crossfade.cli.compare_tree import beside

        for pair in pairs:
            terminal.print(beside(pair))
        if not pairs:
            terminal.print("no replies are kept; a spec keeps some with `examples: {share: 1%}`")
