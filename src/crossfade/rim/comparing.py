"""Large comparisons, in a process of their own: decoding a long reply keeps the interpreter for milliseconds."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import Future as Promise
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

from crossfade.facts import Compared
from crossfade.live.exchange.messages import Compare
from crossfade.live.exchange.mirrored import compared

_PR_SET_PDEATHSIG = 1


class Comparing:
    """One process, started when the first large pair comes and again after it died; a thread waits for it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compare")
        self._process: ProcessPoolExecutor | None = None

    def submit(self, pair: Compare) -> Promise[Compared]:
        """Set a pair's answers side by side. Never blocks."""
        return self._thread.submit(self._ask, pair)

    def close(self) -> None:
        """Finish what was begun."""
        # By the thread that began the process: the end of that thread is what would kill it.
        self._thread.submit(self._end)
        self._thread.shutdown(wait=True)

    def _end(self) -> None:
        if self._process is not None:
            self._process.shutdown(wait=True)

    def _ask(self, pair: Compare) -> Compared:
        if self._process is None:
            spawn = multiprocessing.get_context("spawn")
            self._process = ProcessPoolExecutor(1, mp_context=spawn, initializer=_begin, initargs=(os.getpid(),))
        try:
            return self._process.submit(_compared, pair).result()
        except BrokenProcessPool:
            self._process.shutdown(wait=False)
            self._process = None
            raise


def _compared(pair: Compare) -> Compared:
    from crossfade.rim.theirs import embed

    return compared(pair, embed)


def _begin(parent: int) -> None:
    """In the new process: go behind users' work, leave signals to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with suppress(OSError):
        os.nice(10)
    end_with(parent)


def end_with(parent: int) -> None:
    """Let this process end when the thread that began it does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)
