"""Conversations about a stream of tokens: passed on as it comes, read once it has passed."""

from __future__ import annotations

from crossfade.live.exchange.messages import Compare
from crossfade.live.exchange.mirrored import compared
from crossfade.spec.model import Protocol

from .playbook import STREAM, Playbook, route

CHAT = b'data: {"choices": [{"index": 0, "delta": {"content": "%b"}, "finish_reason": %b}]}\n\n'


def test_a_stream_of_tokens_is_passed_on_at_once_and_read_after() -> None:
    first, last = (CHAT % (b"Hel", b"null")).decode(), (CHAT % (b"lo", b'"stop"')).decode()
    for mode, arm in (("canary", "v2"), ("champion", "v1")):
        there = route(mode, protocol=Protocol.OPENAI_CHAT)
        play = Playbook(there).begins(f"call 0 {arm} {5 if arm == 'v2' else 8}s")
        play.at(1).replies(0, first, f"reply 200 {first} …", headers=STREAM, ended=False)
        play.at(2).goes_on(0, last, f"exposed {arm} by {arm} 200 2000ms", f"more {last}.", ended=True).is_done()


def test_a_stream_that_tells_of_an_error_is_a_failure_though_it_was_passed_on() -> None:
    first, error = (CHAT % (b"Hel", b"null")).decode(), 'data: {"error": {"message": "out of memory"}}\n\n'
    for mode, arm in (("canary", "v2"), ("ab", "v2")):
        play = Playbook(route(mode, protocol=Protocol.OPENAI_CHAT)).begins("call 0 v2 5s")
        play.replies(0, first, f"reply 200 {first} …", headers=STREAM, ended=False)
        failed = f"exposed {arm} by {arm} 200 failed error 0ms"
        play.goes_on(0, error, failed, f"more {error}.", ended=True).is_done()


def test_a_mirrored_stream_is_passed_on_at_once_and_compared_when_both_are_whole() -> None:
    def token(text: str, finish: str = "null") -> str:
        return (CHAT % (text.encode(), finish.encode())).decode()

    there = route("shadow", protocol=Protocol.OPENAI_CHAT, noise=0.0)
    play = Playbook(there).begins("call 0 v1 8s", "mirror 2 v2 8s").starts(2)
    play.replies(0, token("a"), f"reply 200 {token('a')} …", headers=STREAM, ended=False)
    play.replies(2, token("a b", '"stop"'), headers=STREAM)
    end = token(" c", '"stop"')
    play.goes_on(0, end, "exposed v1 by v1 200 0ms", f"more {end}.", "compare v2", ended=True).is_done()
    (pair,) = [command for command in play.commands if isinstance(command, Compare)]
    fact = compared(pair)
    assert (fact.differs, fact.fields) == (True, ("$.choices[0].content",))
    assert (fact.champion_failed, fact.challenger_failed) == (False, False)
