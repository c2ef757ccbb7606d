"""A conversation with an exchange, written down as it should go: this happens, so that is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossfade.facts import Exposed, Fact, Shown
from crossfade.live.assign import Assigned, assign
from crossfade.live.exchange import Asked, Exchange, exchange
from crossfade.live.exchange.messages import (
    Abort,
    Arrived,
    Begun,
    Call,
    Cancel,
    Command,
    Compare,
    Count,
    Event,
    Failed,
    Gone,
    Head,
    Late,
    Mirror,
    More,
    Record,
    Reply,
    Started,
    Watch,
)
from crossfade.live.routes import Route
from crossfade.spec.model import Arm, Field, From, Protocol, Ranking

CHAMPION = Arm(name="v1", url="http://one", timeout=8.0)
CHALLENGER = Arm(name="v2", url="http://two", timeout=8.0)
JSON = ((b"Content-Type", b"application/json"),)
STREAM = ((b"Content-Type", b"text/event-stream"),)


def route(mode: str, **changes: Any) -> Route:
    given: dict[str, Any] = {
        "rollout": "r",
        "revision": "rev",
        "prefix": "/p",
        "protocol": Protocol.JSON,
        "unit": Field(source=From.HEADER, name="x"),
        "segments": (),
        "salt": "r",
        "champion": CHAMPION,
        "challengers": (CHALLENGER,),
        "mode": mode,
        "stage": 1,
        "step": 2,
        "weight": 0.0 if mode in ("shadow", "champion") else 1.0,
        "mirror": 1.0 if mode == "shadow" else 0.0,
        "noise": 1.0 if mode == "shadow" else 0.0,
        "method": "team-draft" if mode == "interleave" else "",
        "ranking": Ranking(items="$.items", id="$.id") if mode == "interleave" else None,
        "deadline": 10.0,
    }
    return Route(**(given | changes))


def asked(unit: str = "u", **changes: Any) -> Asked:
    given: dict[str, Any] = {"method": "POST", "decision_id": "d", "now": 1000.0, "start": 0.0, "digest": "q"}
    return Asked(**(given | {"unit": unit} | changes))


def say(command: Command) -> str:
    """One command in a few words."""
    match command:
        case Call():
            return f"call {command.call} {command.arm.name} {command.timeout:g}s"
        case Mirror():
            return f"mirror {command.call} {command.arm.name} {command.timeout:g}s"
        case Reply():
            return f"reply {command.head.status} {command.body.decode()}{'.' if command.ended else ' …'}"
        case More():
            return f"more {command.body.decode()}{'.' if command.ended else ' …'}"
        case Abort():
            return "abort"
        case Cancel():
            return f"cancel {command.call}"
        case Watch():
            return f"watch {command.call} {command.timeout:g}s"
        case Record():
            return _fact(command.fact)
        case Compare():
            return f"compare {command.arm}{' and noise' if command.noise else ''}"
        case Count():
            return f"count {command.count} {command.reason}"


def _fact(fact: Fact) -> str:
    match fact:
        case Exposed():
            how = f" failed {fact.reason}" if fact.failed else f" {fact.reason}" if fact.reason else ""
            return f"exposed {fact.arm} by {fact.served_by or 'nobody'} {fact.status}{how} {fact.latency_ms:g}ms"
        case Shown():
            return f"shown {','.join(fact.items)}{' but ' + fact.excluded if fact.excluded else ''}"
        case _:
            return type(fact).__name__


class Playbook:
    """`at(seconds)` sets the clock; each event method takes what is expected to be done, in order."""

    def __init__(self, route: Route, unit: str = "u", *, ejected: bool = False, **changes: Any) -> None:
        request = asked(unit, **changes)
        assigned = assign(route, unit) if unit else Assigned("v1", 0.0, True)
        self.exchange: Exchange = exchange(route, request, assigned, ejected=ejected)
        self.clock = 0.0
        self.commands: list[Command] = []

    def at(self, seconds: float) -> Playbook:
        self.clock = seconds
        return self

    def begins(self, *expected: str) -> Playbook:
        return self._then(Begun(self.clock), expected)

    def starts(self, call: int, *expected: str) -> Playbook:
        return self._then(Started(self.clock, call), expected)

    def replies(
        self,
        call: int,
        body: str,
        *expected: str,
        status: int = 200,
        headers: tuple[tuple[bytes, bytes], ...] = JSON,
        ended: bool = True,
    ) -> Playbook:
        """The head and the first bytes, which are all the bytes unless `ended` is False."""
        return self._then(Arrived(self.clock, call, Head(status, b"", headers), body.encode(), ended), expected)

    def goes_on(self, call: int, body: str, *expected: str, ended: bool = False) -> Playbook:
        return self._then(Arrived(self.clock, call, None, body.encode(), ended), expected)

    def fails(self, call: int, kind: str, *expected: str) -> Playbook:
        return self._then(Failed(self.clock, call, kind), expected)

    def is_late(self, call: int, *expected: str) -> Playbook:
        return self._then(Late(self.clock, call), expected)

    def client_leaves(self, *expected: str) -> Playbook:
        return self._then(Gone(self.clock), expected)

    def is_done(self) -> None:
        assert self.exchange.done

    def is_open(self) -> Playbook:
        assert not self.exchange.done
        return self

    def _then(self, event: Event, expected: Sequence[str]) -> Playbook:
        commands = self.exchange.receive(event)
        assert [say(command) for command in commands] == list(expected)
        self.commands += commands
        return self
