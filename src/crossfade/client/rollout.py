"""A rollout around Python callables: the gateway's rules for models that live in the same program.

`Rollout.open` follows the position in a data folder, which a controller (`crossfade serve SPEC --workers 0`) moves.
Facts go to a journal in that folder. Every process opens its own, after it was forked.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import xxhash

from crossfade.client import serving
from crossfade.client.serving import Ask, Both, Steps, Tried
from crossfade.client.workers import Workers
from crossfade.facts import Dropped, Exposed, Fact, Lease
from crossfade.live import units
from crossfade.live.assign import assign
from crossfade.live.exchange.asked import Asked
from crossfade.live.health import Outlier, told
from crossfade.live.routes import Route, recorded, taken
from crossfade.rim.identity import decision_id
from crossfade.rim.routes_feed import Update
from crossfade.spec.model import From

if TYPE_CHECKING:
    from crossfade.client.recording import Opened

Model = Callable[[Any], Any]
"""Takes a payload and returns a result, or an awaitable of one."""

_encoder = msgspec.json.Encoder(enc_hook=repr)


class Result(NamedTuple):
    """What a call returns."""

    result: Any
    """The model's own result."""
    decision_id: str
    """Report outcomes under this id."""


class Rollout:
    """One rollout whose arms are Python callables. Safe to share between threads; see `open`."""

    def __init__(self, opened: Opened, arms: Mapping[str, Model], *, threads: int, copies: int, waiting: int) -> None:
        self.name = opened.rollout.name
        self._opened = opened
        self._arms = dict(arms)
        self._async = {name for name, model in arms.items() if _is_async(model)}
        self._route: Route | None = None
        self._outliers = {
            arm.name: Outlier(trial_seconds=min(arm.timeout, opened.rollout.deadline))
            for arm in opened.rollout.challengers
        }
        self._challengers = Workers("crossfade-challenger", threads=threads, waiting=0)
        self._copies = Workers("crossfade-copy", threads=copies, waiting=waiting)
        self._most_tasks = copies + waiting
        self._room = copies
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._drops: dict[str, int] = {}
        self._told = 0.0
        self._closed = False
        opened.feed.start(self._adopt)

    @classmethod
    def open(
        cls,
        spec: str | Path,
        *,
        data: str | Path,
        arms: Mapping[str, Model],
        threads: int = 16,
        copies: int = 2,
        waiting: int = 512,
    ) -> Rollout:
        """The rollout of a spec, given as a path or as text, with a callable for each of its arms by name.

        At most `threads` plain challengers run at a time; `copies` hidden ones do, and `waiting` more may wait for
        them before they are dropped and counted. Raises ValueError where the arms are not the spec's, SpecProblems
        for a spec that does not hold, and StoreError or OSError where the folder cannot be used.
        """
        from crossfade.client.recording import open_all

        text = spec if isinstance(spec, str) and "\n" in spec else Path(spec).read_text()
        opened = open_all(text, Path(data), time.time())
        wanted = [opened.rollout.champion.name, *(arm.name for arm in opened.rollout.challengers)]
        if sorted(arms) != sorted(wanted):
            opened.close()
            raise ValueError(
                f"arms are given for {', '.join(sorted(arms)) or 'nobody'}; the spec of {opened.rollout.name} names"
                f" {', '.join(wanted)}: give a callable for each of them"
            )
        return cls(opened, arms, threads=threads, copies=copies, waiting=waiting)

    def __enter__(self) -> Rollout:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is left; copies under way are abandoned."""
        if not self._closed:
            self._closed = True
            self._copies.close()
            self._challengers.close()
            self._tell_drops(time.monotonic(), force=True)
            self._opened.close()

    @property
    def mode(self) -> str:
        """How calls are served now: `champion`, `shadow`, `canary`, `interleave`, `ab` or `promote`."""
        return self._serving().mode

    # -- calls -------------------------------------------------------------------------------------------------------

    def call_sync(self, unit: str, payload: Any, *, segments: Sequence[str] = ()) -> Result:
        """Serve one call in this thread. Raises what the champion raises, never what a challenger does.

        The champion runs here; a challenger in a thread of its own, so that it can be given up at its timeout. It
        must not change the payload, which all arms share. Needs plain functions; with coroutines use `call`.
        """
        if self._async:
            raise TypeError(f"{', '.join(sorted(self._async))} must be awaited: use `await rollout.call(...)`")
        route, asked, steps = self._begin(unit, payload, segments)
        champion: list[Tried] = []
        try:
            step = next(steps)
            while True:
                step = steps.send(self._carry_out(step, payload, champion))
        except StopIteration as ended:
            got: Tried = ended.value
        except BaseException:
            steps.close()
            raise
        if serving.mirrored(route, asked.decision_id):
            for arm in route.challengers:
                if not self._copies.submit(lambda name=arm.name: self._copy(route, asked, name, payload, champion[0])):  # type: ignore[misc]
                    self._drop("queue-full")
        self._tell_drops(time.monotonic())
        return Result(got.result(), asked.decision_id)

    async def call(self, unit: str, payload: Any, *, segments: Sequence[str] = ()) -> Result:
        """Serve one call on this event loop. Raises what the champion raises, never what a challenger does.

        Coroutine functions run on the loop, plain functions in threads. Arms must not change the payload, which all
        of them share, and a coroutine that computes without awaiting holds up the loop, whoever calls it.
        """
        route, asked, steps = self._begin(unit, payload, segments)
        champion: list[Tried] = []
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._carry_out_async(step, payload, champion))
        except StopIteration as ended:
            got: Tried = ended.value
        except BaseException:
            steps.close()
            raise
        if serving.mirrored(route, asked.decision_id):
            for arm in route.challengers:
                self._copy_soon(route, asked, arm.name, payload, champion[0])
        self._tell_drops(time.monotonic())
        return Result(got.result(), asked.decision_id)

    def _begin(self, unit: str, payload: Any, segments: Sequence[str]) -> tuple[Route, Asked, Steps]:
        route = self._serving()
        values = _values(route, segments)
        if route.excluded:
            route = taken(route, values)
        now = time.time()
        decision = decision_id(now)
        named = decision if route.unit.source is From.REQUEST else units.canonical(unit)
        asked = Asked(
            method="POST",
            decision_id=decision,
            now=now,
            start=time.monotonic(),
            unit=recorded(route, named),
            digest=_digest(payload, decision) if route.mode == "interleave" else "",
            segments=values,
        )
        assigned = assign(route, named)
        ejected = assigned.arm != route.champion.name and not self._admits(assigned.arm)
        steps = serving.serve(
            route,
            asked,
            assigned,
            ejected=ejected,
            clock=time.monotonic,
            record=self._exposed,
            shown=self._record,
        )
        return route, asked, steps

    # -- one model ---------------------------------------------------------------------------------------------------

    def _carry_out(self, step: Ask | Both, payload: Any, champion: list[Tried]) -> Any:
        began = time.monotonic()
        if isinstance(step, Ask):
            if step.timeout is not None:
                return _wait(self._submit(step.arm, payload), step.timeout)
            champion.append(self._try(step.arm, payload))
            return champion[0]
        other = self._submit(step.challenger, payload)
        champion.append(self._try(step.champion, payload))
        return champion[0], _wait(other, max(0.0, step.timeout - (time.monotonic() - began)))

    async def _carry_out_async(self, step: Ask | Both, payload: Any, champion: list[Tried]) -> Any:
        if isinstance(step, Ask):
            if step.timeout is not None:
                return await self._limited(step.arm, payload, step.timeout)
            champion.append(await self._try_async(step.arm, payload))
            return champion[0]
        other = asyncio.ensure_future(self._limited(step.challenger, payload, step.timeout))
        try:
            champion.append(await self._try_async(step.champion, payload))
            return champion[0], await other
        finally:
            other.cancel()

    def _try(self, arm: str, payload: Any) -> Tried:
        began = time.monotonic()
        try:
            value = self._arms[arm](payload)
        except Exception as error:
            return Tried(failure="error", error=error, ms=_since(began))
        return Tried(value, ms=_since(began))

    async def _try_async(self, arm: str, payload: Any) -> Tried:
        if arm not in self._async:
            return await asyncio.to_thread(self._try, arm, payload)
        began = time.monotonic()
        try:
            value = await self._arms[arm](payload)
        except Exception as error:
            return Tried(failure="error", error=error, ms=_since(began))
        return Tried(value, ms=_since(began))

    def _submit(self, arm: str, payload: Any) -> Future[Tried]:
        future: Future[Tried] = Future()
        if not self._challengers.submit(lambda: self._try(arm, payload), future.set_result):
            future.set_result(Tried(failure="refused"))
        return future

    async def _limited(self, arm: str, payload: Any, timeout: float) -> Tried:
        began = time.monotonic()
        asking: Awaitable[Tried]
        if arm in self._async:
            asking = self._try_async(arm, payload)
        else:
            asking = asyncio.wrap_future(self._submit(arm, payload))
        task = asyncio.ensure_future(asking)
        try:
            # Not `wait_for`: a model that does not heed its cancellation must not be waited for.
            await asyncio.wait((task,), timeout=timeout)
            if task.done() and not task.cancelled():
                return task.result()
            return Tried(failure="timeout", ms=_since(began))
        finally:
            task.cancel()

    # -- copies ------------------------------------------------------------------------------------------------------

    def _copy(self, route: Route, asked: Asked, arm: str, payload: Any, champion: Tried) -> None:
        again = None
        if serving.doubled(route, asked.decision_id):
            again = self._try(route.champion.name, payload)
        self._pair(route, asked, arm, champion, self._try(arm, payload), again)

    def _copy_soon(self, route: Route, asked: Asked, arm: str, payload: Any, champion: Tried) -> None:
        if not self._async:
            if not self._copies.submit(lambda: self._copy(route, asked, arm, payload, champion)):
                self._drop("queue-full")
        elif len(self._tasks) >= self._most_tasks:
            self._drop("queue-full")
        else:
            task = asyncio.ensure_future(self._copy_async(route, asked, arm, payload, champion))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy_async(self, route: Route, asked: Asked, arm: str, payload: Any, champion: Tried) -> None:
        while self._room == 0:
            await asyncio.sleep(0.01)
        self._room -= 1
        try:
            limit = next(one.timeout for one in route.challengers if one.name == arm)
            again = None
            if serving.doubled(route, asked.decision_id):
                again = await self._limited(route.champion.name, payload, route.champion.timeout)
            self._pair(route, asked, arm, champion, await self._limited(arm, payload, limit), again)
        finally:
            self._room += 1

    def _pair(
        self, route: Route, asked: Asked, arm: str, champion: Tried, challenger: Tried, again: Tried | None
    ) -> None:
        limit = next(one.timeout for one in route.challengers if one.name == arm)
        if challenger.ms > limit * 1000.0:
            challenger = Tried(failure="timeout", ms=challenger.ms)
        if not self._closed:
            self._record(serving.compared(route, asked, arm, champion, challenger, again))

    def _drop(self, reason: str) -> None:
        with self._lock:
            self._drops[reason] = self._drops.get(reason, 0) + 1

    def _tell_drops(self, now: float, *, force: bool = False) -> None:
        if not self._drops or (now - self._told < 1.0 and not force):
            return
        with self._lock:
            drops, self._drops, self._told = self._drops, {}, now
        for reason, count in drops.items():
            self._record(
                Dropped(rollout=self.name, at=time.time(), worker=self._opened.worker, reason=reason, count=count)
            )

    # -- facts and position ------------------------------------------------------------------------------------------

    def _adopt(self, update: Update) -> None:
        if update.table is not None and update.table.routes:
            self._route = update.table.routes[0]
        if update.lease is not None:
            self._record(Lease(at=time.time(), worker=self._opened.worker, held=update.lease))

    def _serving(self) -> Route:
        if self._closed:
            raise RuntimeError(f"the rollout {self.name} is closed; open it again to call its models")
        if self._route is None:
            raise RuntimeError(f"{self.name} cannot be read from its data folder; the log says why")
        return self._route

    def _admits(self, arm: str) -> bool:
        outlier = self._outliers.get(arm)
        if outlier is None or not outlier.out:
            return True
        with self._lock:
            return outlier.admits(time.monotonic())

    def _exposed(self, fact: Exposed) -> None:
        self._record(fact)
        outlier, well = self._outliers.get(fact.arm), told(fact)
        if outlier is not None and well is not None:
            with self._lock:
                (outlier.succeeded if well else outlier.failed)(time.monotonic())

    def _record(self, fact: Fact) -> None:
        self._opened.recorder.record(fact)


def _values(route: Route, segments: Sequence[str]) -> tuple[str, ...]:
    """What is recorded of a call's segments: those declared, or these and what is explored, in the spec's order."""
    most = len(route.segments)
    if segments and len(segments) not in (route.declared, most):
        explored = f" and {most - route.declared} to explore" if most > route.declared else ""
        raise ValueError(f"{len(segments)} segments are given; the spec names {route.declared}{explored}, in its order")
    return (*map(units.canonical, segments), *("",) * (most - len(segments)))


def _is_async(model: Model) -> bool:
    return inspect.iscoroutinefunction(model) or inspect.iscoroutinefunction(getattr(model, "__call__", None))  # noqa: B004


def _since(began: float) -> float:
    return (time.monotonic() - began) * 1000.0


def _wait(future: Future[Tried], timeout: float) -> Tried:
    try:
        return future.result(timeout)
    except FutureTimeout:
        return Tried(failure="timeout", ms=timeout * 1000.0)


def _digest(payload: Any, otherwise: str) -> str:
    """The same unit asking the same thing sees the same list."""
    try:
        return xxhash.xxh3_64_hexdigest(_encoder.encode(payload))
    except (TypeError, ValueError, RecursionError):
        return otherwise
