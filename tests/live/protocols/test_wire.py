"""What every protocol must hold: known or refused by name, and nothing a model answers ever raises."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossfade.live.compare import differences
from crossfade.live.protocols import WIRES, Invalid, Prediction, wire
from crossfade.spec.model import Protocol, Ranking

RANKINGS = [
    Ranking(items="$.items", id="$.id"),
    Ranking(items="$"),
    Ranking(items="$.outputs[0].data"),
    Ranking(items="$.outputs[1]['data']", id="$[0]"),
    Ranking(items="$.predictions[0]", id="$.a.b"),
    Ranking(items="$.not[a path"),
    Ranking(items="$.items", id="$["),
]
REASONS = {"broken", "nan", "shape", "error"}

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5)
keys = st.sampled_from(
    (
        "choices",
        "message",
        "delta",
        "content",
        "tool_calls",
        "function",
        "index",
        "outputs",
        "data",
        "shape",
        "name",
        "datatype",
        "parameters",
        "binary_data_size",
        "predictions",
        "error",
        "items",
        "id",
    )
)
replies = st.recursive(
    scalars | st.sampled_from(("FP64", "INT64", "BOOL", "BYTES", "FP32")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)
outputs = st.fixed_dictionaries(
    {
        "name": st.sampled_from(("p", "q")) | scalars,
        "datatype": st.sampled_from(("FP64", "FP32", "INT64", "UINT8", "BOOL", "BYTES", "BF16", "odd")) | scalars,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | scalars,
        "data": st.lists(scalars | st.lists(scalars, max_size=3), max_size=6) | scalars,
    },
    optional={"parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 40) | scalars})},
)
inferences = st.fixed_dictionaries({"outputs": st.lists(outputs, max_size=3)})
streams = st.lists(replies.map(lambda doc: b"data: " + json.dumps(doc).encode()) | st.binary(max_size=20))
bodies = (
    st.binary(max_size=120)
    | streams.map(b"\n\n".join)
    | (replies | inferences).map(lambda doc: json.dumps(doc).encode())
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "content-encoding": st.sampled_from(("", "identity", "gzip", "deflate", "br", "GZIP")),
        "content-type": st.sampled_from(("text/event-stream", "application/json")),
        "inference-header-content-length": st.integers(-5, 150).map(str) | st.text(max_size=5),
    },
)
wires = st.sampled_from(list(WIRES.values()))


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_protocol_has_one_reader(protocol):
    assert wire(protocol) is wire(protocol)
    assert wire(protocol).name == protocol


@given(wires, headers, bodies, st.binary(max_size=60))
@example(WIRES[Protocol.OPEN_INFERENCE], {}, b"[" * 100_000, b"")
@example(WIRES[Protocol.JSON], {}, b'{"a":' * 100_000, b"")
@example(WIRES[Protocol.JSON], {}, b"[NaN" + b"[" * 100_000, b"")
@example(WIRES[Protocol.OPEN_INFERENCE], {"inference-header-content-length": "\u0663"}, b"123{}", b"")
def test_no_reply_raises(wire, headers, body, tail):
    found = wire.prediction(headers, body + tail)
    if isinstance(found, Invalid):
        assert found.reason in REASONS
        assert found.detail
    else:
        assert isinstance(found, Prediction)
        assert differences(found, found) == ()


@given(wires, bodies, bodies, st.sampled_from(RANKINGS), st.randoms(use_true_random=False))
def test_no_list_raises(wire, body, other, ranking, chance):
    ours, theirs = wire.items(body, ranking), wire.items(other, ranking)
    lists = []
    for found in (ours, theirs):
        if isinstance(found, Invalid):
            assert found.reason in REASONS
            assert found.detail
        else:
            assert all(isinstance(name, str) and name for name, _ in found)
            lists += found
    chance.shuffle(lists)
    merged = wire.merged(body, ranking, [item for _, item in lists])
    assert isinstance(merged, bytes)
    if isinstance(ours, Invalid):
        assert not lists or merged is body or not isinstance(wire.items(merged, ranking), Invalid)
    elif merged is not body:
        again = wire.items(merged, ranking)
        assert not isinstance(again, Invalid)
        assert [name for name, _ in again] == [name for name, _ in lists]


@pytest.mark.parametrize("protocol", list(WIRES))
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "broken"),
        (b"<html>Bad gateway</html>", "broken"),
        (b'{"predictions":[1', "broken"),
        (b'\xef\xbb\xbf{"predictions":[1]}', "broken"),
        (b'{"predictions":[NaN]}', "nan"),
        (b'{"predictions":[1.5,-Infinity]}', "nan"),
        (b'{"predictions":[1e999]}', "nan"),
        (b'{"predictions":[NaN', "broken"),
        (b'{"predictions":["NaN"', "broken"),
        (b'{"predictions":["\xff"]}', "broken"),
    ],
)
def test_what_no_protocol_accepts(protocol, body, reason):
    found = wire(protocol).prediction({}, body)
    assert isinstance(found, Invalid)
    assert found.reason == reason
