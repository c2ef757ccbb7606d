"""A rollout as a flag: which arm a unit gets, for programs that ask and then do as they are told by themselves.

Nobody sees a reply here. So an answer is recorded as an exposure only of rollouts whose arms are `python:`, and only
where their metrics need no reply; a rollout behind a gateway is recorded there, by the same assignment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from crossfade.client.claiming import claim
from crossfade.facts import Lease
from crossfade.live import paths, units
from crossfade.live.assign import assign
from crossfade.live.exchange.asked import Asked
from crossfade.live.exchange.exposure import Exposure
from crossfade.live.routes import EXCLUDED, Route, recorded, routes, taken
from crossfade.rim.glance import Glance
from crossfade.rim.glance_at import glance_at
from crossfade.rim.glance_server import ServerGlance
from crossfade.rim.identity import decision_id
from crossfade.rim.journal import Journal
from crossfade.rim.pseudonym_keys import Keys
from crossfade.rim.recorder import Recorder
from crossfade.rim.routes_feed import RoutesFeed, Stands, Update
from crossfade.spec.model import Ab, Canary, Field, From, Promote, Rollout, Source
from crossfade.state import ENDED, Phase, Position

SERVED = 200
"""What stands for an answer where facts want a status."""


class Why(StrEnum):
    """Why a unit got its arm."""

    SPLIT = "split"
    """Its bucket decided."""
    STATIC = "static"
    """Everyone gets this arm now."""
    SEGMENT = "segment"
    """It belongs to a segment that is kept on the champion."""
    NO_UNIT = "no-unit"
    """It was not said who asks, so nothing was randomised."""
    OFF = "off"
    """The rollout has not begun, or was rolled back."""
    STALE = "stale"
    """No controller is heard, or facts cannot be written: nobody is exposed."""


class UnknownFlag(LookupError):
    """No rollout has this name."""


class NeedsReplies(ValueError):
    """A rollout that is judged by replies, which nobody sees here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The arm of one unit."""

    arm: str
    challenger: bool
    why: Why
    decision_id: str
    """Outcomes may be reported under it; '' where nothing was recorded."""
    rollout: Rollout
    position: Position
    weight: float
    """Share of units that each challenger has."""
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What has changed."""

    flags: tuple[str, ...]
    """Rollouts that answer differently from now on."""
    problem: str
    """Why every answer is the champion; '' when all is well."""
    stale: bool
    """That is because nothing is heard of the controller."""


@dataclass(frozen=True, slots=True)
class _Flag:
    rollout: Rollout
    position: Position
    route: Route
    """As it may be acted on now."""
    stale: bool
    unfit: str


class Flags:
    """Every rollout of a data folder as a flag. Safe to share between threads; open it after a fork."""

    def __init__(self, data: Path, tell: Callable[[News], None]) -> None:
        """Begins to follow the folder; `tell` is called from other threads. Raises StoreError or OSError."""
        self._tell = tell
        self._glance: Glance | ServerGlance = glance_at(data)
        self._worker, self._claim = claim(data)
        self._recorder = Recorder(Journal(data, self._worker))
        self._all: dict[str, Stands] = {}
        self._flags: dict[str, _Flag] = {}
        self._lease = False
        self._told = ""
        self._first = threading.Event()
        self._closed = False
        self._feed = RoutesFeed(self._glance, self._healthy, key=Keys(data).of, pick=self._pick)
        self._feed.start(self._adopt)

    def close(self) -> None:
        """Write what is left and let go of the files."""
        if not self._closed:
            self._closed = True
            self._feed.stop()
            self._glance.close()
            self._recorder.close()
            self._claim.close()

    def wait(self, seconds: float) -> bool:
        """Until the controller is heard; False when that took longer."""
        return self._first.wait(seconds)

    @property
    def readable(self) -> bool:
        """Whether there is a store with rollouts to look at."""
        return bool(self._flags)

    @property
    def heard(self) -> bool:
        """Whether the controller is."""
        return self._lease

    @property
    def problem(self) -> str:
        """Why every answer is the champion; '' when all is well."""
        if not self._lease:
            return "no controller is heard: the champion serves"
        if self._recorder.failure:
            return f"exposures cannot be written: {self._recorder.failure}; the champion serves"
        return ""

    def following(self, outcome: str) -> tuple[str, ...]:
        """Rollouts under way that ask for an outcome of this name."""
        return tuple(
            name
            for name, flag in self._flags.items()
            if outcome in flag.rollout.outcome_names and flag.position.phase not in (*ENDED, Phase.PENDING)
        )

    def ask(self, name: str, unit: str, attributes: Mapping[str, Any]) -> Answer:
        """The arm of a unit now. Looks nothing up and never waits. Raises UnknownFlag or NeedsReplies."""
        flag = self._flags.get(name)
        if flag is None or self._closed:
            known = ", ".join(sorted(self._flags)) or "none; is this the folder that `crossfade serve` has?"
            raise UnknownFlag(f"no rollout is named {name!r}; there are: {known}")
        if flag.unfit:
            raise NeedsReplies(flag.unfit)
        values = tuple(_value(place, attributes) for place in flag.route.segments)
        route = taken(flag.route, values)
        now = time.time()
        decision = decision_id(now)
        named = decision if route.unit.source is From.REQUEST else units.canonical(unit)
        assigned = assign(route, named)
        asked = Asked(
            method="GET",
            decision_id=decision,
            now=now,
            start=time.monotonic(),
            unit=recorded(route, named),
            segments=values,
        )
        kept = flag.rollout.in_process
        if kept:
            fact = Exposure(route, asked, assigned).fact(asked.start, served_by=assigned.arm, status=SERVED, size=0)
            self._recorder.record(fact)
        return Answer(
            arm=assigned.arm,
            challenger=flag.position.phase is Phase.FINISHED or assigned.arm != flag.rollout.champion.name,
            why=_why(flag, route, missing=assigned.missing),
            decision_id=decision if kept else "",
            rollout=flag.rollout,
            position=flag.position,
            weight=route.weight,
            mode=route.mode,
        )

    def _healthy(self) -> bool:
        return self._recorder.healthy

    def _pick(self, stored: Sequence[Stands]) -> Iterable[Stands]:
        self._all = {one.rollout.name: one for one in stored}
        return stored

    def _adopt(self, update: Update) -> None:
        changed: tuple[str, ...] = ()
        if update.table is not None:
            flags = {route.rollout: _flag(self._all[route.rollout], route) for route in update.table.routes}
            names = {*flags, *self._flags}
            changed = tuple(sorted(name for name in names if flags.get(name) != self._flags.get(name)))
            self._flags = flags
        if update.lease is not None:
            self._lease = update.lease
            if any(flag.rollout.in_process for flag in self._flags.values()):
                self._recorder.record(Lease(at=time.time(), worker=self._worker, held=update.lease))
        problem = self.problem
        if changed or problem != self._told:
            self._told = problem
            self._tell(News(flags=changed, problem=problem, stale=not self._lease))
        if self._lease:
            self._first.set()


def _flag(stands: Stands, route: Route) -> _Flag:
    intended = routes(stands.rollout, stands.position)
    return _Flag(stands.rollout, stands.position, route, route.mode != intended.mode, _unfit(stands.rollout))


def _unfit(rollout: Rollout) -> str:
    """Why a rollout cannot be judged by flags; '' where it can, or where a gateway records it."""
    if not rollout.in_process:
        return ""
    wrong = [
        f"metric {metric.name} (from: {metric.source})" for metric in rollout.metrics if metric.source != Source.OUTCOME
    ]
    wrong += [f"metric {metric.name} (only: differing)" for metric in rollout.metrics if metric.differing]
    wrong += [
        f"stage {type(stage).__name__.lower()}"
        for stage in rollout.stages
        if not isinstance(stage, Canary | Ab | Promote)
    ]
    if not wrong:
        return ""
    return (
        f"{rollout.name} needs replies, which nobody sees behind a flag: {', '.join(wrong)}; use metrics"
        " `from: outcome` and the stages canary, ab and promote, or call the models through crossfade.client.Rollout or"
        " a gateway"
    )


def _why(flag: _Flag, route: Route, *, missing: bool) -> Why:
    if flag.stale:
        return Why.STALE
    if flag.position.phase is Phase.FINISHED:
        return Why.STATIC
    if route.why == EXCLUDED:
        return Why.SEGMENT
    if route.mode == "champion":
        return Why.OFF
    if route.weight <= 0.0:
        return Why.STATIC
    if missing:
        return Why.NO_UNIT
    return Why.STATIC if route.weight >= 1.0 and len(route.challengers) == 1 else Why.SPLIT


def _value(place: Field, attributes: Mapping[str, Any]) -> str:
    """A segment's value: an attribute called as in the spec, or by the field's bare name."""
    whole = attributes.get(str(place))
    if whole is not None:
        return units.canonical(whole)
    if place.source is From.JSON:
        return units.canonical(paths.compile(place.name).get(dict(attributes)))
    if place.source is From.HEADER:
        wanted = place.name.lower()
        return next((units.canonical(value) for name, value in attributes.items() if name.lower() == wanted), "")
    return units.canonical(attributes.get(place.name))
