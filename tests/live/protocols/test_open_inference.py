"""Open Inference Protocol: tensors held to their own declaration, rows kept together, read as Triton's client does."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.http import InferResult
from tritonclient.utils import serialize_byte_tensor

from crossfade.live.compare import differences
from crossfade.live.protocols import Invalid, Prediction, Tensor, wire
from crossfade.spec.model import Protocol, Ranking

WIRE = wire(Protocol.OPEN_INFERENCE)
RANKING = Ranking(items="$.outputs[0].data")


def output(data, *, shape=None, datatype="FP64", name="p", **more):
    """One output of a reply."""
    return {"name": name, "shape": [len(data)] if shape is None else shape, "datatype": datatype, "data": data, **more}


def reply(*outputs, **more) -> bytes:
    """A reply as MLServer writes it."""
    return json.dumps({"model_name": "m", "model_version": "v1", "id": "r1", "outputs": outputs, **more}).encode()


def one(*args, **kwargs):
    """What a reply of one output predicts."""
    found = WIRE.prediction({}, reply(output(*args, **kwargs)))
    return found.fields["p"] if isinstance(found, Prediction) else found


@pytest.mark.parametrize(
    ("data", "shape", "datatype", "expected"),
    [
        ([0.25, 0.75], [2], "FP64", [0.25, 0.75]),
        ([0, 1], [1, 2], "FP32", [0.0, 1.0]),
        ([[1.5, 2], [3, 4]], [2, 2], "FP32", [1.5, 2.0, 3.0, 4.0]),
        ([[[1], [2]], [[3], [4]]], [2, 2, 1], "INT64", [1, 2, 3, 4]),
        ([1.0, 2.0], [2], "INT32", [1, 2]),
        ([True, False], [2], "BOOL", [True, False]),
        ([1, 0], [2], "BOOL", [True, False]),
        (["cat", "dög"], [2, 1], "BYTES", ["cat", "dög"]),
        ([], [0], "FP64", []),
        ([[], []], [2, 0], "FP64", []),
        ([3.5], [], "FP64", [3.5]),
        ([2**64 - 1], [1], "UINT64", [2**64 - 1]),
    ],
)
def test_tensors(data, shape, datatype, expected):
    found = one(data, shape=shape, datatype=datatype)
    assert found == Tensor(tuple(shape), expected)
    assert list(map(type, found.values)) == list(map(type, expected))


@pytest.mark.parametrize(
    ("data", "shape", "datatype", "reason"),
    [
        ([1.0, 2.0], [3], "FP64", "shape"),
        ([[1.0, 2.0], [3.0]], [3], "FP64", "shape"),
        ([[1.0], 2.0], [2], "FP64", "shape"),
        ([1.0, [2.0]], [2], "FP64", "shape"),
        ([1.0], [-1], "FP64", "shape"),
        ([1.0], ["1"], "FP64", "shape"),
        ([1.0], [True], "FP64", "shape"),
        ([1.0], None, "FP64", "shape"),
        ("1.0", [1], "FP64", "shape"),
        (None, [1], "FP64", "shape"),
        ([None], [1], "FP64", "nan"),
        (["NaN"], [1], "FP64", "nan"),
        (["-Infinity"], [1], "FP32", "nan"),
        ([10**400], [1], "FP64", "nan"),
        (["cat"], [1], "FP64", "broken"),
        ([True], [1], "FP64", "broken"),
        ([1.5], [1], "INT64", "broken"),
        (["1"], [1], "INT64", "broken"),
        ([2], [1], "BOOL", "broken"),
        ([7], [1], "BYTES", "broken"),
    ],
)
def test_replies_that_break_their_own_word(data, shape, datatype, reason):
    body = reply({"name": "p", "shape": shape, "datatype": datatype, "data": data})
    found = WIRE.prediction({}, body)
    assert isinstance(found, Invalid)
    assert found.reason == reason
    assert "'p'" in found.detail


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error":"ValueError : X has 3 features"}', "error"),
        (reply(output([1.0]), error="late"), "error"),
        (b'{"outputs":[{"name":"p","datatype":"FP64","shape":[2],"data":[1,NaN]}]}', "nan"),
        (b'{"outputs":[{"name":"p","datatype":"FP64","shape":[2],"data":[1,-Infinity]}]}', "nan"),
        (b'{"outputs":[]}', "shape"),
        (b'{"model_name":"m"}', "shape"),
        (b"[]", "shape"),
        (b'"ok"', "shape"),
        (b'{"outputs":[7]}', "shape"),
        (reply(output([1.0]), output([2.0])), "shape"),
        (b'{"outputs":', "broken"),
    ],
)
def test_replies_without_a_prediction(body, reason):
    found = WIRE.prediction({}, body)
    assert isinstance(found, Invalid)
    assert found.reason == reason


def test_who_answered_and_how_it_is_written_is_no_prediction():
    flat = reply(output([1, 2, 3, 4], shape=[2, 2]))
    nested = json.dumps(
        {
            "outputs": [
                output([[1.0, 2.0], [3.0, 4.0]], shape=[2, 2], datatype="FP32", parameters={"content_type": "np"})
            ]
        }
    ).encode()
    assert differences(WIRE.prediction({}, flat), WIRE.prediction({}, nested)) == ()
    more = reply(output([1, 2, 3, 4], shape=[2, 2]), output([1], name="q"))
    assert differences(WIRE.prediction({}, flat), WIRE.prediction({}, more)) == ("q",)


def binary(arrays: dict[str, tuple[str, np.ndarray]], *, pad: int = 0) -> tuple[dict[str, str], bytes]:
    """Headers and body of a reply in the binary extension, as Triton writes it."""
    raw = {
        name: serialize_byte_tensor(values).item() if datatype == "BYTES" else values.tobytes()
        for name, (datatype, values) in arrays.items()
    }
    outputs = [
        {
            "name": name,
            "datatype": datatype,
            "shape": list(values.shape),
            "parameters": {"binary_data_size": len(raw[name])},
        }
        for name, (datatype, values) in arrays.items()
    ]
    head = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    return {"inference-header-content-length": str(len(head))}, head + b"".join(raw.values()) + bytes(pad)


DTYPES = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}


@pytest.mark.parametrize("datatype", DTYPES)
@given(data=st.data())
def test_binary_tensors_are_read_as_tritons_client_reads_them(datatype, data):
    dtype = np.dtype(DTYPES[datatype])
    raw = data.draw(st.binary(min_size=4 * dtype.itemsize, max_size=4 * dtype.itemsize))
    values = np.frombuffer(bytes(b & 1 for b in raw) if datatype == "BOOL" else raw, dtype=dtype).reshape(2, 2)
    headers, body = binary({"p": (datatype, values), "q": ("INT32", np.arange(3, dtype="<i4"))})
    found = WIRE.prediction(headers, body)
    if not np.isfinite(values).all():
        assert isinstance(found, Invalid)
        assert found.reason == "nan"
        return
    theirs = InferResult.from_response_body(body, header_length=int(headers["inference-header-content-length"]))
    assert isinstance(found, Prediction)
    assert found.fields["p"] == Tensor((2, 2), theirs.as_numpy("p").ravel().tolist())
    assert found.fields["q"] == Tensor((3,), [0, 1, 2])


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=10), max_size=5))
def test_binary_strings(strings):
    headers, body = (
        binary({"p": ("BYTES", np.array([s.encode() for s in strings], dtype=np.object_))})
        if strings
        else (
            {"inference-header-content-length": "0"},
            b"",
        )
    )
    if strings:
        assert WIRE.prediction(headers, body) == Prediction({"p": Tensor((len(strings),), strings)})
    else:
        assert isinstance(WIRE.prediction(headers, body), Invalid)


def test_bfloat16_is_the_upper_half_of_a_float():
    raw = b"".join(struct.pack("<f", value)[2:] for value in (1.0, -2.5, 0.0))
    found = WIRE.prediction(*_raw("BF16", [3], raw))
    assert found == Prediction({"p": Tensor((3,), [1.0, -2.5, 0.0])})


def _raw(datatype: str, shape: list[int], raw: bytes, size: int | None = None) -> tuple[dict[str, str], bytes]:
    parameters = {"binary_data_size": len(raw) if size is None else size}
    head = json.dumps({"outputs": [{"name": "p", "datatype": datatype, "shape": shape, "parameters": parameters}]})
    return {"inference-header-content-length": str(len(head))}, head.encode() + raw


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "size", "reason"),
    [
        ("FP32", [2], bytes(4), None, "shape"),
        ("FP32", [1], bytes(3), None, "shape"),
        ("FP32", [1], bytes(4), 8, "shape"),
        ("FP32", [1], bytes(8), 4, "shape"),
        ("FP32", [1], struct.pack("<f", float("nan")), None, "nan"),
        ("BYTES", [1], b"\x05\0\0\0cat", None, "shape"),
        ("BYTES", [1], b"\x05\0", None, "shape"),
        ("BYTES", [2], b"\x03\0\0\0cat", None, "shape"),
        ("BF16", [1], bytes(3), None, "broken"),
        ("COMPLEX", [1], bytes(8), None, "broken"),
    ],
)
def test_binary_replies_that_break_their_own_word(datatype, shape, raw, size, reason):
    found = WIRE.prediction(*_raw(datatype, shape, raw, size))
    assert isinstance(found, Invalid)
    assert found.reason == reason


@pytest.mark.parametrize("length", ["", "-1", "x", "9999999", "1e3", "²"])
def test_a_header_length_that_cannot_be(length):
    found = WIRE.prediction({"inference-header-content-length": length}, reply(output([1.0])))
    assert isinstance(found, Invalid)
    assert found.reason == "broken"


# -- ranked lists ------------------------------------------------------------------------------------------------


def ranked(ids, scores=None, *, shape=None, datatype="BYTES", **more) -> bytes:
    """A reply that ranks: ids, and scores beside them."""
    outputs = [output(ids, name="ids", shape=shape, datatype=datatype)]
    if scores is not None:
        outputs.append(output(scores, name="scores"))
    return reply(*outputs, **more)


def test_scores_stay_beside_their_ids():
    champion, challenger = ranked(["a", "b", "c"], [3.0, 2.0, 1.0], took=5), ranked(["d", "a"], [0.5, 0.25])
    ours, theirs = WIRE.items(champion, RANKING), WIRE.items(challenger, RANKING)
    assert [name for name, _ in ours] == ["a", "b", "c"]
    merged = WIRE.merged(champion, RANKING, [theirs[0][1], ours[0][1], ours[2][1], ours[1][1]])
    result = InferResult.from_response_body(merged)
    assert result.as_numpy("ids").tolist() == ["d", "a", "c", "b"]
    assert result.as_numpy("scores").tolist() == [0.5, 3.0, 1.0, 2.0]
    assert result.get_output("ids")["shape"] == result.get_output("scores")["shape"] == [4]
    before, after = json.loads(champion), json.loads(merged)
    assert {**before, "outputs": 0} == {**after, "outputs": 0}


@pytest.mark.parametrize(
    ("data", "shape", "merged_data", "merged_shape"),
    [
        (["a", "b"], [2], ["b", "a", "b"], [3]),
        (["a", "b"], [1, 2], ["b", "a", "b"], [1, 3]),
        ([["a", "b"]], [1, 2], [["b", "a", "b"]], [1, 3]),
        (["a", "b"], [2, 1], ["b", "a", "b"], [3, 1]),
        ([["a"], ["b"]], [2, 1], [["b"], ["a"], ["b"]], [3, 1]),
        ([[["a"], ["b"]]], [1, 2, 1], [[["b"], ["a"], ["b"]]], [1, 3, 1]),
    ],
)
def test_shapes_and_nesting_are_kept(data, shape, merged_data, merged_shape):
    body = ranked(data, shape=shape)
    found = WIRE.items(body, RANKING)
    assert [name for name, _ in found] == ["a", "b"]
    merged = json.loads(WIRE.merged(body, RANKING, [found[1][1], found[0][1], found[1][1]]))["outputs"][0]
    assert merged["data"] == merged_data
    assert merged["shape"] == merged_shape


def test_wider_outputs_move_by_rows():
    vectors = output([[1, 2], [3, 4]], name="vectors", shape=[2, 2])
    body = reply(output(["a", "b"], name="ids", datatype="BYTES"), vectors, output([9], name="took", shape=[1]))
    found = WIRE.items(body, RANKING)
    merged = json.loads(WIRE.merged(body, RANKING, [item for _, item in reversed(found)]))["outputs"]
    assert merged[0]["data"] == ["b", "a"]
    assert merged[1]["data"] == [[3, 4], [1, 2]]
    assert merged[2] == output([9], name="took", shape=[1]), "not one row an item: left alone"


def test_numbers_as_ids():
    body = ranked([30, 10, 20], datatype="INT64")
    found = WIRE.items(body, RANKING)
    assert [name for name, _ in found] == ["30", "10", "20"]
    merged = WIRE.merged(body, RANKING, [item for _, item in found[::-1]])
    assert InferResult.from_response_body(merged).as_numpy("ids").tolist() == [20, 10, 30]


def test_the_challenger_lacks_what_stands_beside_the_champions_ids():
    champion, challenger = ranked(["a"], [1.0]), ranked(["b"])
    rows = [item for body in (champion, challenger) for _, item in WIRE.items(body, RANKING)]
    assert WIRE.merged(champion, RANKING, rows) is champion, "no made-up scores: not merged at all"
    assert WIRE.merged(challenger, RANKING, rows) is not challenger


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error":"no model"}', "error"),
        (b'{"outputs":[]}', "shape"),
        (ranked(["a", "b", "c", "d"], shape=[2, 2]), "shape"),
        (ranked(["a", "b"], shape=[3]), "shape"),
        (ranked(["a", None]), "shape"),
        (ranked([True], datatype="BOOL"), "shape"),
        (b'{"outputs":[{"name":"i","shape":[1],"data":[NaN]}]}', "nan"),
        (binary({"ids": ("INT32", np.arange(3, dtype="<i4"))})[1], "broken"),
    ],
)
def test_lists_that_cannot_be_used(body, reason):
    found = WIRE.items(body, RANKING)
    assert isinstance(found, Invalid)
    assert found.reason == reason
    assert WIRE.merged(body, RANKING, []) is body or reason == "shape"


@given(
    st.lists(st.tuples(st.integers(0, 99), st.floats(-1e9, 1e9)), min_size=1, max_size=8),
    st.sampled_from((lambda n: [n], lambda n: [1, n], lambda n: [n, 1])),
    st.randoms(use_true_random=False),
)
def test_any_order_comes_out_as_asked(rows, shape, chance):
    ids, scores = [name for name, _ in rows], [score for _, score in rows]
    body = ranked(ids, scores, shape=shape(len(ids)), datatype="INT64")
    found = WIRE.items(body, RANKING)
    order = list(range(len(rows)))
    chance.shuffle(order)
    order = order[: chance.randint(1, len(order))]
    result = InferResult.from_response_body(WIRE.merged(body, RANKING, [found[index][1] for index in order]))
    assert result.as_numpy("ids").shape == tuple(shape(len(order)))
    assert result.as_numpy("ids").ravel().tolist() == [ids[index] for index in order]
    assert result.as_numpy("scores").tolist() == [scores[index] for index in order]
