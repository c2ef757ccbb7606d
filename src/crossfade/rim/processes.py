"""Child processes that never outlive their parent, restarted when they die."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None


def die_with_parent() -> None:
    """Ask the kernel to send SIGTERM to this process when its parent dies, however that happens.

    Used as `preexec_fn`. Elsewhere than on Linux it does nothing, and an orphan has to be ended by hand.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Child:
    """One supervised process: how to start it, and how it has fared."""

    name: str
    command: Sequence[str]
    pass_fds: tuple[int, ...] = ()
    log: Path | None = None
    """Where its output is appended; None to give it ours."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    not_before: float = 0.0
    on_start: Callable[[Child], None] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def start(self) -> None:
        """Start the process now; output is appended to its log."""
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(self.log.open("ab")) if self.log is not None else None
            self.process = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=out if out is not None else sys.stderr,
                stderr=subprocess.STDOUT if out is not None else sys.stderr,
                pass_fds=self.pass_fds,
                preexec_fn=die_with_parent,
                # Ctrl-C in a terminal reaches the whole foreground group; only the parent may act on it,
                # so that children end in the order it chooses.
                process_group=0,
            )
        self.started = time.monotonic()
        if self.on_start is not None:
            self.on_start(self)

    def revive(self, now: float) -> bool:
        """Start the process again if it has died; a process that dies young waits longer each time."""
        if self.process is not None and self.process.poll() is None:
            if self.restarts and now - self.started > 30.0:
                self.restarts = 0
            return False
        if now < self.not_before:
            return False
        lived = now - self.started
        self.restarts += 1
        pause = 0.0 if lived > 5.0 else min(5.0, 0.1 * 2 ** min(self.restarts, 6))
        self.not_before = now + pause
        self.start()
        return True


def stop_all(children: Sequence[Child], *, grace: float = 12.0) -> list[str]:
    """Ask every child to end, in order; kill those that do not within `grace` seconds. Returns the killed."""
    for child in children:
        if child.pid is not None and child.process is not None:
            with contextlib.suppress(ProcessLookupError):
                child.process.terminate()
    killed: list[str] = []
    deadline = time.monotonic() + grace
    for child in children:
        if child.process is None:
            continue
        try:
            child.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
            killed.append(child.name)
    return killed
