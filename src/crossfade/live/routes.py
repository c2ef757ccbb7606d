"""What the request path needs to know of each rollout now: one flat route, computed from spec and position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from crossfade.live.model_paths import listed, model_of
from crossfade.live.pseudonyms import pseudonym
from crossfade.spec.copies import Counterfactual, PerDay
from crossfade.spec.model import (
    Ab,
    Arm,
    Canary,
    Comparison,
    Drift,
    Examples,
    Field,
    Interleave,
    Predicted,
    Priced,
    Protocol,
    Ranking,
    Rollout,
    Shadow,
    Stage,
)
from crossfade.state import Phase, Position, as_muted, mode, weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One rollout as the gateway acts on it. Shares are fractions in 0–1, times are seconds."""

    rollout: str
    revision: str
    prefix: str
    protocol: Protocol
    unit: Field
    segments: tuple[Field, ...]
    """What is recorded of each request: the declared fields, then those explored."""
    salt: str
    champion: Arm
    challengers: tuple[Arm, ...]
    mode: str
    stage: int
    step: int
    weight: float
    """Share of units owned by each challenger."""
    mirror: float = 0.0
    noise: float = 0.0
    at_once: int | None = None
    """Copies under way at one arm; None for the gateway's own limit."""
    per_day: PerDay | None = None
    """What may be spent on copies in a day; None for no bound."""
    counterfactual: float = 0.0
    """Share of units whose requests are copied to an arm that does not serve them."""
    both: bool = False
    """Those of units on the challenger, too, to the champion."""
    spent: bool = False
    """No more of these copies are made today."""
    method: str = ""
    ranking: Ranking | None = None
    deadline: float = 30.0
    lease: float = 10.0
    reveal: bool = False
    model: str = ""
    """What clients call the model, where that is not the rollout's name."""
    compare: tuple[Comparison, ...] = ()
    """Fields of replies that a shadow compares in a way of their own."""
    prediction: Predicted | None = None
    """What is recorded of mirrored replies, to be set against labels."""
    examples: Examples | None = None
    """Which mirrored pairs are kept with their replies; None for none."""
    redact: tuple[str, ...] = ()
    """Fields of replies that are taken out before."""
    drift: Drift | None = None
    """What of requests and replies is counted; None for nothing."""
    dry_run_header: str = ""
    """Header that marks mirrored copies; empty for none."""
    declared: int = 0
    """How many of `segments` the spec declares; the others are explored."""
    excluded: tuple[tuple[int, str], ...] = ()
    """(place among `segments`, value) of requests that stay on the champion whoever sent them."""
    why: str = ""
    """Recorded with every request as the reason why the champion served it; empty where nobody was kept from it."""
    pseudonyms: bool = False
    """Units are recorded under pseudonyms."""
    key: bytes = field(default=b"", repr=False)
    """With which those are made; b'' where it cannot be had, and then units are not recorded at all."""
    cost: tuple[Priced, ...] = ()
    """What is recorded of mirrored replies as their cost."""

    @property
    def public(self) -> str:
        """The name under which OpenAI's list shows its models."""
        return self.model or self.rollout


def routes(rollout: Rollout, position: Position) -> Route:
    """The route that `position` asks for.

    Once finished, the challenger is the champion: nobody falls back to a model that may have been taken down since.
    """
    finished = position.phase is Phase.FINISHED
    now = "champion" if finished else mode(rollout, position)
    stage = rollout.stages[position.stage]
    copied = _copied(stage, now)
    route = Route(
        rollout=rollout.name,
        revision=rollout.revision,
        prefix=rollout.route,
        protocol=rollout.protocol,
        unit=rollout.unit,
        segments=rollout.features,
        salt=rollout.salt or rollout.name,
        champion=rollout.challenger if finished else rollout.champion,
        challengers=() if finished else rollout.challengers,
        mode=now,
        stage=position.stage,
        step=position.step,
        weight=0.0 if finished else weight(rollout, position),
        mirror=stage.mirror if now == "shadow" and isinstance(stage, Shadow) else 0.0,
        noise=stage.noise if now == "shadow" and isinstance(stage, Shadow) else 0.0,
        at_once=copied.at_once if copied else None,
        per_day=copied.per_day if copied else None,
        counterfactual=copied.share if isinstance(copied, Counterfactual) else 0.0,
        both=isinstance(copied, Counterfactual) and copied.both,
        method=stage.method if now == "interleave" and isinstance(stage, Interleave) else "",
        ranking=rollout.ranking,
        deadline=rollout.deadline,
        lease=rollout.lease,
        reveal=rollout.reveal,
        compare=as_muted(rollout, position).compare,
        prediction=rollout.prediction,
        examples=rollout.examples,
        redact=rollout.redact,
        drift=rollout.drift,
        dry_run_header=rollout.dry_run_header,
        pseudonyms=bool(rollout.pseudonyms),
        cost=rollout.cost,
        model=rollout.model,
        declared=len(rollout.segments),
    )
    places = {str(field): place for place, field in enumerate(rollout.features)}
    kept = tuple((places[field], value) for field, value in position.excluded if field in places)
    return replace(route, excluded=kept) if kept and now != "champion" else route


def _copied(stage: Stage, now: str) -> Shadow | Counterfactual | None:
    """What says how many copies are made in a mode, and how they are bounded; None where none are."""
    match stage:
        case Shadow() if now == "shadow":
            return stage
        case Canary() | Ab() if now in ("canary", "ab"):
            return stage.counterfactual
    return None


EXCLUDED = "segment"
"""The reason recorded with requests of a segment that is kept on the champion."""


def taken(route: Route, segments: Sequence[str]) -> Route:
    """The route that a request with these segment values takes: no exposure where one of them is excluded."""
    for place, value in route.excluded:
        if segments[place] == value:
            return replace(champion_only(route), why=EXCLUDED)
    return route


def recorded(route: Route, unit: str) -> str:
    """The name under which a unit is recorded."""
    if not route.pseudonyms:
        return unit
    return pseudonym(route.key, unit) if route.key else ""


def champion_only(route: Route) -> Route:
    """The same route with no exposure at all: what is served when the lease has run out or facts cannot be written."""
    return replace(
        route, mode="champion", weight=0.0, mirror=0.0, noise=0.0, counterfactual=0.0, method="", excluded=()
    )


def unmirrored(route: Route) -> Route:
    """The same route for a request of which no copy is sent."""
    return replace(route, mirror=0.0, spent=True)


@dataclass(frozen=True)
class RouteTable:
    """Every route, longest prefix first, and where everything else goes."""

    routes: tuple[Route, ...]
    default: Arm | None = None
    """Requests outside every route pass through to this arm unrecorded."""

    @classmethod
    def of(cls, routes: Iterable[Route], default: Arm | None = None) -> RouteTable:
        """A table that matches the longest prefix; the first route's champion is the default upstream."""
        ordered = tuple(sorted(routes, key=lambda route: (-len(route.prefix), route.prefix)))
        if default is None and ordered:
            default = ordered[-1].champion
        return cls(ordered, default)

    def match(self, path: str) -> Route | None:
        """The route of a request path (query string excluded), by whole path segments."""
        under = _under if len(path) <= LONGEST_PATH else _lies_under
        for route in self.routes:
            if under(path, route.prefix):
                return route
        return None

    def upstream(self, path: str) -> Arm | None:
        """Who answers a request outside every route: the champion of the model that the path names, else the default.

        So is the readiness of a model its own, also where several rollouts share the port.
        """
        named = model_of(path)
        if named:
            for route in self.routes:
                if model_of(route.prefix) == named:
                    return route.champion
        asked = listed(path)
        if asked:
            for route in self.routes:
                if route.protocol is Protocol.OPENAI_CHAT and route.public == asked:
                    return route.champion
        # No route knows this name, so it is none of ours to change.
        return self.default if self.default is None or self.default.model is None else replace(self.default, model=None)


LONGEST_PATH = 512
"""Characters of a path of which it is remembered where it leads: clients choose them."""


def _lies_under(path: str, prefix: str) -> bool:
    bare = prefix.rstrip("/")
    return path in (bare, prefix) or path.startswith(bare + "/")


_under = lru_cache(maxsize=4096)(_lies_under)
