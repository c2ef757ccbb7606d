"""Plans of optimized interleaving, made in a process of their own and kept: one takes many times as long as a merge."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from crossfade.live.interleave.optimized import Infeasible, Pattern, Plan, plan
from crossfade.rim.comparing import end_with

log = logging.getLogger("crossfade.gateway")

PATIENCE = 0.25
"""Seconds that a user waits for a plan; without one the champion's list is shown."""

MOST_WAITING = 32
"""Plans under way or waiting; more would only come too late."""

MOST_KEPT = 4096

Then = Callable[[Plan | None], None]


class Planning:
    """One process, started by `begin` and again after it died. Everything else runs on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread: ThreadPoolExecutor | None = None
        self._process: ProcessPoolExecutor | None = None
        self._kept: dict[Pattern, Plan | None] = {}
        self._waiting: dict[Pattern, list[Then]] = {}

    def begin(self) -> None:
        """Have the process ready: starting it takes longer than anybody waits."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="plan")
            self._thread.submit(self._devise, _FIRST)

    def ask(self, pattern: Pattern, then: Then) -> None:
        """Give `then` the plan, at once where it is known, in any case within PATIENCE; None where there is none."""
        if pattern in self._kept:
            # Those asked for last are kept longest.
            known = self._kept[pattern] = self._kept.pop(pattern)
            then(known)
            return
        waiting = self._waiting.get(pattern)
        if waiting is None:
            if len(self._waiting) >= MOST_WAITING:
                then(None)
                return
            self.begin()
            assert self._thread is not None
            waiting = self._waiting[pattern] = []
            made = asyncio.wrap_future(self._thread.submit(self._devise, pattern), loop=self._loop)
            made.add_done_callback(lambda done: self._made(pattern, done))
        waiting.append(then)
        self._loop.call_later(PATIENCE, self._late, pattern, then)

    def close(self) -> None:
        """End the process."""
        if self._thread is not None:
            # By the thread that began the process: the end of that thread is what would kill it.
            self._thread.submit(self._end)
            self._thread.shutdown(wait=True)

    def _made(self, pattern: Pattern, done: asyncio.Future[Plan | None]) -> None:
        waiting = self._waiting.pop(pattern, [])
        found = None
        if done.cancelled() or done.exception() is not None:
            said = "" if done.cancelled() else f"{done.exception()}"
            log.warning("no plan could be made", extra={"fields": {"event": "plan-failed", "problem": said[:200]}})
        else:
            found = self._kept[pattern] = done.result()
            if len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        for then in waiting:
            then(found)

    def _late(self, pattern: Pattern, then: Then) -> None:
        waiting = self._waiting.get(pattern, [])
        if then in waiting:
            waiting.remove(then)
            then(None)

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _devise(self, pattern: Pattern) -> Plan | None:
        if self._process is None:
            spawn = multiprocessing.get_context("spawn")
            self._process = ProcessPoolExecutor(1, mp_context=spawn, initializer=_begin, initargs=(os.getpid(),))
        try:
            return self._process.submit(devise, pattern).result()
        except BrokenProcessPool:
            self._process.shutdown(wait=False)
            self._process = None
            raise

    def _end(self) -> None:
        if self._process is not None:
            self._process.shutdown(wait=True)


_FIRST: Pattern = (1, 1, (1,))
"""Any pattern, to have everything loaded."""


def devise(pattern: Pattern) -> Plan | None:
    """The plan for a pattern; None where no mixture of lists is fair."""
    from crossfade.judge.credit.fair import fair_mixture

    try:
        return plan(*pattern, solve=fair_mixture)
    except Infeasible:
        return None


def _begin(parent: int) -> None:
    """In the new process: leave signals to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
