"""KServe's model server, asked by KServe's client in both of its protocols."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as tritonclient

from .kit import PROGRAMS, client, gateway, ports, python, running, train

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def kserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    interpreter = python("kserve")
    where = tmp_path_factory.mktemp("kserve")
    model = train(interpreter, where)
    http, grpc = ports(2)
    command = [interpreter, str(PROGRAMS / "serve_kserve.py"), str(model), str(http), str(grpc)]
    with running(command, http, "/v2/models/iris-two/ready", where / "log"):
        yield interpreter, http


@pytest.mark.parametrize(
    ("protocol", "route"),
    [("open-inference", "/v2/models/iris/infer"), ("predict-v1", "/v1/models/iris:predict")],
)
def test_its_client_gets_the_same_from_either_arm(
    kserve: tuple[str, int], tmp_path: Path, protocol: str, route: str
) -> None:
    interpreter, port = kserve
    direct = client(interpreter, "client_kserve.py", f"http://127.0.0.1:{port}", "iris")
    where = {"url": f"http://127.0.0.1:{port}", "route": route, "protocol": protocol}
    with gateway(tmp_path, **where, names=("", "iris-two")) as crossfade:
        through = client(interpreter, "client_kserve.py", crossfade.url, "iris")
        assert crossfade.arms(5) == {"v1", "v2"}
    assert through == direct
    assert direct["v2 live"] is True
    assert direct["v1 live"] is True


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_needs_no_content_type(kserve: tuple[str, int], tmp_path: Path, binary: bool) -> None:
    """It sends none. KServe refuses JSON of no type directly; through the gateway the type is said."""
    _, port = kserve

    def ask(port: int) -> list[float]:
        asking = tritonclient.InferenceServerClient(f"127.0.0.1:{port}")
        tensor = tritonclient.InferInput("rows", [1, 4], "FP64")
        tensor.set_data_from_numpy(np.asarray([[5.1, 3.5, 1.4, 0.2]]), binary_data=binary)
        wanted = [tritonclient.InferRequestedOutput("probabilities", binary_data=binary)]
        found: list[float] = (
            asking.infer("iris", [tensor], outputs=wanted, request_id="same").as_numpy("probabilities").tolist()
        )
        return found

    where = {"url": f"http://127.0.0.1:{port}", "route": "/v2/models/iris/infer", "protocol": "open-inference"}
    with gateway(tmp_path, **where, names=("iris-two", "")) as crossfade:
        through = ask(crossfade.port)
    assert len(through[0]) == 3
    if binary:
        assert through == ask(port)
    else:
        with pytest.raises(Exception, match="400"):
            ask(port)
