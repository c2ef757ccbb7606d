"""Plain JSON, MLflow and predict-v1: which part of a reply is the prediction, and which replies are none."""

from __future__ import annotations

import pytest

from crossfade.live.compare import differences
from crossfade.live.protocols import Invalid, Prediction, wire
from crossfade.spec.model import Protocol, Ranking


@pytest.mark.parametrize(
    ("protocol", "body", "fields"),
    [
        ("json", b'{"label":"spam","score":0.5}', {"$.label": "spam", "$.score": 0.5}),
        ("json", b'{"a b":{"c":1}}', {"$['a b']": {"c": 1}}),
        ("json", b"[1,2]", {"$": [1, 2]}),
        ("json", b'"yes"', {"$": "yes"}),
        ("json", b"null", {"$": None}),
        ("json", b"{}", {}),
        ("json", b'{"error":null,"ok":true}', {"$.error": None, "$.ok": True}),
        ("mlflow", b'{"predictions":[0,1]}', {"$.predictions": [0, 1]}),
        ("mlflow", b'{"predictions":[{"a":1}],"trace_id":"x"}', {"$.predictions": [{"a": 1}]}),
        ("mlflow", b"[0.5]", {"$": [0.5]}),
        ("predict-v1", b'{"predictions":[[0.1,0.9]],"model_version":"3"}', {"$.predictions": [[0.1, 0.9]]}),
        ("predict-v1", b'{"outputs":{"p":[1]}}', {"$.outputs": {"p": [1]}}),
    ],
)
def test_predictions(protocol, body, fields):
    assert wire(Protocol(protocol)).prediction({}, body) == Prediction(fields)


@pytest.mark.parametrize(
    ("protocol", "body", "reason"),
    [
        ("mlflow", b'{"error_code":"BAD_REQUEST","message":"Incompatible input types"}', "error"),
        ("mlflow", b'{"outputs":[1]}', "shape"),
        ("mlflow", b'"ok"', "shape"),
        ("predict-v1", b'{"error":"ValueError : bad width"}', "error"),
        ("predict-v1", b"[0.5]", "shape"),
        ("predict-v1", b"{}", "shape"),
    ],
)
def test_replies_without_a_prediction(protocol, body, reason):
    found = wire(Protocol(protocol)).prediction({}, body)
    assert isinstance(found, Invalid)
    assert found.reason == reason


def test_an_error_is_told_in_the_servers_words():
    found = wire(Protocol.MLFLOW).prediction({}, b'{"error_code":"BAD_REQUEST","message":"Incompatible input types"}')
    assert found == Invalid("error", "Incompatible input types")


def test_differences_are_paths_in_the_reply():
    read = wire(Protocol.JSON).prediction
    a = read({}, b'{"label":"spam","scores":[{"k":"x","v":0.5}],"n":1}')
    b = read({}, b'{"label":"ham","scores":[{"k":"x","v":0.7}],"extra":1,"n":1}')
    assert differences(a, b) == ("$.label", "$.scores[*].v", "$.extra")


@pytest.mark.parametrize("protocol", [Protocol.MLFLOW, Protocol.PREDICT_V1, Protocol.JSON])
def test_lists_are_merged_alike(protocol):
    body, ranking = b'{"predictions":[["a","b"]],"v":1.0}', Ranking(items="$.predictions[0]")
    found = wire(protocol).items(body, ranking)
    assert [name for name, _ in found] == ["a", "b"]
    merged = wire(protocol).merged(body, ranking, [found[1][1], found[0][1]])
    assert merged == b'{"predictions":[["b","a"]],"v":1.0}'
