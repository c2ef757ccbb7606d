"""`crossfade exposures follow`: what a router's access log says was served, as facts."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, fail, opened, print_json

if TYPE_CHECKING:
    from crossfade.rim.exposures.following import Follower

PAUSE = 0.2
"""Seconds between two looks at a log that has nothing new."""


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(help="Exposures: who was served what, where a router says so.", no_args_is_help=True)
    group.command("follow")(follow)
    group.callback()(_exposures)
    app.add_typer(group, name="exposures")


def _exposures() -> None:
    """Exposures: who was served what, where a router says so."""


def follow(
    log: Annotated[Path, typer.Argument(metavar="FILE", help="The router's access log; - for standard input.")],
    data: DataDir = DATA,
    once: Annotated[bool, typer.Option(help="Stop at the end of the log, in place of waiting for more.")] = False,
    json: AsJson = False,
) -> None:
    """Keep what an access log says, line by line, until told to stop. It goes on where it was after a restart, follows
    the log when it is rotated, and counts no request twice. Lines about no rollout are left alone; lines that cannot be
    read are counted and the first ones told. Each line holds one JSON object; the guides of Envoy and HAProxy show
    which."""
    from crossfade.rim.batches import JournalError
    from crossfade.rim.exposures import reading
    from crossfade.rim.exposures.arriving import Arriving
    from crossfade.rim.exposures.following import Follower
    from crossfade.rim.exposures.inbox import ExposureInbox
    from crossfade.rim.secrets import SecretError

    if once and str(log) != "-" and not log.exists():
        fail(f"there is no log {log}", "name the access log that the router writes", as_json=json)
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    counts: Counter[str] = Counter(dict.fromkeys(("accepted", "duplicates", "rejected", "ignored"), 0))
    note = data / "exposures" / f"{hashlib.sha256(str(log.absolute()).encode()).hexdigest()[:16]}.json"
    _wait_for(data, stop, once)
    try:
        with (
            opened(data, as_json=json) as store,
            closing(ExposureInbox(data)) as inbox,
            closing(Follower(log, note)) as follower,
        ):
            arriving = Arriving(data, store)
            for lines in _stdin(stop) if str(log) == "-" else _lines(follower, stop, once):
                now = time.time()
                found = reading.read_items(map(reading.logged, lines), arriving.context(now))
                taken = inbox.accept(found.exposures, now)
                follower.done()
                _count(counts, found, taken)
            counts["rejected"] += follower.lost
            if follower.lost:
                sys.stderr.write(f"crossfade: {follower.lost} lines were too long or never finished\n")
    except (JournalError, SecretError, OSError) as error:
        fail(str(error), "start it again when that is put right: it goes on where it was", as_json=json)
    if json:
        print_json({"schema": "crossfade.exposures/1", **counts})
    else:
        said = f"{counts['accepted']:,} exposures kept, {counts['duplicates']:,} known already"
        typer.echo(
            f"{said}, {counts['rejected']:,} that could not be read, {counts['ignored']:,} lines about no rollout"
        )
    if counts["rejected"]:
        raise typer.Exit(PROBLEM)


def _wait_for(data: Path, stop: threading.Event, once: bool) -> None:
    """A log may be followed before anything is served: it is not lost meanwhile, and begun when there is a rollout."""
    from crossfade.rim.store_address import FILE, server

    if once or server() is not None or (data / FILE).exists():
        return
    sys.stderr.write(f"crossfade: waiting for a rollout in {data} (`crossfade serve SPEC --data {data}`)\n")
    while not (stop.is_set() or (data / FILE).exists()):
        stop.wait(PAUSE)


def _lines(follower: Follower, stop: threading.Event, once: bool) -> Iterator[list[bytes]]:
    """What is new, as often as there is something."""
    while not stop.is_set():
        lines = follower.lines()
        if lines:
            yield lines
        elif once:
            return
        else:
            stop.wait(PAUSE)


def _stdin(stop: threading.Event) -> Iterator[list[bytes]]:
    """Lines of a pipe, as many as are there."""
    rest = b""
    while not stop.is_set():
        part = os.read(sys.stdin.fileno(), 1_000_000)
        if not part:
            return
        *whole, rest = (rest + part).split(b"\n")
        lines = [line for line in whole if line.strip()]
        if lines:
            yield lines


TOLD = 5
"""Lines that cannot be read, of which it is said why."""


def _count(counts: Counter[str], found: Any, taken: Any) -> None:
    for one in found.rejected[: max(0, TOLD - counts["rejected"])]:
        sys.stderr.write(f"crossfade: a line cannot be kept: {one['problem']}\n")
    counts["accepted"] += taken.accepted
    counts["duplicates"] += taken.duplicates
    counts["rejected"] += len(found.rejected)
    counts["ignored"] += found.ignored
