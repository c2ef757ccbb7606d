"""Trained models and running model servers for the tests of the demo's world."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crossfade.sim import models, training
from crossfade.sim.training import Trained


@pytest.fixture(scope="session")
def trained() -> dict[str, Trained]:
    return {name: training.train(name, seed=3) for name in ("good", "bad", "ranking")}


@dataclass(frozen=True)
class Server:
    port: int
    process: subprocess.Popen[str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    running: list[subprocess.Popen[str]] = []

    def start(model: models.Model, *options: str, name: str = "digits") -> Server:
        path = tmp_path / f"model-{len(running)}.npz"
        models.save(model, path)
        command = [sys.executable, "-m", "crossfade.sim.model_server", "--model", str(path), "--name", name, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return Server(port=json.loads(process.stdout.readline())["port"], process=process)

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()
