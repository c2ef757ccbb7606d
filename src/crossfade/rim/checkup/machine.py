"""The machine: its request path, its limits, the ports that will be wanted, and the folder that will hold the facts."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from crossfade.rim.build_kind import COMPILED, request_path
from crossfade.rim.checkup.finding import Finding, State
from crossfade.view.words import duration, whole

LITTLE, SCARCE = 5 << 30, 256 << 20
"""Free bytes below which to say so, and below which exposure would soon stop."""

SLOW_MS = 25.0
"""Milliseconds of one forced write above which acknowledging outcomes will be felt."""

FILES = 4096
"""Open files that a busy gateway may want: two a connection under way."""

AHEAD = 5.0
"""Seconds by which a file may lie in the future before a clock must have been turned back."""


def machine() -> Iterator[Finding]:
    """What was installed, and what one process may open."""
    kind = request_path()
    if kind == COMPILED:
        yield Finding(what="request path", state=State.FINE, sentence="compiled")
    else:
        yield Finding(
            what="request path",
            state=State.NOTE,
            sentence="runs as it is written, at about half the speed of a compiled one",
            todo="install a C compiler, then crossfade again, where a gateway is to be busy",
        )
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    enough = limit == resource.RLIM_INFINITY or limit >= FILES
    many = "any number of" if limit == resource.RLIM_INFINITY else whole(limit)
    yield Finding(
        what="open files",
        state=State.FINE if enough else State.NOTE,
        sentence=f"a process may open {many} files",
        todo="" if enough else f"raise it (`ulimit -n {FILES}`) where many clients stay connected: each takes two",
    )


def ports(host: str, wanted: Mapping[str, int], data: Path) -> Iterator[Finding]:
    """Whether the ports are free, or a crossfade serves this very folder there."""
    here = _served(data)
    for name, port in wanted.items():
        todo = ""
        if port in here:
            state, said = State.FINE, f"{port} is served by a crossfade over this folder"
        else:
            problem, todo = _closed(host, port, name)
            state, said = (State.PROBLEM, problem) if problem else (State.FINE, f"{port} is free")
        yield Finding(what=name.replace("-", " "), state=state, sentence=said, todo=todo)


def _closed(host: str, port: int, name: str) -> tuple[str, str]:
    """Why a port cannot be opened, and what to do; '' where it can."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
    except PermissionError:
        return f"{port} is not yours to open", f"choose one above 1023 with --{name}"
    except OSError as error:
        todo = f"stop what holds it, or serve with --{name} and another number"
        return f"{port} cannot be opened: {error.strerror or error}", todo
    return "", ""


def _served(data: Path) -> set[int]:
    """The ports of the crossfade that runs over this folder; a part of it has not all of them."""
    try:
        told = json.loads((data / "run" / "serve.json").read_bytes())
        ours = {int(port) for what, port in told.items() if what.endswith("_port") and port is not None}
        with contextlib.suppress(PermissionError):
            os.kill(int(told["pid"]), 0)
        return ours
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def folder(data: Path, now: float) -> Iterator[Finding]:
    """Whether facts can be kept there: room, the time a forced write takes, locks, and clocks that went backwards."""
    there = data if data.is_dir() else next((one for one in data.absolute().parents if one.is_dir()), Path("/"))
    free = shutil.disk_usage(there).free
    size = f"{free / (1 << 30):,.1f} GiB are free in {there}"
    if free < SCARCE:
        todo = "free some: where facts cannot be written, new exposure stops"
        yield Finding(what="disk", state=State.PROBLEM, sentence=size, todo=todo)
    elif free < LITTLE:
        todo = "a million requests take about 50 MB until they are retired"
        yield Finding(what="disk", state=State.NOTE, sentence=size, todo=todo)
    else:
        yield Finding(what="disk", state=State.FINE, sentence=size)
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".checkup-") as place:
            yield _forced(Path(place))
            yield _locks(Path(place))
    except OSError as error:
        said = f"nothing can be written in {there}: {error.strerror or error}"
        yield Finding(
            what="writing", state=State.PROBLEM, sentence=said, todo="make it writable, or name another --data"
        )
    if data.is_dir():
        yield _clock(data, now)


def _forced(place: Path) -> Finding:
    took = []
    with (place / "forced").open("wb") as out:
        for _ in range(7):
            out.write(os.urandom(4096))
            began = time.perf_counter()
            out.flush()
            os.fsync(out.fileno())
            took.append((time.perf_counter() - began) * 1000.0)
    ms = median(took)
    slow = ms > SLOW_MS
    return Finding(
        what="writing",
        state=State.NOTE if slow else State.FINE,
        sentence=f"a forced write takes {ms:.1f} ms",
        todo="outcomes are acknowledged after one such write; a local disk would be quicker" if slow else "",
    )


def _locks(place: Path) -> Finding:
    try:
        connection = sqlite3.connect(place / "locks.db")
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            connection.execute("CREATE TABLE tried (x)")
        finally:
            connection.close()
    except sqlite3.Error as error:
        mode = str(error)
    if mode == "wal":
        return Finding(what="locks", state=State.FINE, sentence="several processes can share a database here")
    return Finding(
        what="locks",
        state=State.PROBLEM,
        sentence=f"several processes cannot share a database here ({mode}), as on many network file systems",
        todo="keep the data folder on a local disk",
    )


def _clock(data: Path, now: float) -> Finding:
    newest = max((file.stat().st_mtime for file in data.iterdir()), default=now)
    if newest - now > AHEAD:
        return Finding(
            what="clock",
            state=State.PROBLEM,
            sentence=f"the data folder was written {duration(newest - now)} in the future: this clock was turned back",
            todo="set the clock (NTP) before serving: windows and stages are timed by it",
        )
    return Finding(what="clock", state=State.FINE, sentence="not behind what was written last")
