"""Interleaving: both models are asked at once, and the user sees one list drawn from both."""

from __future__ import annotations

from typing import assert_never

from crossfade.facts import Shown
from crossfade.live import interleave
from crossfade.live.exchange.asked import Asked
from crossfade.live.exchange.examine import decoded, listable
from crossfade.live.exchange.exposure import Exposure
from crossfade.live.exchange.gathered import Gathered
from crossfade.live.exchange.messages import (
    Arrived,
    AsAsked,
    Begun,
    Call,
    Cancel,
    Command,
    Devise,
    Devised,
    Event,
    Failed,
    Gone,
    Headers,
    Late,
    Record,
    Reply,
    Started,
)
from crossfade.live.exchange.rewritten import cut, resized
from crossfade.live.exchange.served import Served
from crossfade.live.health import EJECTED
from crossfade.live.interleave.optimized import Plan
from crossfade.live.protocols import document
from crossfade.live.protocols.base import Invalid, Wire
from crossfade.live.routes import Route
from crossfade.spec.model import Arm, Ranking

A, B = 0, 1
"""The champion's call, and the challenger's."""

UNREAD = ("large", "unreadable")
"""A challenger's reply that we cannot merge is no failure of the challenger."""

DEEP = "deep"
"""A page that ends deeper than lists are merged is the champion's."""

UNPLANNED = "unplanned"
"""No plan for optimized interleaving came in time, or there is none for this pair of rankings."""

Listed = list[tuple[str, object]]


class Interleaved:
    """Waits for both lists until the champion's deadline. Whatever cannot be merged leaves by `Served`, as it came."""

    __slots__ = (
        "_arms",
        "_asked",
        "_done",
        "_exposure",
        "_extra",
        "_lists",
        "_page",
        "_passing",
        "_ranking",
        "_route",
        "_sides",
        "_wire",
    )

    def __init__(
        self,
        route: Route,
        asked: Asked,
        *,
        challenger: Arm,
        exposure: Exposure,
        extra: Headers,
        wire: Wire,
        ejected: bool = False,
    ) -> None:
        assert route.ranking is not None
        self._ranking: Ranking = route.ranking
        self._route = route
        self._asked = asked
        self._arms = (route.champion, challenger)
        self._exposure = exposure
        self._extra = extra
        self._wire = wire
        self._sides = (Gathered(asked.start), Gathered(asked.start))
        self._lists: list[Listed | None] = [None, None]
        self._passing: Served | None = None
        """Takes over once it is settled that one arm's reply goes out unmerged."""
        self._done = False
        self._page = asked.page
        if ejected:
            self._sides[B].end(asked.start, EJECTED)
        elif asked.page is not None and asked.page.beyond:
            self._sides[B].end(asked.start, DEEP)

    @property
    def done(self) -> bool:
        """Whether the client has all it will get."""
        return self._done or (self._passing is not None and self._passing.done)

    def receive(self, event: Event) -> list[Command]:
        """What to do now."""
        if self._passing is not None:
            return self._passing.receive(event)
        if self._done:
            return []
        match event:
            case Begun():
                champion, challenger = self._arms
                room = min(champion.timeout, self._route.deadline)
                ours: list[Command] = [Call(A, champion, room)]
                return ours if self._sides[B].over else [*ours, Call(B, challenger, min(challenger.timeout, room))]
            case Arrived():
                return self._arrived(event)
            case Failed() | Late() if self._sides[event.call].over:
                return []
            case Failed():
                return self._ended(event.call, event.kind, event.at)
            case Late():
                return [Cancel(event.call), *self._ended(event.call, "timeout", event.at)]
            case Gone():
                return self._gone(event.at)
            case Started():
                return []
            case Devised():
                return self._devised(event.plan, event.at)
            case _:
                assert_never(event)

    # -- gathering -------------------------------------------------------------------------------------------------

    def _arrived(self, event: Arrived) -> list[Command]:
        side = self._sides[event.call]
        if side.over:
            return []
        side.take(event)
        head = side.head
        if head is None:
            return []
        if side.failure == "large" or (head.status < 300 and not listable(head)):
            reason = "large" if side.failure == "large" else "unreadable"
            if event.call == A:
                return self._pass_unread(event, reason)
            out: list[Command] = [] if event.ended else [Cancel(B)]
            return [*out, *self._ended(B, reason, event.at)]
        return self._ended(event.call, side.failure, event.at) if event.ended else []

    def _ended(self, call: int, failure: str, at: float) -> list[Command]:
        """One side has all it will get: read its list."""
        side = self._sides[call]
        side.end(at, failure)
        side.failure = side.failure or failure
        if not side.failure:
            found = self._read(side)
            if isinstance(found, Invalid):
                side.failure = found.reason
            else:
                self._lists[call] = found
        if call == B:
            if side.failure and side.failure not in UNREAD:
                self._exposure.failed(side.failure, at)
            self._exposure.timed(at)
        return self._conclude(at)

    def _read(self, side: Gathered) -> Listed | Invalid:
        assert side.head is not None
        body = decoded(side.head, side.body)
        return body if isinstance(body, Invalid) else self._wire.items(body, self._ranking)

    # -- what goes out ---------------------------------------------------------------------------------------------

    def _conclude(self, at: float) -> list[Command]:
        champion, challenger = self._sides
        if champion.over and champion.head is not None and 400 <= champion.head.status < 500:
            # The request itself was refused; there is no list, and the champion's word stands.
            cancelled: list[Command] = [] if challenger.over else [Cancel(B)]
            self._exposure.timed(at)
            return [*cancelled, *self._hand_over(A, "status", at)]
        if not (champion.over and challenger.over):
            return []
        ours, theirs = self._lists
        if ours is not None and theirs is not None:
            return self._merge(ours, theirs, at)
        if ours is not None:
            return self._hand_over(A, _excluded(challenger), at)
        if theirs is not None:
            return self._hand_over(B, _excluded(champion), at)
        return self._hand_over(A, "no-list", at)

    def _merge(self, ours: Listed, theirs: Listed, at: float) -> list[Command]:
        if self._ranking.pinned:
            # What is pinned in the page keeps its slot there, so it must not come a second time as a result.
            pinned = document.pinned(self._plain(A), self._ranking)
            theirs = self._lists[B] = [pair for pair in theirs if pair[0] not in pinned]
        if self._route.method != interleave.PLANNED:
            return self._show(ours, theirs, None, at)
        names, others = [item for item, _ in ours], [item for item, _ in theirs]
        if names == others:
            return self._hand_over(A, "same", at)
        return [Devise(interleave.optimized.pattern(names, others))]

    def _devised(self, plan: Plan | None, at: float) -> list[Command]:
        ours, theirs = self._lists
        assert ours is not None
        assert theirs is not None
        return self._hand_over(A, UNPLANNED, at) if plan is None else self._show(ours, theirs, plan, at)

    def _show(self, ours: Listed, theirs: Listed, plan: Plan | None, at: float) -> list[Command]:
        asked, route = self._asked, self._route
        merged = interleave.merge_fairly(
            route.method,
            [item for item, _ in ours],
            [item for item, _ in theirs],
            key=f"{route.salt}:{asked.unit}:{asked.digest}",
            plan=plan,
        )
        if merged.same:
            return self._hand_over(A, "same", at)
        lists = {interleave.CHAMPION: ours, interleave.CHALLENGER: theirs}
        objects = [lists[whose][index][1] for whose, index in merged.from_]
        plain = self._plain(A)
        body = self._wire.merged(plain, self._ranking, objects)
        if body is plain:
            # The champion's reply cannot take these items, so nobody would see the list that was drawn.
            return self._hand_over(A, "unmergeable", at)
        names = {interleave.CHAMPION: self._arms[A].name, interleave.CHALLENGER: self._arms[B].name}
        items, credits = merged.items, interleave.recorded(merged)
        owners = tuple([names.get(owner, "") for owner in merged.owners])
        if self._page is not None:
            body, shown = cut(self._wire, self._ranking, body, self._page)
            kept = [slot for slot, item in enumerate(items) if item in shown]
            items, owners = tuple([items[slot] for slot in kept]), tuple([owners[slot] for slot in kept])
            credits = tuple([credits[slot] for slot in kept]) if credits else ()
        both = f"{self._arms[A].name}+{self._arms[B].name}"
        extra = (*self._extra, (b"x-crossfade-arm", both.encode())) if route.reveal else self._extra
        champion = self._sides[A]
        assert champion.head is not None
        self._done = True
        return [
            self._shown(items, owners, "", credits),
            Record(self._exposure.fact(at, served_by=both, status=champion.head.status, size=len(body))),
            Reply(resized(champion.head, len(body)), extra, body, True),
        ]

    def _plain(self, call: int) -> bytes:
        """The body of a reply whose list has been read."""
        head = self._sides[call].head
        assert head is not None
        plain = decoded(head, self._sides[call].body)
        assert isinstance(plain, bytes)
        return plain

    def _hand_over(self, call: int, excluded: str, at: float) -> list[Command]:
        """One arm's reply as it came, or its failure; the list, if it has one, is no evidence."""
        side = self._sides[call]
        listed = self._lists[call]
        head, body = side.head, side.body
        items = tuple([item for item, _ in listed or ()])
        if self._page is not None and self._page.asked_anew:
            if listed is None and at - self._asked.start < self._route.deadline / 2.0:
                return self._ask_again(excluded, at)
            if listed is not None and head is not None:
                body, shown = cut(self._wire, self._ranking, self._plain(call), self._page)
                head = resized(head, len(body))
                items = tuple([item for item in items if item in shown])
        passing = self._pass(call, at)
        if side.whole:
            out = passing.receive(Arrived(at, 0, head, body, True))
        else:
            out = passing.receive(Failed(at, 0, side.failure or "broken"))
        return [self._shown(items, ("",) * len(items), excluded), *out] if side.whole else out

    def _ask_again(self, excluded: str, at: float) -> list[Command]:
        """Nothing that a page could be cut out of came: the champion is asked for that page alone."""
        self._passing = self._served(A)
        return [self._shown((), (), excluded), AsAsked(), *self._passing.receive(Begun(at))]

    def _pass_unread(self, event: Arrived, reason: str) -> list[Command]:
        """The champion's reply is no list that could be merged: it streams through from here."""
        out: list[Command] = [] if self._sides[B].over else [Cancel(B)]
        self._exposure.timed(event.at)
        side = self._sides[A]
        if self._page is not None and self._page.asked_anew:
            out += [] if event.ended else [Cancel(A)]
            return [*out, *self._ask_again(reason, event.at)]
        passing = self._pass(A, event.at)
        out += passing.receive(Arrived(event.at, 0, side.head, side.body, event.ended))
        side.drop()
        return [self._shown((), (), reason), *out]

    def _pass(self, call: int, at: float) -> Served:
        """The call numbered 0 of `Served` is the champion's, which is the only one that may still be open."""
        self._passing = self._served(call)
        self._passing.receive(Begun(at))
        return self._passing

    def _served(self, call: int) -> Served:
        return Served(
            first=self._arms[call],
            behind=None,
            deadline=self._route.deadline,
            exposure=self._exposure,
            extra=self._extra,
            reveal=self._route.reveal,
            assigned=False,
        )

    def _shown(
        self, items: tuple[str, ...], owners: tuple[str, ...], excluded: str, credits: tuple[int, ...] = ()
    ) -> Record:
        route, asked = self._route, self._asked
        return Record(
            Shown(
                rollout=route.rollout,
                revision=route.revision,
                decision_id=asked.decision_id,
                at=asked.now,
                unit=asked.unit,
                stage=route.stage,
                method=route.method,
                items=items,
                owners=owners,
                excluded=excluded,
                segments=asked.segments,
                credits=credits,
                arm=self._arms[B].name,
            )
        )

    def _gone(self, at: float) -> list[Command]:
        out: list[Command] = [Cancel(call) for call in (A, B) if not self._sides[call].over]
        self._exposure.left()
        self._done = True
        return [*out, Record(self._exposure.fact(at, served_by="", status=0, size=0))]


def _excluded(side: Gathered) -> str:
    if side.failure in UNREAD or side.failure in (EJECTED, DEEP):
        return side.failure
    return "late" if side.failure == "timeout" else "one-ranker"
