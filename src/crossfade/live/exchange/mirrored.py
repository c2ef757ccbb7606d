"""Copies: one arm answers the user, hidden ones answer copies, and the answers are set side by side later.

In a shadow the champion answers, and copies go to the challengers. In a canary or an A/B test whoever the unit belongs
to answers, and the copy goes to the other side.
"""

from __future__ import annotations

from typing import Final, assert_never

from crossfade.facts import Compared
from crossfade.live.assign import bucket
from crossfade.live.compare.predicted import said
from crossfade.live.compare.rules import Embed, nobody
from crossfade.live.compare.sides import sides
from crossfade.live.exchange.asked import Asked
from crossfade.live.exchange.costs import cost_of
from crossfade.live.exchange.examine import about_body, prediction, readable
from crossfade.live.exchange.exposure import CLIENT_LEFT, EXHAUSTED
from crossfade.live.exchange.gathered import Gathered
from crossfade.live.exchange.messages import (
    Answer,
    Arrived,
    Begun,
    Cancel,
    Command,
    Compare,
    Count,
    Devised,
    Event,
    Failed,
    Gone,
    Late,
    Mirror,
    Started,
)
from crossfade.live.exchange.served import Served
from crossfade.live.protocols import document, wire
from crossfade.live.protocols.base import Invalid, Prediction
from crossfade.live.routes import Route
from crossfade.spec.model import Arm, Protocol

USERS: Final = 0
"""The user's own call. In a shadow it is the champion's."""
AGAIN: Final = 1
"""The champion's second answer, asked for in a shadow to learn its own noise."""
FIRST_COPY: Final = 2
"""Copies are counted from here: the challengers', or the champion's."""

LARGE: Final = document.LARGE
"""A reply too long to be compared."""

FLOOD: Final = "flood"
"""A copy cut off because copies' replies came faster than they may be read. Cut by us, so no failure of the arm."""

SHUTDOWN: Final = "shutdown"
"""A copy that we ended because this gateway ends. No failure of the arm either."""

_UNREAD: Final = frozenset((LARGE, FLOOD, SHUTDOWN, EXHAUSTED))


class Mirrored:
    """`served` looks after the user and never hears of the copies; this class listens in and pairs the answers."""

    __slots__ = (
        "_again",
        "_asked",
        "_copies",
        "_first",
        "_open",
        "_own",
        "_pending",
        "_route",
        "_served",
        "_shadow",
        "_started",
        "_unasked",
    )

    def __init__(
        self,
        served: Served,
        route: Route,
        asked: Asked,
        *,
        to: tuple[Arm, ...],
        first: Arm | None = None,
        unasked: str = "",
    ) -> None:
        """`to`: who answers copies. `first`: the challenger that `served` asks first; None for the champion.
        `unasked`: why no copy is sent and each counts as failed, as it would have failed its own users."""
        self._served = served
        self._route = route
        self._asked = asked
        self._first = first
        self._unasked = unasked
        self._shadow = route.mode == "shadow"
        self._copies = dict(enumerate(to, FIRST_COPY))
        self._again = self._shadow and bucket("noise", asked.decision_id) < route.noise
        self._own = Gathered(asked.start)
        self._open: dict[int, Gathered] = {}
        """Copies by call, and whether they have ended, until the whole comparison is made or given up."""
        self._started: set[int] = set()
        self._pending = set(self._copies)

    @property
    def done(self) -> bool:
        """Whether the client has its reply and every comparison was made or given up."""
        return self._served.done and not self._pending and all(copy.over for copy in self._open.values())

    def receive(self, event: Event) -> list[Command]:
        """What to do now. Nothing that concerns the user waits on a copy."""
        match event:
            case Begun():
                return [*self._served.receive(event), *self._send_copies(event.at)]
            case Gone():
                out = self._served.receive(event)
                return out if self._own.over else [*out, *self._give_up(CLIENT_LEFT)]
            case Devised():
                return []
            case Started() | Arrived() | Failed() | Late():
                if event.call == USERS:
                    return [*self._served.receive(event), *self._listen(event)]
                if event.call == AGAIN and not self._shadow:
                    # The champion's help for a challenger that failed.
                    return self._served.receive(event)
                return self._copy(event)
            case _:
                assert_never(event)

    def _send_copies(self, at: float) -> list[Command]:
        route = self._route
        wanted = {AGAIN: route.champion} if self._again else {}
        wanted.update(self._copies)
        out: list[Command] = []
        for call, arm in wanted.items():
            copy = self._open[call] = Gathered(at)
            if self._unasked:
                copy.end(at, self._unasked)
                continue
            # A challenger has the time that it has for its own users, or else it would fail one sort of units more.
            room = route.deadline if self._shadow or arm is route.champion else route.deadline / 2.0
            out.append(Mirror(call, arm, min(arm.timeout, room), route.dry_run_header))
        return out

    def _listen(self, event: Started | Arrived | Failed | Late) -> list[Command]:
        """The reply passes by on its way to the user."""
        own = self._own
        if own.over or not self._pending:
            return []
        match event:
            case Arrived():
                own.take(event)
                if own.failure == "large":
                    return self._give_up("large")
                if self._served.asking != USERS:
                    # The rest of an error that the user never sees is not read.
                    own.end(event.at, "status")
            case Failed():
                own.end(event.at, event.kind)
                if event.kind == EXHAUSTED:
                    return self._give_up(EXHAUSTED)
            case Late():
                if self._served.done or self._served.asking != USERS:
                    own.end(event.at, "timeout")
            case Started():
                pass
            case _:
                assert_never(event)
        return self._pair() if own.over else []

    def _copy(self, event: Started | Arrived | Failed | Late) -> list[Command]:
        copy = self._open.get(event.call)
        if copy is None or copy.over:
            return []
        match event:
            case Started():
                copy.restart(event.at)
                return []
            case Arrived():
                copy.take(event)
                if copy.failure == "large":
                    still_open: list[Command] = [] if event.ended else [Cancel(event.call)]
                    copy.end(event.at)
                    return [*still_open, *self._lost_copy(event.call, "large")]
                return self._pair() if copy.over else []
            case Failed():
                copy.end(event.at, event.kind)
                if event.kind == "dropped":
                    return self._lost_copy(event.call, "")
                if event.kind in _UNREAD:
                    return self._lost_copy(event.call, event.kind)
                return self._pair()
            case Late():
                copy.end(event.at, "timeout")
                return [Cancel(event.call), *self._pair()]
            case _:
                assert_never(event)

    def _lost_copy(self, call: int, reason: str) -> list[Command]:
        """This copy cannot be compared. The runner counts what it dropped itself; other reasons are counted here."""
        self._open[call].drop()
        if call == AGAIN:
            self._again = False
            return self._pair()
        self._pending.discard(call)
        return [Count(self._route.rollout, reason, 1)] if reason else []

    def _give_up(self, reason: str) -> list[Command]:
        """There will be nothing to compare with."""
        out: list[Command] = [Cancel(call) for call, copy in self._open.items() if not copy.over]
        if self._pending:
            out.append(Count(self._route.rollout, reason, len(self._pending)))
        self._pending.clear()
        self._open.clear()
        self._own.drop()
        return out

    def _pair(self) -> list[Command]:
        """Comparisons whose answers are all in."""
        noise = self._open.get(AGAIN) if self._again else None
        if not self._own.over or (noise is not None and not noise.over):
            return []
        ready = [call for call in sorted(self._pending) if self._open[call].over]
        route, asked, first = self._route, self._asked, self._first
        out: list[Command] = []
        for call in ready:
            self._pending.discard(call)
            own, copy = self._own.answer(), self._open[call].answer()
            out.append(
                Compare(
                    rollout=route.rollout,
                    revision=route.revision,
                    decision_id=asked.decision_id,
                    at=asked.now,
                    unit=asked.unit,
                    stage=route.stage,
                    segments=asked.segments,
                    protocol=str(route.protocol),
                    arm=self._copies[call].name if first is None else first.name,
                    champion=own if first is None else copy,
                    challenger=copy if first is None else own,
                    noise=noise.answer() if noise is not None else None,
                    rules=route.compare,
                    prediction=route.prediction,
                    examples=route.examples,
                    redact=route.redact,
                    cost=route.cost,
                    baseline=route.champion.name,
                    served="" if self._shadow else route.champion.name if first is None else first.name,
                )
            )
        return out


def compared(pair: Compare, embed: Embed = nobody) -> Compared:
    """The fact of one pair: who failed, and where the predictions differ. May take milliseconds for large bodies."""
    protocol = Protocol(pair.protocol)
    champion = _read(protocol, pair.champion)
    challenger = champion if _alike(pair.champion, pair.challenger) else _read(protocol, pair.challenger)
    again = None
    if pair.noise is not None:
        again = champion if _alike(pair.champion, pair.noise) else _read(protocol, pair.noise)
    found = sides(_usable(champion), _usable(challenger), _usable(again), pair.rules, embed)
    ours, theirs = said(_usable(champion), pair.prediction), said(_usable(challenger), pair.prediction)
    return Compared(
        rollout=pair.rollout,
        revision=pair.revision,
        decision_id=pair.decision_id,
        at=pair.at,
        unit=pair.unit,
        arm=pair.arm,
        stage=pair.stage,
        champion_failed=isinstance(champion, str),
        challenger_failed=isinstance(challenger, str),
        reason=challenger if isinstance(challenger, str) else "",
        differs=found.differs,
        noise_differs=found.noise_differs,
        champion_ms=pair.champion.ms,
        challenger_ms=pair.challenger.ms,
        fields=found.fields,
        segments=pair.segments,
        kinds=found.kinds,
        noise_fields=found.noise_fields,
        among=found.among,
        champion_numbers=ours.numbers,
        challenger_numbers=theirs.numbers,
        champion_names=ours.names,
        challenger_names=theirs.names,
        sizes=found.sizes,
        unmeasured=found.unmeasured,
        champion_cost=cost_of(pair.champion, pair.cost, pair.baseline, protocol) if pair.cost else None,
        challenger_cost=cost_of(pair.challenger, pair.cost, pair.arm, protocol) if pair.cost else None,
        served=pair.served,
    )


def _usable(read: Prediction | str | None) -> Prediction | None:
    return read if isinstance(read, Prediction) else None


def _alike(a: Answer, b: Answer) -> bool:
    """Whether both are the same bytes under the same rules, as most pairs are: reading one is enough then."""
    if a.failure or b.failure or a.head is None or b.head is None or a.body != b.body:
        return False
    return a.head.headers == b.head.headers or about_body(a.head) == about_body(b.head)


def _read(protocol: Protocol, answer: Answer) -> Prediction | str | None:
    """The prediction; the reason of a failure; None for an answer that cannot be read, which is no failure."""
    if answer.failure == "broken":
        # Half a reply is one that nobody can use; no reply at all is an error like any other.
        return "cut" if answer.head is None else "truncated"
    if answer.failure or answer.head is None:
        return answer.failure or "broken"
    reader = wire(protocol)
    if not readable(answer.head, streams=reader.streams):
        return None
    found = prediction(reader, answer.head, answer.body)
    if not isinstance(found, Invalid):
        return found
    return None if found.reason == LARGE else found.reason
