"""The names of programs that record into a data folder: each holds one that no other process on this machine has."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

MOST_PROCESSES = 1000


def claim(data: Path) -> tuple[str, IO[str]]:
    """A worker's name that no other process on this machine holds, the lowest: journals are found again and emptied."""
    run = data / "run"
    run.mkdir(parents=True, exist_ok=True)
    for number in range(MOST_PROCESSES):
        handle = (run / f"client-{number}.lock").open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            continue
        return f"client-{number}", handle
    raise OSError(f"{MOST_PROCESSES} programs already record into {data}; close some of them")
