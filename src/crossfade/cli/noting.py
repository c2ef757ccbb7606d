"""What commands share by which a person notes something in the ledger that is no move: mutes, and excluded segments."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from crossfade.cli.common import DataDir, fail, opened, print_json
from crossfade.cli.identity import By

if TYPE_CHECKING:
    from crossfade.ledger import Entry


def note(
    by_hand: Callable[[], Callable[..., Entry]],
    name: str,
    what: str,
    reason: str,
    data: DataDir,
    by: By,
    json: bool,
    *,
    on: bool,
    see: str,
) -> None:
    """Note `what` of a rollout, or (`on` false) take it back.

    `by_hand` loads what does it; `see` is the command that shows the names there are.
    """
    with opened(data, as_json=json) as store:
        from crossfade.rim.store import StoreError

        try:
            entry = by_hand()(store, name, what, actor=by[0], reason=reason, at=time.time(), on=on, by=by[1])
        except StoreError:
            raise
        except ValueError as error:
            fail(str(error), f"see `crossfade {see} {name}` and write why with --reason", as_json=json)
    if json:
        print_json(entry.to_json())
        return
    typer.echo(f"{entry.sentence} (entry {entry.n})")
