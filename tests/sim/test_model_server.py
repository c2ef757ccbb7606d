"""The model server answers what the protocol promises, to an unmodified third-party client, and fails as asked."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton

from crossfade.sim.training import Trained

Serve = Callable[..., Any]


def _body(row: np.ndarray, **extra: object) -> dict[str, object]:
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, len(row)], "data": row.tolist()}
    return {"inputs": [tensor], **extra}


@pytest.mark.parametrize("binary", [False, True])
def test_tritonclient_gets_the_models_labels(binary: bool, serve: Serve, trained: dict[str, Trained]) -> None:
    data = trained["good"]
    server = serve(data.challenger, "--latency-ms", "1")
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", "1")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "crossfade-demo"
    assert client.get_model_metadata("digits", "1")["inputs"][0]["shape"] == [-1, 64]
    for datatype, dtype in (("FP64", np.float64), ("FP32", np.float32)):
        wanted = [triton.InferRequestedOutput("predict", binary_data=binary)]
        given = triton.InferInput("features", [7, 64], datatype)
        given.set_data_from_numpy(data.rows[:7].astype(dtype), binary_data=binary)
        result = client.infer("digits", [given], outputs=wanted, request_id="r-1")
        assert result.get_response()["id"] == "r-1"
        expected = data.challenger.predict(data.rows[:7])  # type: ignore[union-attr]
        assert np.array_equal(result.as_numpy("predict"), expected)
    client.close()


@pytest.mark.parametrize("binary", [False, True])
def test_a_ranker_answers_ids(binary: bool, serve: Serve, trained: dict[str, Trained]) -> None:
    data = trained["ranking"]
    server = serve(data.champion, "--latency-ms", "1", name="search")
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    given = triton.InferInput("features", [1, 64], "FP64")
    given.set_data_from_numpy(data.rows[:1], binary_data=binary)
    outputs = None if binary else [triton.InferRequestedOutput("items", binary_data=False)]
    items = client.infer("search", [given], outputs=outputs).as_numpy("items")
    decoded = [i.decode() if isinstance(i, bytes) else i for i in items]
    assert decoded == data.champion.search(data.rows[0])  # type: ignore[union-attr]
    client.close()


def test_flat_and_nested_data_mean_the_same_and_the_richest_health_is_given(
    serve: Serve, trained: dict[str, Trained]
) -> None:
    data = trained["good"]
    server = serve(data.challenger, "--latency-ms", "1")
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        assert client.get("/v2/health/live").json() == {"live": True}
        flat = client.post("/v2/models/digits/infer", json=_body(data.rows[0], id="a"))
        nested = _body(data.rows[0], id="a")
        nested["inputs"][0]["data"] = [data.rows[0].tolist()]  # type: ignore[index]
        assert client.post("/v2/models/digits/versions/1/infer", json=nested).content == flat.content
        document = flat.json()
        assert document["id"] == "a"
        assert document["outputs"][0]["shape"] == [1]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v2/models/digits/infer", _body(np.zeros(3)), 400, "expected [n, 64]"),
        ("/v2/models/digits/infer", {"inputs": []}, 400, "exactly one tensor"),
        ("/v2/models/digits/infer", {"inputs": [{"datatype": "UINT9"}]}, 400, "datatype"),
        ("/v2/models/other/infer", _body(np.zeros(64)), 404, "digits"),
        ("/v2/models/digits/versions/2/infer", _body(np.zeros(64)), 404, "digits"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    path: str, body: dict[str, object], status: int, says: str, serve: Serve, trained: dict[str, Trained]
) -> None:
    server = serve(trained["good"].challenger)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        for _ in range(2):  # the connection survives a refusal
            answer = client.post(path, json=body)
            assert answer.status_code == status
            assert says in answer.json()["error"]
        assert client.post(path, content=b"{").status_code in (400, 404)


def test_malformed_http_gets_a_400_and_an_end(serve: Serve, trained: dict[str, Trained]) -> None:
    import socket

    server = serve(trained["good"].challenger)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(b"NOT HTTP AT ALL\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("fault", "found"), [("errors", "500"), ("nan", "nan"), ("wrong-shape", "shape"), ("slow", "slow")]
)
def test_each_fault_shows(fault: str, found: str, serve: Serve, trained: dict[str, Trained]) -> None:
    data = trained["good"]
    server = serve(data.challenger, "--latency-ms", "1", "--fault", fault, "--fault-ms", "150")
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        began = time.perf_counter()
        answer = client.post("/v2/models/digits/infer", json=_body(data.rows[0]))
        took = time.perf_counter() - began
    seen = {
        "500": answer.status_code == 500,
        "nan": answer.status_code == 200 and b"NaN" in answer.content,
        "shape": answer.status_code == 200 and len(answer.json()["outputs"][0]["data"]) == 2,
        "slow": answer.status_code == 200 and took >= 0.15,
    }
    assert seen[found]


def test_a_crash_ends_the_process_and_only_after_its_time(serve: Serve, trained: dict[str, Trained]) -> None:
    data = trained["good"]
    server = serve(data.challenger, "--latency-ms", "1", "--fault", "crash", "--fault-after", "2.0")
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        assert client.post("/v2/models/digits/infer", json=_body(data.rows[0])).status_code == 200
        time.sleep(2.1)
        with pytest.raises(httpx.TransportError):
            client.post("/v2/models/digits/infer", json=_body(data.rows[0]))
    assert server.process.wait(timeout=5) == 70


def test_a_fault_rate_hits_its_share(serve: Serve, trained: dict[str, Trained]) -> None:
    data = trained["good"]
    server = serve(data.challenger, "--latency-ms", "0.1", "--fault", "errors", "--fault-rate", "0.3", "--seed", "4")
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        codes = [client.post("/v2/models/digits/infer", json=_body(data.rows[0])).status_code for _ in range(200)]
    assert 35 <= codes.count(500) <= 85


def test_latency_has_the_median_asked_for(serve: Serve, trained: dict[str, Trained]) -> None:
    data = trained["good"]
    server = serve(data.challenger, "--latency-ms", "20", "--jitter", "0.3")
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:

        def once(_: int) -> float:
            began = time.perf_counter()
            client.post("/v2/models/digits/infer", json=_body(data.rows[0]))
            return (time.perf_counter() - began) * 1000

        with ThreadPoolExecutor(4) as pool:
            took = list(pool.map(once, range(120)))
    assert 17 < statistics.median(took) < 40  # a busy machine only adds
    assert max(took) > 1.3 * min(took)


def test_pipelined_requests_are_answered_in_order(serve: Serve, trained: dict[str, Trained]) -> None:
    import socket

    data = trained["good"]
    server = serve(data.challenger, "--latency-ms", "5", "--jitter", "1.0")
    sent = b""
    for i in range(20):
        body = json.dumps(_body(data.rows[i], id=f"r{i}")).encode()
        sent += b"POST /v2/models/digits/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(sent)
        received = b""
        while received.count(b'"id":') < 20:
            received += raw.recv(65536)
    places = [received.index(b'"id":"r%d"' % i) for i in range(20)]
    assert places == sorted(places)


def test_a_model_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "crossfade.sim.model_server", "--model", str(tmp_path / "no"), "--name", "x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "cannot load the model" in done.stderr
    assert "Traceback" not in done.stderr
