"""MLServer, asked by tritonclient and by KServe's client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as tritonclient
from tritonclient.utils import InferenceServerException

from .kit import Gateway, client, gateway, ports, python, running, train

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

ROWS = np.asarray([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
USERS = ("ana", "bob", "eve", "zoe", "kim", "lee")


@dataclass(frozen=True)
class Served:
    port: int
    gateway: Gateway


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    interpreter = python("mlserver")
    where = tmp_path_factory.mktemp("mlserver")
    model = train(interpreter, where)
    http, grpc, metrics = ports(3)
    settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    models = where / "models"
    for name in ("iris", "iris-two"):
        (models / name).mkdir(parents=True)
        parameters = {"uri": str(model), "version": "v1"}
        described = {"name": name, "implementation": "mlserver_sklearn.SKLearnModel", "parameters": parameters}
        (models / name / "model-settings.json").write_text(json.dumps(described))
    (models / "settings.json").write_text(json.dumps(settings | {"parallel_workers": 0, "debug": False}))
    command = [str(Path(interpreter).parent / "mlserver"), "start", str(models)]
    with (
        running(command, http, "/v2/models/iris-two/ready", where / "log"),
        gateway(
            where,
            url=f"http://127.0.0.1:{http}",
            route="/v2/models/iris/infer",
            protocol="open-inference",
            names=("", "iris-two"),
        ) as crossfade,
    ):
        yield Served(http, crossfade)


def infer(port: int, user: str, rows: Any = ROWS, model: str = "iris") -> dict[str, Any]:
    asking = tritonclient.InferenceServerClient(f"127.0.0.1:{port}")
    assert asking.is_server_live()
    assert asking.is_server_ready()
    assert asking.is_model_ready(model)
    tensor = tritonclient.InferInput("rows", list(rows.shape), "FP64")
    tensor.set_data_from_numpy(rows, binary_data=False)
    wanted = [tritonclient.InferRequestedOutput("predict_proba", binary_data=False)]
    result = asking.infer(model, [tensor], outputs=wanted, request_id=f"r-{user}", headers={"x-user-id": user})
    told: dict[str, Any] = result.get_response()
    return told | {"probabilities": result.as_numpy("predict_proba").tolist()}


def test_tritonclient_gets_the_same_from_either_arm_under_the_public_name(served: Served) -> None:
    for user in USERS:
        assert infer(served.gateway.port, user) == infer(served.port, user)
    assert served.gateway.arms(len(USERS)) == {"v1", "v2"}


def test_errors_are_the_models_own(served: Served) -> None:
    told = []
    for port in (served.port, served.gateway.port):
        with pytest.raises(InferenceServerException) as caught:
            infer(port, "ana", rows=np.ones((1, 2)))
        told.append((caught.value.status(), caught.value.message()))
        with pytest.raises(AssertionError):
            infer(port, "ana", model="nobody")
    assert told[0] == told[1]


def test_metadata_beside_the_route_is_the_champions(served: Served) -> None:
    asking = [tritonclient.InferenceServerClient(f"127.0.0.1:{port}") for port in (served.port, served.gateway.port)]
    assert asking[0].get_server_metadata() == asking[1].get_server_metadata()
    assert asking[0].get_model_metadata("iris") == asking[1].get_model_metadata("iris")


def test_kserves_client_is_satisfied_where_the_bare_server_is_too_terse_for_it(served: Served) -> None:
    """It reads JSON from a health answer that MLServer leaves empty, so directly it cannot even ask."""
    interpreter = python("kserve")
    told = client(interpreter, "client_kserve_v2.py", served.gateway.url, "iris")
    assert (told["live"], told["ready"], told["model ready"]) == (True, True, True)
    direct = client(interpreter, "client_kserve_v2.py", f"http://127.0.0.1:{served.port}", "iris")
    assert direct["live"] == "JSONDecodeError"
    assert told["answer"] == direct["answer"]
