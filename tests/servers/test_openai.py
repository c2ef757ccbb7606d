"""An OpenAI-compatible server that streams (LiteLLM with canned replies), asked by OpenAI's own client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from .kit import client, gateway, ports, python, running

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

USERS = ("ana", "bob", "eve", "zoe", "kim", "lee")
KEY = "sk-only-for-this-test"
CONFIG = """
model_list:
  - {model_name: small, litellm_params: {model: openai/x, api_key: none, mock_response: "Hello there, old friend"}}
  - {model_name: large, litellm_params: {model: openai/y, api_key: none, mock_response: "Hello there, old friend"}}
"""


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    interpreter = python("litellm")
    where = tmp_path_factory.mktemp("litellm")
    (where / "config.yaml").write_text(CONFIG)
    (port,) = ports(1)
    command = [str(Path(interpreter).parent / "litellm"), "--config", "config.yaml", "--host", "127.0.0.1"]
    environment = {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    with running([*command, "--port", str(port)], port, "/health/liveliness", where / "log", **environment):
        yield interpreter, port


def test_its_client_gets_the_same_whole_or_streamed_under_the_public_name(
    litellm: tuple[str, int], tmp_path: Path
) -> None:
    interpreter, port = litellm
    bare = f"http://127.0.0.1:{port}/v1"
    direct = client(interpreter, "client_openai.py", bare, "small", "ana", KEY)["ana"]
    assert direct["whole"] == [[0, "Hello there, old friend", "stop"]]
    assert (direct.pop("model"), direct.pop("models streamed")) == ("small", ["small"])
    where = {"url": f"http://127.0.0.1:{port}", "route": "/v1/chat/completions", "protocol": "openai-chat"}
    with gateway(tmp_path, **where, names=("small", "large")) as crossfade:
        through = client(interpreter, "client_openai.py", f"{crossfade.url}/v1", "chat", ",".join(USERS), KEY)
        for told in through.values():
            assert (told.pop("model"), told.pop("models streamed")) == ("chat", ["chat"])
            assert told == direct
        # Both arms are models of one server: its list shows them as one, which can be asked for.
        models = client(interpreter, "client_openai_models.py", f"{crossfade.url}/v1", KEY)
        assert models == {"iris": ["iris", "model"]}
        wrong = client(interpreter, "client_openai.py", f"{crossfade.url}/v1", "chat", "ana", "sk-wrong")
        assert wrong == client(interpreter, "client_openai.py", bare, "small", "ana", "sk-wrong")
        assert crossfade.arms(2 * len(USERS)) == {"v1", "v2"}


class Failing(BaseHTTPRequestHandler):
    asked: list[tuple[str | None, str | None]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.asked.append((self.headers["x-user-id"], self.headers["x-stainless-retry-count"]))
        self.send_response(500)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


def test_a_client_that_tries_again_is_one_unit(tmp_path: Path) -> None:
    interpreter = python("litellm")
    failing = type("Failing", (Failing,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), failing)
    Thread(target=server.serve_forever, daemon=True).start()
    where = {"url": f"http://127.0.0.1:{server.server_port}", "route": "/v1", "protocol": "openai-chat"}
    try:
        with gateway(tmp_path, **where) as crossfade:
            told = client(interpreter, "client_openai.py", f"{crossfade.url}/v1", "chat", "ana", KEY, "2")
            assert told["ana"] == {"error": ["InternalServerError", 500]}
            assert [retry for user, retry in failing.asked if user == "ana"][-1] == "2"
            until = time.monotonic() + 20
            while not (units := crossfade.status()["exposure"]["units"]) or not sum(units.values()):
                assert time.monotonic() < until
                time.sleep(0.5)
            time.sleep(2)
            assert sum(crossfade.status()["exposure"]["units"].values()) == 1
            requests = crossfade.metric("crossfade_requests_total")
            assert sum(float(line.rpartition(" ")[2]) for line in requests) == 3
    finally:
        server.shutdown()
