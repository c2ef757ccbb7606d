"""A client that knows nothing of Crossfade gets the model's replies byte for byte, and each is recorded once."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pytest
import tritonclient.http as tritonclient

from crossfade.rim.lake import Lake
from crossfade.sim import models, training
from crossfade.sim.training import Trained

SPEC = """
name: digits
route: /v2/models/digits/infer
protocol: open-inference
unit: header:x-user-id
champion:   {{name: v1, url: "http://127.0.0.1:{champion}"}}
challenger: {{name: v2, url: "http://127.0.0.1:{challenger}"}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 1pp}}}}
stages:
  - canary:  {{steps: [50%], hold_for: 1h}}
  - promote: {{}}
"""


@dataclass(frozen=True)
class Served:
    """One model behind two servers, and both behind a gateway."""

    data: Path
    direct: int
    gateway: int
    trained: Trained


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("served")
    trained = training.train("good", 0)
    model = data / "model.npz"
    models.save(trained.champion, model)
    processes: list[subprocess.Popen[str]] = []

    def start(*command: str) -> dict[str, object]:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        said: dict[str, object] = json.loads(process.stdout.readline())
        return said

    try:
        arm = ("crossfade.sim.model_server", "--model", str(model), "--name", "digits", "--latency-ms", "1")
        ports = [int(str(start(*arm)["port"])) for _ in range(2)]
        spec = data / "spec.yaml"
        spec.write_text(SPEC.format(champion=ports[0], challenger=ports[1]))
        where = ("--data", str(data / "crossfade"), "--port", "0", "--control-port", "0", "--json")
        said = start("crossfade.cli.main", "serve", str(spec), *where)
        assert said["rollouts"] == {"digits": "running"}
        yield Served(data / "crossfade", ports[0], int(str(said["data"]).rpartition(":")[2]), trained)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.communicate(timeout=30)


@pytest.mark.parametrize("binary", [False, True])
def test_tritonclient_is_answered_as_if_directly(served: Served, binary: bool) -> None:
    rows = np.asarray(served.trained.rows[:3], dtype=np.float64)
    answers = []
    for port in (served.direct, served.gateway):
        client = tritonclient.InferenceServerClient(f"127.0.0.1:{port}")
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("digits")
        tensor = tritonclient.InferInput("input", list(rows.shape), "FP64")
        tensor.set_data_from_numpy(rows, binary_data=binary)
        result = client.infer("digits", [tensor], request_id="same", headers={"x-user-id": "ana"})
        name = result.get_response()["outputs"][0]["name"]
        answers.append((result.get_response(), result.as_numpy(name).tolist()))
    assert answers[0] == answers[1]


def test_bytes_are_the_models_own_and_each_answer_is_recorded_once(served: Served) -> None:
    rows = np.asarray(served.trained.rows, dtype=np.float64)
    decisions = []
    direct = http.client.HTTPConnection("127.0.0.1", served.direct)
    through = http.client.HTTPConnection("127.0.0.1", served.gateway)
    for number in range(200):
        tensor = tritonclient.InferInput("input", [1, rows.shape[1]], "FP64")
        tensor.set_data_from_numpy(rows[[number]], binary_data=number % 2 == 0)
        body, length = tritonclient.InferenceServerClient.generate_request_body([tensor], request_id=f"r{number}")
        headers = {"x-user-id": f"user-{number}"} | ({"Inference-Header-Content-Length": str(length)} if length else {})
        replies = []
        for connection in (direct, through):
            connection.request("POST", "/v2/models/digits/infer", body, headers)
            reply = connection.getresponse()
            replies.append((reply.status, reply.read(), reply.headers))
        (status, expected, names), (got, received, added) = replies
        assert (got, received) == (status, expected)
        assert status == 200
        decisions.append(added["x-crossfade-decision"])
        kept = [(k, v) for k, v in added.items() if not k.lower().startswith("x-crossfade-")]
        assert kept == names.items()
    assert len(set(decisions)) == 200
    assert recorded(served.data, decisions) == dict.fromkeys(decisions, 1)


def recorded(data: Path, decisions: list[str]) -> dict[str, int]:
    """How often each decision stands in the lake, once the controller has brought all of them in."""
    lake, found = Lake(data), {}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and len(found) < len(decisions):
        time.sleep(0.5)
        version = lake.versions().get("exposed")
        files = lake.files("exposed", version) if version is not None else []
        if files:
            query = "SELECT decision_id, count(*) FROM read_parquet(?) WHERE list_contains(?, decision_id) GROUP BY 1"
            found = dict(duckdb.connect().execute(query, [files, decisions]).fetchall())
    return found
