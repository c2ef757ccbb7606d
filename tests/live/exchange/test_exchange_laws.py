"""What holds for every exchange, however its calls, failures, timeouts and departures fall."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.facts import Exposed, Shown
from crossfade.live.assign import assign
from crossfade.live.exchange import exchange
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
from crossfade.spec.model import Arm

from .playbook import CHALLENGER, JSON, STREAM, asked, route

BODIES = (b'{"items": [{"id": "a"}, {"id": "b"}]}', b'{"items": [{"id": "b"}]}', b'{"x": NaN}', b"rubbish", b"")


@dataclass
class Open:
    """A call that the runner has not been told to end."""

    hidden: bool
    waiting: bool
    """In the queue of copies."""
    due: float | None
    """When its timer rings; None when it has none."""
    headed: bool = False
    body: bytes = b""


@dataclass
class Runner:
    """Checks every command as a runner would have to carry it out."""

    calls: dict[int, Open] = field(default_factory=dict)
    seen: dict[int, bytes] = field(default_factory=dict)
    """Bytes that each call brought."""
    replied: bool = False
    ended: bool = False
    aborted: bool = False
    left: bool = False
    delivered: bytes = b""
    exposed: list[Exposed] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    pairs: list[Compare] = field(default_factory=list)

    def carry_out(self, command: Command, at: float) -> None:
        match command:
            case Call() | Mirror():
                assert command.call not in self.seen, "a number used twice"
                assert command.timeout > 0
                hidden = isinstance(command, Mirror)
                self.seen[command.call] = b""
                self.calls[command.call] = Open(hidden, waiting=hidden, due=None if hidden else at + command.timeout)
            case Cancel():
                assert command.call in self.calls, "only an open call can be cancelled"
                del self.calls[command.call]
            case Watch():
                assert self.calls[command.call].due is None
                assert command.timeout > 0
                self.calls[command.call].due = at + command.timeout
            case Reply():
                assert not self.replied, "two replies"
                assert not self.left
                self.replied = True
                self._deliver(command.body, command.ended)
            case More():
                assert self.replied
                self._deliver(command.body, command.ended)
            case Abort():
                assert self.replied
                assert not self.ended
                self.ended = self.aborted = True
            case Record():
                if isinstance(command.fact, Exposed):
                    self.exposed.append(command.fact)
                elif isinstance(command.fact, Shown):
                    self.shown.append(command.fact)
            case Compare():
                self.pairs.append(command)
            case Count():
                assert command.count > 0

    def _deliver(self, body: bytes, ended: bool) -> None:
        assert not self.ended, "bytes after the end"
        assert not self.left, "bytes for nobody"
        self.delivered += body
        self.ended = ended

    def check(self) -> None:
        """A user is never left waiting for a copy, nor for nobody."""
        waits_for = [call for call in self.calls.values() if not call.hidden]
        assert self.ended or self.left or waits_for
        assert len(self.exposed) == (1 if self.ended or self.left else 0)


def _events(runner: Runner, at: float, draw: st.DataObject) -> Event:
    """Any event that a runner could report now."""
    options: list[tuple[str, int]] = []
    for number, call in runner.calls.items():
        if call.waiting:
            options += [("started", number), ("dropped", number)]
        else:
            options += [("arrived", number)] * 3 + [("failed", number)]
            options += [("late", number)] if call.due is not None else []
    if not runner.left and not runner.ended:
        options.append(("gone", 0))
    what, number = draw.draw(st.sampled_from(options))
    if what == "gone":
        runner.left = True
        return Gone(at)
    call = runner.calls[number]
    match what:
        case "started":
            call.waiting, call.due = False, at + 8.0
            return Started(at, number)
        case "dropped":
            del runner.calls[number]
            return Failed(at, number, "dropped")
        case "failed":
            del runner.calls[number]
            kinds = [
                "refused",
                "exhausted",
                "broken",
                "timeout",
                *(["flood", "large", "shutdown"] if call.hidden else []),
            ]
            return Failed(at, number, draw.draw(st.sampled_from(kinds)))
        case "late":
            assert call.due is not None
            at, call.due = max(at, call.due), None
            return Late(at, number)
        case _:
            return _arrival(runner, number, at, draw)


def _arrival(runner: Runner, number: int, at: float, draw: st.DataObject) -> Arrived:
    call = runner.calls[number]
    head, least = None, 1
    if not call.headed:
        least = 0
        call.headed = True
        status = draw.draw(st.sampled_from([200, 200, 200, 204, 404, 500]))
        head = Head(status, b"", draw.draw(st.sampled_from([JSON, JSON, STREAM])))
        call.body = draw.draw(st.sampled_from(BODIES))
    whole = len(call.body)
    cut = draw.draw(st.sampled_from([min(least, whole), (whole + 1) // 2, whole]))
    body, call.body = call.body[:cut], call.body[cut:]
    ended = not call.body and (not body or draw.draw(st.booleans()))
    runner.seen[number] += body
    if ended:
        del runner.calls[number]
    return Arrived(at, number, head, body, ended)


@pytest.mark.parametrize("mode", ["champion", "shadow", "canary", "ab", "interleave", "promote", "ab and copies"])
@settings(max_examples=120, deadline=None)
@given(draw=st.data())
def test_every_request_is_answered_and_recorded_exactly_once(mode: str, draw: st.DataObject) -> None:
    arms = (CHALLENGER, Arm(name="v3", url="http://three")) if mode == "shadow" else (CHALLENGER,)
    copies: dict[str, Any] = {}
    if mode == "ab and copies":
        mode, copies = "ab", {"counterfactual": 1.0, "both": True, "weight": draw.draw(st.sampled_from([0.0, 1.0]))}
    noise = draw.draw(st.sampled_from([0.0, 1.0])) if mode == "shadow" else 0.0
    there = route(mode, challengers=arms, noise=noise, **copies)
    unit = draw.draw(st.sampled_from(["u", ""]))
    ejected = draw.draw(st.booleans())
    machine = exchange(there, asked(unit), assign(there, unit), ejected=ejected)
    runner, at = Runner(), 0.0
    event: Event = Begun(at)
    for _ in range(400):
        gone_before = runner.left and not isinstance(event, Gone)
        for command in machine.receive(event):
            assert not (gone_before and isinstance(command, Call)), "a call for nobody"
            runner.carry_out(command, at)
        runner.check()
        if machine.done:
            assert not runner.calls, "a call left open by an exchange that wants nothing more"
            break
        at += draw.draw(st.sampled_from([0.0, 0.001, 1.0, 6.0]))
        event = _events(runner, at, draw)
        at = event.at
    else:
        pytest.fail("the exchange did not end")

    assert machine.done
    (fact,) = runner.exposed
    assert fact.arm == assign(there, unit).arm
    assert 0.0 <= fact.latency_ms <= fact.total_ms
    assert fact.size == len(runner.delivered)
    assert (fact.reason == "exhausted") <= (not fact.failed)
    assert (fact.served_by == "") <= (fact.status in (0, 502, 503, 504))
    assert len(runner.shown) <= (1 if mode == "interleave" else 0)
    assert len(runner.pairs) <= (2 if mode == "shadow" else int(bool(copies and unit)))
    assert fact.copied == bool(copies and unit)
    if fact.served_by and "+" not in fact.served_by and not (runner.left or runner.aborted):
        assert runner.delivered in runner.seen.values(), "the reply is some model's, byte for byte"
    if ejected and fact.arm == "v2":
        assert (fact.arm, fact.failed, fact.served_by in ("v1", "")) == ("v2", True, True)
        assert fact.reason == "ejected"
    if mode == "shadow" or copies.get("weight") == 0.0:
        # The user's line is what it would have been without any copy.
        assert fact.served_by in ("v1", "")
    for late in (Gone(at), Failed(at, 0, "broken"), Late(at, 0), Arrived(at, 0, None, b"x", True)):
        assert machine.receive(late) == [], "nothing after the end"
