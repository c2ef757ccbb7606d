"""Gateways for language models as peers: MLflow's and LiteLLM's, one process each, in front of the same mock model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import GATEWAY_CORE, LOAD_CORE, ROOT, free_port, gateway_python
from benchmarks.servers import Missing, Server, _nginx, _running, folder

BOOT_SECONDS = 180.0
"""They import for half a minute, more on a busy machine."""

_SAID = "Mostly bread and early apples, and on Saturdays flowers. " * 20

COMPLETION = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "chat",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": _SAID[:700]}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
    },
    separators=(",", ":"),
).ljust(1000)


@contextmanager
def chat_model() -> Iterator[Server]:
    """A chat model that costs next to nothing: nginx answering one completion of a kilobyte."""
    port = free_port()
    inner = f"  server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ return 200 '{COMPLETION}'; }} }}"
    with _nginx("chat model", inner, port, LOAD_CORE) as server:
        yield server


def _python(name: str) -> tuple[list[str | Path], dict[str, str]]:
    """How to start Python for a peer, and in which environment: the gateway's own interpreter, since builds differ by
    a third and no peer should lose by its build, with the peer's own packages."""
    at = ROOT / "build" / f"bench-peers-{name}"
    packages = next(iter(at.glob("lib/python*/site-packages")), None)
    if packages is None or not (at / ".installed").exists():
        raise Missing(f"{name} is not installed: `make bench` tries to, from benchmarks/peers-{name}.txt")
    python, _, _ = gateway_python()
    command: list[str | Path] = [python]
    if python == sys.executable:
        # Its own packages are those of this environment, which are not the peer's.
        command = [at / "bin" / "python"]
    return command, {"PYTHONPATH": str(packages), "PATH": f"{at / 'bin'}{os.pathsep}{os.environ['PATH']}"}


_MLFLOW = """
endpoints:
  - name: chat
    endpoint_type: llm/v1/chat
    model:
      provider: openai
      name: chat
      config: {{openai_api_key: none, openai_api_base: "{url}/v1"}}
"""


@contextmanager
def mlflow(model: Server) -> Iterator[Server]:
    """MLflow's gateway, as its own command runs it: the application under uvicorn, here with one worker and no log."""
    (python, env), port = _python("mlflow"), free_port()
    with folder() as at:
        (at / "config.yaml").write_text(_MLFLOW.format(url=model.url))
        command: list[str | Path] = [
            *python, "-m", "uvicorn", "--factory", "mlflow.gateway.app:create_app_from_env", "--host", "127.0.0.1",
            "--port", str(port), "--workers", "1", "--log-level", "warning", "--no-access-log",
        ]  # fmt: skip
        env |= {"MLFLOW_GATEWAY_CONFIG": str(at / "config.yaml"), "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(at)}
        with _running("MLflow gateway", command, port, GATEWAY_CORE, at, env, BOOT_SECONDS) as server:
            yield server


_LITELLM = """
model_list:
  - model_name: chat
    litellm_params: {{model: openai/chat, api_base: "{url}/v1", api_key: none}}
"""


@contextmanager
def litellm(model: Server) -> Iterator[Server]:
    """LiteLLM's proxy with one worker, without a database and without callbacks."""
    (python, env), port = _python("litellm"), free_port()
    with folder() as at:
        (at / "config.yaml").write_text(_LITELLM.format(url=model.url))
        command: list[str | Path] = [
            *python, "-c", "from litellm import run_server; run_server()", "--config", at / "config.yaml",
            "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False",
        ]  # fmt: skip
        env |= {
            "LITELLM_MASTER_KEY": "sk-bench",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "LITELLM_LOG": "ERROR",
            "HOME": str(at),
        }
        with _running("LiteLLM proxy", command, port, GATEWAY_CORE, at, env, BOOT_SECONDS) as server:
            yield server
