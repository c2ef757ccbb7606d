"""Completions as real servers send them: whole, streamed with and without `[DONE]`, and cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.compare import differences
from crossfade.live.protocols import Invalid, Prediction, wire
from crossfade.live.protocols.openai_chat import Completion, completion, events
from crossfade.spec.model import Protocol

WIRE = wire(Protocol.OPENAI_CHAT)
JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream; charset=utf-8"}


def whole(content: Any, finish: str | None = "stop", **message: Any) -> bytes:
    said = {"role": "assistant", "content": content, **message}
    doc = {"id": "chatcmpl-1", "model": "m", "choices": [{"index": 0, "message": said, "finish_reason": finish}]}
    return json.dumps(doc | {"usage": {"total_tokens": 30}}).encode()


def delta(finish: str | None = None, index: int = 0, **said: Any) -> dict[str, Any]:
    return {"id": "x", "model": "m", "choices": [{"index": index, "delta": said, "finish_reason": finish}]}


def stream(*docs: Any, done: bool = True, end: str = "\n\n") -> bytes:
    lines = [f"data: {json.dumps(doc)}{end}" for doc in docs]
    return "".join([*lines, f"data: [DONE]{end}"] if done else lines).encode()


def fields(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    found = WIRE.prediction(headers, body)
    assert isinstance(found, Prediction), found
    return dict(found.fields)


def wrong(headers: dict[str, str], body: bytes) -> str:
    found = WIRE.prediction(headers, body)
    assert isinstance(found, Invalid), found
    assert found.detail
    return found.reason


HELLO = {"$.choices[0].content": "Hello there", "$.choices[0].finish_reason": "stop"}
PIECES = (delta(role="assistant", content=""), delta(content="Hello"), delta(content=" there"), delta("stop"))


def test_a_stream_says_what_the_whole_reply_says() -> None:
    assert fields(JSON, whole("Hello there")) == HELLO
    for done in (True, False):
        for end in ("\n\n", "\r\n\r\n", "\r\r"):
            assert fields(SSE, stream(*PIECES, done=done, end=end)) == HELLO


@pytest.mark.parametrize(
    "last", [{"choices": [], "usage": {"total_tokens": 8}}, delta("stop") | {"usage": {"total_tokens": 8}}]
)
def test_usage_comes_with_or_without_a_choice_beside_it(last: dict[str, Any]) -> None:
    found = completion(SSE, stream(*PIECES, last))
    assert isinstance(found, Completion)
    assert found.usage == {"total_tokens": 8}
    assert fields(SSE, stream(*PIECES, last)) == HELLO
    unstreamed = completion(JSON, whole("x"))
    assert isinstance(unstreamed, Completion)
    assert unstreamed.usage == {"total_tokens": 30}


def test_white_space_and_unicode_forms_are_no_other_words() -> None:
    def differs(a: str, b: str) -> bool:
        one, two = WIRE.prediction(JSON, whole(a)), WIRE.prediction(JSON, whole(b))
        assert isinstance(one, Prediction)
        assert isinstance(two, Prediction)
        return bool(differences(one, two))

    assert not differs("a  b\n", " a b")
    assert not differs("caf\u00e9", "cafe\u0301")
    assert differs("a b", "a c")
    assert differs("a b", "A b")
    assert differs("a b", "ab")


def test_another_finish_reason_is_a_difference() -> None:
    one, two = WIRE.prediction(JSON, whole("x")), WIRE.prediction(JSON, whole("x", "length"))
    assert isinstance(one, Prediction)
    assert isinstance(two, Prediction)
    assert differences(one, two) == ("$.choices[0].finish_reason",)


def test_tool_calls_are_compared_by_name_and_arguments() -> None:
    def call(arguments: str, at: int = 0, **more: Any) -> dict[str, Any]:
        return {"index": at, "id": f"call_{arguments}", "function": {"arguments": arguments, **more}}

    calls = [call('{"city":"Bonn", "days": 2}', name="weather"), call("not json  at all", 1, name="look")]
    streamed = stream(
        delta(tool_calls=[call("", name="weather")]),
        delta(tool_calls=[call('{"days":2,')]),
        delta(tool_calls=[call("not json ", 1, name="look")]),
        delta(tool_calls=[call('"city":"Bonn"}')]),
        delta("tool_calls", tool_calls=[call("at all", 1)]),
    )
    expected = [
        {"name": "weather", "arguments": {"city": "Bonn", "days": 2}},
        {"name": "look", "arguments": "not json at all"},
    ]
    for found in (fields(JSON, whole(None, "tool_calls", tool_calls=calls)), fields(SSE, streamed)):
        assert found["$.choices[0].tool_calls"] == expected
        assert found["$.choices[0].content"] == ""
    assert fields(JSON, whole(None, function_call={"name": "f", "arguments": "{}"}))["$.choices[0].tool_calls"] == [
        {"name": "f", "arguments": {}}
    ]


def test_several_choices_parts_refusals_and_plain_completions() -> None:
    found = fields(SSE, stream(delta("stop", 1, content="b"), delta("length", 0, content="a"), done=False))
    assert found["$.choices[0].content"] == "a"
    assert found["$.choices[1].finish_reason"] == "stop"
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    assert fields(JSON, whole(parts))["$.choices[0].content"] == "ab"
    assert fields(JSON, whole(None, refusal="I will not."))["$.choices[0].refusal"] == "I will not."
    text = {"choices": [{"index": 0, "text": "Hello there", "finish_reason": "stop"}]}
    assert fields(JSON, json.dumps(text).encode()) == HELLO
    assert fields(SSE, stream(text, done=False)) == HELLO


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (stream(*PIECES[:-1], done=False), "broken"),  # cut between two events
        (stream(*PIECES, done=False)[:-9], "broken"),  # cut inside one
        (b"", "broken"),
        (b": nothing but a comment\n\n", "broken"),
        (stream(PIECES[1], {"error": {"message": "out of memory"}}), "error"),
        (stream(), "shape"),
        (stream({"choices": 3}), "shape"),
        (stream({"choices": [7]}), "shape"),
    ],
)
def test_streams_that_are_no_answer(body: bytes, reason: str) -> None:
    assert wrong(SSE, body) == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"choices": []}', "shape"),
        (b'{"choices": [{"index": "x"}]}', "shape"),
        (b'{"choices": [{"message": 7}]}', "shape"),
        (b'{"object": "list"}', "shape"),
        (b"[]", "shape"),
        (b'{"error": {"message": "no"}}', "error"),
    ],
)
def test_documents_that_are_no_answer(body: bytes, reason: str) -> None:
    assert wrong(JSON, body) == reason


def test_signs_of_life_are_passed_over() -> None:
    lively = b": ping\n\nevent: ping\nid: 7\nretry: 3\ndata: {}\n\n" + stream(*PIECES)
    assert fields(SSE, lively) == HELLO


def test_an_event_may_have_several_lines() -> None:
    assert list(events(b"\xef\xbb\xbfdata:a\ndata:  b\n\ndata: c")) == [b"a\n b", b"c"]


@given(st.lists(st.text(max_size=8), min_size=1), st.booleans())
def test_any_text_survives_its_pieces(pieces: list[str], done: bool) -> None:
    streamed = stream(*(delta(content=piece) for piece in pieces), delta("stop"), done=done)
    assert fields(SSE, streamed) == fields(JSON, whole("".join(pieces)))
