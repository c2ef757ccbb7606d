"""Each protocol's requests and replies as fields: the same names whatever the way a table is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.drift.features import MOST_FIELDS, asked, predicted
from crossfade.spec.model import Protocol

OIP, MLFLOW, V1, JSON, CHAT = (
    Protocol.OPEN_INFERENCE,
    Protocol.MLFLOW,
    Protocol.PREDICT_V1,
    Protocol.JSON,
    Protocol.OPENAI_CHAT,
)

COLUMNS = {"inputs": [
    {"name": "age", "shape": [2, 1], "datatype": "FP64", "data": [30.0, 40.0]},
    {"name": "country", "shape": [2], "datatype": "BYTES", "data": ["AT", "DE"]},
]}  # fmt: skip
MATRIX = {"inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [[1, 2, 3], [4, 5, None]]}]}
SPLIT = {"dataframe_split": {"columns": ["age", "country"], "data": [[30.0, "AT"], [40.0, "DE"]]}}


@pytest.mark.parametrize(
    ("protocol", "doc", "row", "fields"),
    [
        (OIP, COLUMNS, 0, {"age": 30.0, "country": "AT"}),
        (OIP, COLUMNS, 3, {"age": 40.0, "country": "DE"}),
        (OIP, MATRIX, 1, {"x[0]": 4, "x[1]": 5, "x[2]": None}),
        (MLFLOW, SPLIT, 1, {"age": 40.0, "country": "DE"}),
        (MLFLOW, {"dataframe_records": [{"age": 30}, {"age": None}]}, 1, {"age": None}),
        (MLFLOW, {"inputs": {"age": [30, 40]}}, 1, {"age": 40}),
        (V1, {"instances": [{"age": 30}]}, 7, {"age": 30}),
        (V1, {"instances": [[1.0, 2.0]]}, 7, {"$[0]": 1.0, "$[1]": 2.0}),
        (V1, {"instances": [5]}, 0, {"$": 5}),
        (V1, {"instances": [list(range(784))]}, 0, {"$.length": 784}),
        (JSON, {"user": {"age": 3}, "tags": ["a", "b"]}, 1, {"$.user.age": 3, "$.tags.length": 2, "$.tags[*]": "b"}),
        (CHAT, {"messages": [{"role": "user", "content": "secret"}], "temperature": 0.5}, 0,
         {"messages": 1, "characters": 6, "tools": 0, "temperature": 0.5}),
        (CHAT, {"prompt": ["secret", "word"]}, 0, {"characters": 10}),
        (OIP, {"inputs": "x"}, 0, None),
        (MLFLOW, {"dataframe_split": {"data": [[1]]}}, 0, None),
        (JSON, None, 0, None),
    ],
)  # fmt: skip
def test_a_request_is_read(protocol: Protocol, doc: Any, row: int, fields: dict[str, Any] | None) -> None:
    assert asked(protocol, doc, row) == fields


def test_a_reply_is_read_and_what_a_chat_says_is_not() -> None:
    reply = {"outputs": [{"name": "p", "shape": [2], "datatype": "FP64", "data": [0.25, 0.75]}]}
    assert predicted(OIP, {}, json.dumps(reply).encode(), 1) == {"p": 0.75}
    assert predicted(JSON, {}, b'{"p": {"a": 0.5}}', 0) == {"$.p.a": 0.5}
    assert predicted(MLFLOW, {}, b'{"predictions": [1, 2]}', 1) == {"$.predictions.length": 2, "$.predictions[*]": 2}
    said = {"choices": [{"index": 0, "message": {"content": "my secret"}, "finish_reason": "stop"}]}
    assert predicted(CHAT, {}, json.dumps(said).encode(), 0) == {
        "$.choices[0].content.length": 9,
        "$.choices[0].finish_reason": "stop",
    }
    assert predicted(JSON, {}, b"rubbish", 0) is None


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["inputs", "instances", "name", "shape", "data", "messages", "content", "dataframe_split"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.sampled_from(list(Protocol)), documents, st.integers(0, 2**53))
def test_whatever_is_asked_there_are_few_single_values_or_nothing(protocol: Protocol, doc: Any, row: int) -> None:
    fields = asked(protocol, doc, row)
    assert fields is None or (len(fields) <= MOST_FIELDS + 16 and all(isinstance(name, str) for name in fields))
