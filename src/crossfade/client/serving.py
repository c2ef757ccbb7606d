"""One call served: who is asked, whose result is returned, and what is recorded. It waits for nothing.

A generator yields whom to ask and is sent what came of it; one driver waits on threads, another on an event loop, and
both follow the same rules. They are the gateway's rules, on Python results instead of bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from crossfade.client import values
from crossfade.facts import Compared, Exposed, Fact, Shown
from crossfade.live import interleave
from crossfade.live.assign import Assigned, bucket
from crossfade.live.compare.sides import sides
from crossfade.live.exchange.asked import Asked
from crossfade.live.exchange.exposure import Exposure
from crossfade.live.health import EJECTED, EXPOSING
from crossfade.live.protocols.base import Invalid, Prediction
from crossfade.live.routes import Route
from crossfade.spec.model import Ranking

Clock = Callable[[], float]
Record = Callable[[Fact], None]

SERVED, FAILED = 200, 500
"""What stands for a result and for an exception where facts want a status."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of asking one arm."""

    value: Any = None
    failure: str = ""
    """'' for a result; else `error` (it raised), `timeout`, or `refused` (no thread was free for it)."""
    error: BaseException | None = None
    ms: float = 0.0

    def result(self) -> Any:
        """The value, or the exception as the model raised it."""
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask one arm. `timeout` None: the champion, which takes what it takes."""

    arm: str
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Both:
    """Ask champion and challenger at once; the challenger's time is limited."""

    champion: str
    challenger: str
    timeout: float


Steps = Generator[Ask | Both, Any, Tried]


def serve(
    route: Route, asked: Asked, assigned: Assigned, *, ejected: bool, clock: Clock, record: Callable[[Exposed], None],
    shown: Record,
) -> Steps:  # fmt: skip
    """The call's steps; it returns what the caller gets. States exactly one `Exposed`, also when it is abandoned."""
    exposure = Exposure(route, asked, assigned)
    try:
        served_by, got = yield from _answer(route, asked, assigned, exposure, ejected=ejected, clock=clock, note=shown)
    except GeneratorExit:
        exposure.left()
        record(exposure.fact(clock(), served_by="", status=0, size=0))
        raise
    status = FAILED if got.failure else SERVED
    record(exposure.fact(clock(), served_by=served_by, status=status, size=0))
    return got


def _answer(
    route: Route, asked: Asked, assigned: Assigned, exposure: Exposure, *, ejected: bool, clock: Clock, note: Record
) -> Generator[Ask | Both, Any, tuple[str, Tried]]:
    champion = route.champion.name
    challenged = assigned.arm != champion and route.mode in EXPOSING
    if not challenged:
        got: Tried = yield Ask(champion)
        exposure.timed(clock())
        failure = _unusable(got) if route.mode in EXPOSING else got.failure
        if failure:
            exposure.failed(failure, clock())
        return champion, got
    if ejected:
        exposure.ejected()
    if route.mode == "interleave" and route.ranking is not None:
        return (yield from _interleaved(route, asked, assigned, exposure, ejected, clock, note))
    if not ejected:
        arm = next(one for one in route.challengers if one.name == assigned.arm)
        got = yield Ask(arm.name, min(arm.timeout, route.deadline / 2.0))
        failure = _unusable(got)
        exposure.timed(clock())
        if not failure:
            return arm.name, got
        exposure.failed(failure, clock())
    return champion, (yield Ask(champion))


def _unusable(got: Tried) -> str:
    """Why a result is no answer: it is an exception, or holds what is not a number."""
    found = None if got.failure else values.prediction(got.value)
    return found.reason if isinstance(found, Invalid) else got.failure


def _interleaved(
    route: Route, asked: Asked, assigned: Assigned, exposure: Exposure, ejected: bool, clock: Clock, note: Record
) -> Generator[Ask | Both, Any, tuple[str, Tried]]:
    champion, challenger = route.champion, next(one for one in route.challengers if one.name == assigned.arm)
    assert route.ranking is not None
    if ejected:
        ours: Tried = yield Ask(champion.name)
        theirs = Tried(failure=EJECTED)
    else:
        ours, theirs = yield Both(champion.name, challenger.name, min(challenger.timeout, route.deadline))
    listed = _listed(ours, route.ranking)
    other = _listed(theirs, route.ranking)
    if isinstance(other, str) and not ejected:
        exposure.failed(other, clock())
    exposure.timed(clock())
    names = {interleave.CHAMPION: champion.name, interleave.CHALLENGER: challenger.name}
    if isinstance(listed, str):
        if isinstance(other, str):
            return champion.name, ours
        note(_shown(route, asked, [name for name, _ in other], (), "one-ranker"))
        return challenger.name, theirs
    ids = [name for name, _ in listed]
    if isinstance(other, str):
        reason = {"timeout": "late", EJECTED: EJECTED}.get(other, "one-ranker")
        note(_shown(route, asked, ids, (), reason))
        return champion.name, ours
    if route.ranking.pinned:
        pinned = values.pinned(ours.value, route.ranking)
        other = [pair for pair in other if pair[0] not in pinned]
    key = f"{route.salt}:{asked.unit}:{asked.digest}"
    merged = interleave.merge_fairly(route.method, ids, [name for name, _ in other], key=key)
    if merged.same:
        note(_shown(route, asked, ids, (), "same"))
        return champion.name, ours
    lists = {interleave.CHAMPION: listed, interleave.CHALLENGER: other}
    objects = [lists[whose][index][1] for whose, index in merged.from_]
    owners = tuple(names.get(owner, "") for owner in merged.owners)
    note(_shown(route, asked, merged.items, owners, "", interleave.recorded(merged), challenger.name))
    both = f"{champion.name}+{challenger.name}"
    return both, Tried(values.merged(ours.value, route.ranking, objects))


def _listed(got: Tried, ranking: Ranking) -> list[tuple[str, Any]] | str:
    found = got.failure or values.items(got.value, ranking)
    return found.reason if isinstance(found, Invalid) else found


def _shown(
    route: Route,
    asked: Asked,
    items: Any,
    owners: tuple[str, ...],
    excluded: str,
    credits: tuple[int, ...] = (),
    arm: str = "",
) -> Shown:
    return Shown(
        rollout=route.rollout,
        revision=route.revision,
        decision_id=asked.decision_id,
        at=asked.now,
        unit=asked.unit,
        stage=route.stage,
        method=route.method,
        items=tuple(items),
        owners=owners or ("",) * len(items),
        excluded=excluded,
        segments=asked.segments,
        credits=credits,
        arm=arm,
    )


def mirrored(route: Route, decision_id: str) -> bool:
    """Whether this call is copied to the hidden arms."""
    return route.mode == "shadow" and bucket("mirror", decision_id) < route.mirror


def doubled(route: Route, decision_id: str) -> bool:
    """Whether the champion is asked twice, to learn its own noise."""
    return bucket("noise", decision_id) < route.noise


def compared(route: Route, asked: Asked, arm: str, champion: Tried, challenger: Tried, again: Tried | None) -> Compared:
    """The fact of one pair."""
    ours, theirs = _read(champion), _read(challenger)
    second = _read(again) if again is not None else None
    said = sides(_usable(ours), _usable(theirs), _usable(second), route.compare)
    return Compared(
        rollout=route.rollout,
        revision=route.revision,
        decision_id=asked.decision_id,
        at=asked.now,
        unit=asked.unit,
        arm=arm,
        stage=route.stage,
        champion_failed=isinstance(ours, str),
        challenger_failed=isinstance(theirs, str),
        reason=theirs if isinstance(theirs, str) else "",
        differs=said.differs,
        noise_differs=said.noise_differs,
        champion_ms=champion.ms,
        challenger_ms=challenger.ms,
        fields=said.fields,
        segments=asked.segments,
        kinds=said.kinds,
        noise_fields=said.noise_fields,
        among=said.among,
    )


def _usable(read: Prediction | str | None) -> Prediction | None:
    return read if isinstance(read, Prediction) else None


def _read(got: Tried) -> Prediction | str | None:
    if got.failure:
        return got.failure
    found = values.prediction(got.value)
    return found.reason if isinstance(found, Invalid) else found
