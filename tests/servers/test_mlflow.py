"""MLflow's scoring server, asked by its scoring client and its deployments client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .kit import PROGRAMS, client, gateway, ports, python, running, train

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    interpreter = python("mlflow")
    where = tmp_path_factory.mktemp("mlflow")
    model = train(interpreter, where)
    (port,) = ports(1)
    command = [interpreter, str(PROGRAMS / "serve_mlflow.py"), str(model), str(port)]
    with running(command, port, "/ping", where / "log"):
        yield interpreter, port


@pytest.mark.parametrize("route", ["/invocations", "/endpoints/iris/invocations"])
def test_its_clients_get_the_same(mlflow: tuple[str, int], tmp_path: Path, route: str) -> None:
    interpreter, port = mlflow
    direct = client(interpreter, "client_mlflow.py", f"http://127.0.0.1:{port}")
    where = {"url": f"http://127.0.0.1:{port}", "route": route, "protocol": "mlflow"}
    with gateway(tmp_path, **where, unit="request") as crossfade:
        through = client(interpreter, "client_mlflow.py", crossfade.url)
        assert crossfade.arms()
    assert through == direct
    assert [row for (row,) in direct["invoke"]] == direct["inputs"]["predictions"] == [0, 2]
    assert direct["wrong width"][0] == "HTTPError" or "400" in direct["wrong width"][1]
