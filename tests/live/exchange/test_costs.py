"""What a reply cost, read from its headers, its body or the end of its stream."""

from __future__ import annotations

import json
import zlib

import pytest

from crossfade.live.exchange.costs import cost_of
from crossfade.live.exchange.messages import Head
from crossfade.live.exchange.pairs import Answer
from crossfade.spec.model import Field, From, Priced, Protocol

PROMPT = Priced(place=Field(source=From.JSON, name="$.usage.prompt_tokens"), price=0.5)
ANSWER = Priced(place=Field(source=From.JSON, name="$.usage.completion_tokens"), arms=(("v1", 2.0), ("v2", 1.0)))
HEADER = Priced(place=Field(source=From.HEADER, name="x-cost"))
CHAT = {"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 10, "completion_tokens": 3}}


def answer(body: bytes, *headers: tuple[bytes, bytes], failure: str = "") -> Answer:
    return Answer(Head(200, b"OK", headers), body, failure, 1.0)


def chat(priced: tuple[Priced, ...], arm: str = "v1", body: object = CHAT) -> float | None:
    return cost_of(answer(json.dumps(body).encode()), priced, arm, Protocol.OPENAI_CHAT)


def test_tokens_times_their_price_by_arm() -> None:
    assert chat((PROMPT, ANSWER)) == 10 * 0.5 + 3 * 2.0
    assert chat((PROMPT, ANSWER), "v2") == 10 * 0.5 + 3 * 1.0


def test_of_a_stream_what_it_says_at_its_end() -> None:
    piece = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
    events = [piece, {"choices": [], "usage": CHAT["usage"]}]
    body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"
    stream = (b"Content-Type", b"text/event-stream; charset=utf-8")
    assert cost_of(answer(body, stream), (PROMPT,), "v1", Protocol.OPENAI_CHAT) == 5.0
    body = b"data: %s\n\ndata: [DONE]\n\n" % json.dumps(piece).encode()
    assert cost_of(answer(body, stream), (PROMPT,), "v1", Protocol.OPENAI_CHAT) is None


def test_a_header_and_a_compressed_body() -> None:
    assert cost_of(answer(b"", (b"X-Cost", b" 0.25 ")), (HEADER,), "v1", Protocol.JSON) == 0.25
    body = zlib.compress(json.dumps(CHAT).encode())
    packed = answer(body, (b"content-encoding", b"deflate"))
    assert cost_of(packed, (PROMPT,), "v1", Protocol.JSON) == 5.0


@pytest.mark.parametrize(
    "body",
    [
        {"usage": {"prompt_tokens": 10}},
        {"usage": {"prompt_tokens": 10, "completion_tokens": None}},
        {"usage": {"prompt_tokens": 10, "completion_tokens": True}},
        {"usage": {"prompt_tokens": 10, "completion_tokens": -1}},
        [],
    ],
)
def test_a_part_of_a_cost_is_none(body: object) -> None:
    assert chat((PROMPT, ANSWER), body=body) is None


def test_what_cannot_be_read_costs_nothing_known() -> None:
    assert cost_of(answer(b"{"), (PROMPT,), "v1", Protocol.JSON) is None
    assert cost_of(answer(b"{}", failure="status"), (PROMPT,), "v1", Protocol.JSON) is None
    assert cost_of(Answer(None, b"", "timeout", 1.0), (HEADER,), "v1", Protocol.JSON) is None
    assert cost_of(answer(b"", (b"x-cost", b"nan")), (HEADER,), "v1", Protocol.JSON) is None
