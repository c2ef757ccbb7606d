"""The engine: runs the questions of `judge.measure` over the lake and hands back moments.

A look at everything takes in what is new (`watch`); a look at named versions asks everything anew (`full`). Both give
the same answers, which a law test holds them to. On DuckDB, unless the operator names another engine: then each
look asks everything anew, there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from crossfade.judge.ageing import aged, days
from crossfade.judge.day import Day
from crossfade.judge.measure import Measured
from crossfade.rim.engine.decisions import Decisions
from crossfade.rim.engine.elsewhere import HERE
from crossfade.rim.engine.elsewhere.lasting import Lasting
from crossfade.rim.engine.feed import Rewritten
from crossfade.rim.engine.full import Full
from crossfade.rim.engine.look import look_mode, not_started, take
from crossfade.rim.engine.watch import Watch
from crossfade.rim.lake import Lake
from crossfade.spec.model import Rollout
from crossfade.state import Phase, Position

__all__ = ["Engine", "look_mode"]


class Engine:
    """Measures rollouts over one lake. Safe to share between threads; one look runs at a time."""

    def __init__(self, lake: Lake, *, threads: int = 2, engine: str = HERE) -> None:
        """`engine`: which is asked, by its spelling of `elsewhere.chosen`."""
        self._lake = lake
        self._elsewhere = None if engine == HERE else Lasting(engine, lake)
        self._threads = threads
        self._lock = threading.Lock()
        self._decisions: Decisions | None = None
        self._watches: dict[str, Watch] = {}
        self.progress: Callable[[], None] = lambda: None
        """Called whenever some facts more have been taken in, so that a long first look is not taken for a hung one."""
        self._found: dict[str, tuple[Position, Measured]] = {}
        """What each watch found last, and where the rollout stood."""

    def measure(
        self, rollout: Rollout, position: Position, now: float, facts: Mapping[str, int] | None = None
    ) -> Measured:
        """One look at a rollout's present stage. With `facts`, over exactly those table versions instead of all."""
        with self._lock:
            versions = self._lake.versions() if facts is None else facts
            if position.phase is Phase.PENDING:
                return not_started(rollout, position, now, versions)
            if facts is not None or self._elsewhere is not None:
                with self._full(rollout, versions) as full:
                    full.look(rollout.name, position.stage, look_mode(rollout, position), position.stage_since, now)
                    return take(full, rollout, position, now, versions)
            watch = self._watch(rollout, position, now, versions)
            stood, found = self._found.get(rollout.name, (None, None))
            if watch.still and found is not None and stood == position:
                orphans, early = watch.orphans(now)
                progress = replace(found.progress, orphans=orphans, early=early)
                found = replace(found, now=now, facts=dict(versions), progress=progress)
            else:
                found = take(watch, rollout, position, now, versions)
            self._found[rollout.name] = position, found
            return found

    def days(self, rollout: Rollout, position: Position, now: float) -> tuple[Day, ...]:
        """The effect by days since first exposure in the present stage: one query over all facts."""
        names = tuple(sorted({metric.outcome or metric.name for metric in aged(rollout)}))
        if not names:
            return ()
        with self._lock, self._full(rollout, self._lake.versions()) as full:
            mode = look_mode(rollout, position)
            full.look(rollout.name, position.stage, mode, position.stage_since, now)
            return days(rollout, full.ages(names), mode)

    def close(self) -> None:
        """Free the memory."""
        with self._lock:
            self._forget()
            if self._elsewhere is not None:
                self._elsewhere.close()

    @contextmanager
    def _full(self, rollout: Rollout, versions: Mapping[str, int]) -> Iterator[Full]:
        if self._elsewhere is not None:
            with self._elsewhere.full(versions, within=rollout.lease) as full:
                yield full
            return
        full = Full(self._lake, versions, self._threads)
        try:
            yield full
        finally:
            full.close()

    def _watch(self, rollout: Rollout, position: Position, now: float, versions: Mapping[str, int]) -> Watch:
        """The rollout's watch, with all facts of these versions taken in."""
        try:
            return self._kept_up(rollout, position, now, versions)
        except Rewritten:
            # The stage began anew, or the table's log no longer tells what is new: read everything once more.
            self._drop(rollout.name)
            return self._kept_up(rollout, position, now, versions)

    def _kept_up(self, rollout: Rollout, position: Position, now: float, versions: Mapping[str, int]) -> Watch:
        try:
            if self._decisions is None:
                self._decisions = Decisions(self._lake, self._threads)
            self._decisions.read(versions, self.progress)
        except Exception:
            self._forget()
            raise
        watch = self._watches.get(rollout.name)
        if watch is not None and watch.rollout != rollout:
            self._drop(rollout.name)
            watch = None
        if watch is None:
            watch = self._watches[rollout.name] = Watch(self._lake, rollout, self._decisions, self._threads)
        try:
            watch.look(position, versions, now, self.progress)
        except Exception:
            self._drop(rollout.name)
            raise
        return watch

    def _drop(self, name: str) -> None:
        self._found.pop(name, None)
        watch = self._watches.pop(name, None)
        if watch is not None:
            watch.close()

    def _forget(self) -> None:
        for name in list(self._watches):
            self._drop(name)
        if self._decisions is not None:
            self._decisions.close()
            self._decisions = None
