"""What a driver is asked to make a router do, what it answers, and how it refuses: the contract of every driver.

A driver is asked by one thread at a time, and may wait. It never answers from memory: what it tells was read from the
router, after it was written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from crossfade.live.routes import Route
from crossfade.spec.model import Arm, Field
from crossfade.spec.router import Router
from crossfade.spec.routers import LIMITS, Limits

PATIENCE = 5.0
"""Seconds that one question to a router may take."""

_HEAD, _APART = "crossfade", "|"


class DriverError(Exception):
    """The router does not do what was asked, or nobody knows whether it does; the message says what to do."""


class Unreachable(DriverError):
    """The router could not be asked or told: what it does now is not known."""


class Refused(DriverError):
    """The router said no to what it was told; it does what it did before."""


class Fenced(DriverError):
    """The router holds an order of a later leadership: a controller that does not lead any more must leave it alone."""


class Misplaced(DriverError):
    """The router is there and is not set up for this rollout: no such route, map, cluster or object."""


class Unable(DriverError):
    """The order asks for something that this router cannot do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Which order a router obeys, in words that it keeps beside its routes and puts into its access log."""

    rollout: str
    revision: str
    mode: str
    stage: int
    step: int
    weight: float
    """Share (0–1) of units that each challenger owns."""
    term: int
    """The leadership that gave the order; 0 where only one controller can."""
    seq: int
    """The ledger entry that it follows from."""

    def __str__(self) -> str:
        parts = (self.rollout, self.revision, self.mode, self.stage, self.step, repr(self.weight), self.term, self.seq)
        return _APART.join((_HEAD, *map(str, parts)))

    @classmethod
    def read(cls, text: str) -> Mark | None:
        """The inverse of `str`; None for whatever else a router has there."""
        head, *parts = text.split(_APART)
        if head != _HEAD or len(parts) != 8:
            return None
        rollout, revision, mode, *numbers = parts
        try:
            stage, step, weight, term, seq = (float(number) for number in numbers)
        except ValueError:
            return None
        if not 0.0 <= weight <= 1.0 or not all(0.0 <= number < 2.0**53 for number in (stage, step, term, seq)):
            return None
        return cls(
            rollout=rollout,
            revision=revision,
            mode=mode,
            stage=int(stage),
            step=int(step),
            weight=weight,
            term=int(term),
            seq=int(seq),
        )

    def outranks(self, other: Mark) -> bool:
        """Whether this order was given by a later leadership than another."""
        return self.term > other.term


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one rollout's router shall do."""

    mark: Mark
    router: Router
    route: str
    """Path prefix of the requests that it is about; all others are not the rollout's."""
    unit: Field
    salt: str
    """What units are hashed with, so that rollouts do not always meet the same ones."""
    champion: Arm
    challengers: tuple[Arm, ...]
    weight: float
    """Share (0–1) of units that each challenger owns, as the router can give it: never more than planned."""
    mirror: float = 0.0
    """Share (0–1) of requests that are copied to each challenger, whose answers nobody sees."""
    excluded: tuple[tuple[Field, str], ...] = ()
    """Requests with these values stay on the champion."""

    @property
    def limits(self) -> Limits:
        """What its router can do."""
        return LIMITS[self.router.driver]

    @property
    def back(self) -> bool:
        """Whether everything goes to the champion, and nothing anywhere else."""
        return self.weight <= 0.0 and self.mirror <= 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Arm → its share of units, the champion's first; they add up to 1."""
        others = {arm.name: self.weight for arm in self.challengers}
        return {self.champion.name: max(0.0, 1.0 - sum(others.values())), **others}

    @property
    def mirrors(self) -> dict[str, float]:
        """Arm → share of requests that are copied to it; empty where none are."""
        return {arm.name: self.mirror for arm in self.challengers} if self.mirror > 0.0 else {}

    @property
    def digest(self) -> str:
        """Tells orders apart that make a router do different things, whoever gave them and when."""
        said = (self.route, str(self.unit), self.salt, self.shares, self.mirror, self.excluded, self.router)
        return hashlib.sha256(repr(said).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a router does now, read from it."""

    shares: Mapping[str, float]
    """Arm → share (0–1) of units; arms that get none may be left out."""
    mirrors: Mapping[str, float] = field(default_factory=dict)
    """Arm → share (0–1) of requests that are copied to it."""
    mark: Mark | None = None
    """Of the order that it obeys; None where the router has none, as when somebody else has set it."""
    said: str = ""
    """How the router calls this state: a version, a name, for people."""


class Driver(Protocol):
    """One rollout's hold on one router. Every method may wait up to PATIENCE, and raises DriverError."""

    def read(self) -> Carried:
        """What the router does now with the rollout's requests. Raises Unreachable, Misplaced."""
        ...

    def carry(self, order: Order) -> None:
        """Tell the router to do what is asked, and return once it has taken it; `read` says what came of it.

        Where it takes several writes the lowering ones come first, so that no moment gives anybody more than the larger
        of both orders. Raises Unreachable, Refused, Misplaced, Unable; Fenced where the router has an order with
        a later `mark.term`.
        """
        ...

    def close(self) -> None:
        """Let go of what is open; the router goes on as it is."""
        ...


def order_of(route: Route, router: Router, *, term: int, seq: int) -> Order:
    """The order that a route asks for: what the gateway would do, as far as the router can."""
    limits = LIMITS[router.driver]
    weight = limits.carried(route.weight) if route.challengers else 0.0
    mark = Mark(
        rollout=route.rollout,
        revision=route.revision,
        mode=route.mode,
        stage=route.stage,
        step=route.step,
        weight=weight,
        term=term,
        seq=seq,
    )
    fields = route.segments
    return Order(
        mark=mark,
        router=router,
        route=route.prefix,
        unit=route.unit,
        salt=route.salt,
        champion=route.champion,
        challengers=route.challengers,
        weight=weight,
        mirror=route.mirror if route.challengers else 0.0,
        excluded=tuple((fields[place], value) for place, value in route.excluded),
    )


def everything_back(order: Order) -> Order:
    """The same with everything on the champion: where an order cannot be carried, nobody is exposed."""
    mark = replace(order.mark, mode="champion", weight=0.0)
    return replace(order, mark=mark, weight=0.0, mirror=0.0, excluded=())


def unable(order: Order) -> str:
    """What an order asks for that its router cannot do; empty where it can do it all."""
    limits = order.limits
    if len(order.challengers) > limits.challengers:
        return f"{limits.title} can tell {limits.challengers} challengers apart, and there are {len(order.challengers)}"
    if order.mirror > 0.0 and not limits.mirror:
        return f"{limits.title} sends no copies of requests"
    if order.mark.mode == "interleave":
        return f"{limits.title} cannot merge lists"
    for place, value in order.excluded:
        if place.source not in limits.excludes:
            return f"{limits.title} cannot keep {place}={value} on {order.champion.name}"
    return ""


def differences(order: Order, carried: Carried) -> list[str]:
    """What the router does otherwise than it was told, for people; empty where it obeys."""
    found = []
    half = order.limits.step / 2.0 + 1e-9
    for arm, share in order.shares.items():
        has = carried.shares.get(arm, 0.0)
        if abs(has - share) > half:
            found.append(f"{arm} has {has:.6g} of the units, not {share:.6g}")
    strangers = sorted(arm for arm, share in carried.shares.items() if share > 0.0 and arm not in order.shares)
    found += [f"{arm} has {carried.shares[arm]:.6g} of the units, and is no arm of the rollout" for arm in strangers]
    for arm in sorted({*order.mirrors, *carried.mirrors}):
        has, asked = carried.mirrors.get(arm, 0.0), order.mirrors.get(arm, 0.0)
        if abs(has - asked) > half:
            found.append(f"copies of {has:.6g} of the requests go to {arm}, not of {asked:.6g}")
    if not found and carried.mark != order.mark:
        found.append("it does not say which order it obeys" if carried.mark is None else "it obeys an earlier order")
    return found
