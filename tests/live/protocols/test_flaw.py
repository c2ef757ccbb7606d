"""Whether a reply is usable, told without decoding it, is what decoding it would tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossfade.live.protocols import WIRES, Invalid, number_list
from crossfade.spec.model import Protocol

OPEN_INFERENCE = WIRES[Protocol.OPEN_INFERENCE]

WORDS = (
    "1e999 -1e400 1e-999 1E5 1e5 NaN Infinity -Infinity true null [1] {} 01 1. .5 - 1.2.3 1-2 +1 --1 1e 1e-",
    '"x"',
    "1" * 400,
    "9" * 309,
    "-" + "9" * 310,
    "0." + "3" * 400,
)
odd = st.sampled_from([b"", b" ", *(word.encode() for words in WORDS for word in words.split())])
usual = st.floats(allow_nan=False, allow_infinity=False).map(lambda x: json.dumps(x).encode()) | st.integers().map(
    lambda x: str(x).encode()
)
arrays = st.builds(
    lambda parts, gap: b"[" + gap.join(parts) + b"]",
    st.lists(st.one_of(usual, usual, usual, usual, odd), max_size=40),
    st.sampled_from([b",", b", ", b",\n "]),
)


def reply(data: bytes, shape: Any, datatype: str = "FP64", more: str = "") -> bytes:
    return b'{"outputs": [{"name": "y", "shape": %b, "datatype": "%b", "data": %b%b}]}' % (
        json.dumps(shape).encode(),
        datatype.encode(),
        data,
        more.encode(),
    )


def agree(body: bytes, headers: dict[str, str] | None = None) -> Invalid | None:
    found = OPEN_INFERENCE.prediction(headers or {}, body)
    flaw = OPEN_INFERENCE.flaw(headers or {}, body)
    assert flaw == (found if isinstance(found, Invalid) else None)
    return flaw


@given(arrays, st.integers(-1, 1), st.sampled_from(["FP64", "FP32", "INT64", "BOOL", "BYTES", "?"]))
@example(b"[" + b"1" * 309 + b",2]", 0, "FP64")
@example(b"[2," + b"1" * 400 + b".5]", 0, "FP64")
def test_both_say_the_same_of_any_array(data: bytes, off: int, datatype: str) -> None:
    agree(reply(data, [1, data.count(b",") + 1 + off], datatype))


@given(st.lists(usual, min_size=2, max_size=30), st.data())
def test_both_say_the_same_of_damaged_bytes(parts: list[bytes], data: st.DataObject) -> None:
    body = bytearray(reply(b"[" + b",".join(parts) + b"]", [len(parts)]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    agree(bytes(body))


@pytest.mark.parametrize(
    ("body", "fine"),
    [
        (reply(b"[1.5,2,3e-7]", [3]), True),
        (reply(b"[1.5,2,3e-7]", [3, 1], more=', "parameters": {"content_type": "np"}'), True),
        (reply(b"[1.5,2]", [2], more=', "parameters": {"binary_data_size": 16}'), False),
        (reply(b"[[1,2],[3,4]]", [2, 2]), True),
        (reply(b"[1,2]", [-1, -2]), False),
        (reply(b"[1,2]", [True, 2]), False),
        (reply(b"[1,2,3]", [2]), False),
        (reply(b"[1,NaN]", [2]), False),
        (reply(b"[1,1e999]", [2]), False),
        (b'{"outputs": []}', False),
        (b'{"error": "no", "outputs": [{"name": "y", "shape": [2], "datatype": "FP64", "data": [1, 2]}]}', False),
        (
            b'{"outputs": [{"name": "y", "shape": [2], "datatype": "FP64", "data": [1, 2]},'
            b'{"name": "y", "shape": [2], "datatype": "FP64", "data": [1, 2]}]}',
            False,
        ),
        (b"", False),
        (b"[" * 100_000, False),
    ],
)
def test_what_is_fine_and_what_is_not(body: bytes, fine: bool) -> None:
    assert (agree(body) is None) == fine


def test_the_usual_array_is_counted_and_an_odd_one_left_to_decoding() -> None:
    assert number_list.count(b"[1,2.5,-3e-7]") == 3
    assert number_list.count(b"[%b]" % b",".join([b"0.125"] * 1000)) == 1000
    for odd in (b"[1]", b"[]", b"[1,1e5]", b"[1,null]", b'["1","2"]', b"[[1,2]]", b"[1,%b]" % (b"7" * 310)):
        assert number_list.count(odd) == -1, odd
