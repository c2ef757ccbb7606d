"""What real servers answered when they were called directly, in short, is read as docs/how-to/servers says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossfade.live.protocols import Invalid, Prediction, Tensor, wire
from crossfade.spec.model import Protocol

JSON = {"content-type": "application/json"}
MLSERVER = (
    b'{"model_name":"iris","model_version":"v1","id":"r1","parameters":{},"outputs":[{"name":"predict_proba",'
    b'"shape":[2,2],"datatype":"FP64","parameters":{"content_type":"np"},"data":[0.9,0.1,0.2,0.8]}]}'
)
KSERVE = (
    b'{"model_name":"iris","model_version":null,"id":"r1","parameters":null,"outputs":[{"name":"predict_proba",'
    b'"shape":[2,2],"datatype":"FP64","parameters":null,"data":[0.9,0.1,0.2,0.8]}]}'
)
TRANSFORMERS = (
    b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"/tiny@main","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}\n\n'
    b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"/tiny@main","choices":[{"index":0,'
    b'"delta":{"content":"lo"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
)


def read(protocol: str, body: bytes, headers: dict[str, str] = JSON) -> Any:
    found = wire(Protocol(protocol)).prediction(headers, body)
    return found.fields if isinstance(found, Prediction) else found


def test_mlserver_and_kserve_say_the_same_in_their_own_words() -> None:
    ours, theirs = read("open-inference", MLSERVER), read("open-inference", KSERVE)
    assert list(ours) == list(theirs)
    for one, other in zip(ours.values(), theirs.values(), strict=True):
        assert isinstance(one, Tensor)
        assert isinstance(other, Tensor)
        assert one == other or np.array_equal(np.asarray(one.data), np.asarray(other.data))


@pytest.mark.parametrize(
    ("protocol", "body", "headers", "fields"),
    [
        ("json", b"[[0.1, 0.9]]", JSON, {"$": [[0.1, 0.9]]}),  # BentoML: a bare value
        ("json", b"[0.1, 0.9]", {}, {"$": [0.1, 0.9]}),  # TorchServe: no content type
        ("predict-v1", b'{"predictions":[[0.1,0.9]]}', JSON, {"$.predictions": [[0.1, 0.9]]}),  # KServe
        ("mlflow", b'{"predictions": [0, 2]}', JSON, {"$.predictions": [0, 2]}),
    ],
)
def test_what_is_read_as_the_prediction(protocol: str, body: bytes, headers: dict[str, str], fields: Any) -> None:
    assert read(protocol, body, headers) == fields


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        ("predict-v1", b'{"error":"ValueError : X has 3 features.."}'),
        ("mlflow", b'{"error_code":"BAD_REQUEST","message":"Failed to predict"}'),
        ("open-inference", b'{"error":"[request id: r1] unexpected shape"}'),
    ],
)
def test_a_servers_own_way_to_say_no_is_no_prediction(protocol: str, body: bytes) -> None:
    assert isinstance(read(protocol, body), Invalid)


def test_transformers_ends_its_stream_without_saying_done() -> None:
    fields = read("openai-chat", TRANSFORMERS, {"content-type": "text/event-stream"})
    assert not isinstance(fields, Invalid), fields
    assert any("Hello" in str(value) for value in fields.values())
