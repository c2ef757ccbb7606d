"""Who holds something that only one process may: told so that another can find out whether it lives, and can end it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def myself() -> dict[str, Any]:
    """This process, in a way that no later one can be mistaken for."""
    pid = os.getpid()
    return {"pid": pid, "began": _began(pid), "place": _place()}


def near(holder: Mapping[str, Any]) -> bool:
    """Whether a process runs, or ran, where its number means the same as here."""
    return holder.get("place") == _place() and _place() != ""


def dead(holder: Mapping[str, Any]) -> bool:
    """Whether a process is known to have ended; of those elsewhere nothing is known."""
    return near(holder) and not _there(holder)


def end(holder: Mapping[str, Any]) -> bool:
    """Kill a process that has fallen silent, whatever it is stopped in; whether there was one to kill."""
    if not near(holder) or not _there(holder) or holder["pid"] == os.getpid():
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(int(holder["pid"]), signal.SIGKILL)
        return True
    return False


def _there(holder: Mapping[str, Any]) -> bool:
    began = _began(int(holder.get("pid", 0)))
    return began is not None and began == holder.get("began")


def _began(pid: int) -> int | None:
    """When a process began, in ticks since the machine did; None where it has ended or nobody can say."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # One that has ended and that its parent has not asked about holds nothing any more.
    return None if told[0] in "ZX" else int(told[19])


def _place() -> str:
    """Where process numbers mean the same: one boot of one machine, or one container of it. Empty where not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
