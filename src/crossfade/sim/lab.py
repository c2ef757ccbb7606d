"""The demo's processes: two model servers, `crossfade serve` and the users, started, watched and ended together.

Everything here is the real thing in a process of its own; this file only starts, asks and ends them. No child
outlives this process, however it dies.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from crossfade.rim.processes import Child, die_with_parent, stop_all
from crossfade.rim.standing import open_store, standing
from crossfade.rim.store import Store, StoreError
from crossfade.sim import models
from crossfade.sim.faults import Fault
from crossfade.sim.scenarios import Scenario
from crossfade.sim.traffic import Config
from crossfade.sim.training import Trained
from crossfade.sim.world import World

READY_WITHIN = 40.0
"""Seconds any part may take to come up on a busy machine."""


class LabError(RuntimeError):
    """A part did not come up or went away; the message says which, and where it said why."""


@dataclass(slots=True, kw_only=True)
class Lab:
    """One scenario's processes under one data folder."""

    scenario: Scenario
    data: Path
    seed: int
    rate: float
    fault: Fault = Fault.NONE
    fault_after: float = 0.0
    tick: float = 0.5
    servers: list[Child] = field(default_factory=list)
    serving: subprocess.Popen[bytes] | None = None
    users: Child | None = None
    ports: dict[str, int] = field(default_factory=dict)
    deaths: dict[str, int] = field(default_factory=dict)
    """How often each arm's model server died and was restarted."""
    _store: Store | None = None
    _began: float = 0.0

    # -- beginning -------------------------------------------------------------------------------

    def begin(self, trained: Trained) -> None:
        """Start everything; raises LabError."""
        for folder in ("run", "logs", "demo"):
            (self.data / folder).mkdir(parents=True, exist_ok=True)
        self._serve_models(trained)
        spec = self.data / "demo" / f"{self.scenario.rollout}.yaml"
        digests = {arm: _digest(self._model(arm)) for arm in ("champion", "challenger")}
        spec.write_text(self.scenario.spec(ports=self.ports, digests=digests), encoding="utf-8")
        self._serve(spec)
        self._send_users(trained)

    def _serve_models(self, trained: Trained) -> None:
        self._began = time.monotonic()
        for arm, model in (("champion", trained.champion), ("challenger", trained.challenger)):
            models.save(model, self._model(arm))
            # Fixed here, so that a server that is restarted comes back where its clients look for it.
            self.ports[arm] = _free_port()
            self.servers.append(Child(arm, self._server_command(arm), log=self.data / "logs" / f"{arm}.log"))
        for server in self.servers:
            server.start()
        for server in self.servers:
            _wait(partial(_listens, self.ports[server.name]), f"the {server.name}'s model server", server.log)

    def _model(self, arm: str) -> Path:
        return self.data / "demo" / f"{arm}.npz"

    def _server_command(self, arm: str) -> list[str]:
        champion = arm == "champion"
        latency = self.scenario.champion_ms if champion else self.scenario.challenger_ms
        fault = Fault.NONE if champion else self.fault
        # The time of good behaviour is the rollout's: a server that comes back does not get it again.
        after = max(0.0, self.fault_after - (time.monotonic() - self._began))
        command = [
            sys.executable,
            "-m",
            "crossfade.sim.model_server",
            "--model",
            str(self._model(arm)),
        ]
        command += ["--name", self.scenario.model, "--port", str(self.ports[arm]), "--latency-ms", str(latency)]
        command += ["--fault", fault.value, "--fault-after", f"{after:.1f}"]
        return [*command, "--seed", str(self.seed * 2 + (not champion))]

    def _serve(self, spec: Path) -> None:
        command = [sys.executable, "-m", "crossfade.cli.main", "serve", str(spec), "--data", str(self.data)]
        command += [
            "--port",
            "0",
            "--control-port",
            "0",
            "--workers",
            "1",
            "--tick",
            str(self.tick),
            "--start",
            "--json",
        ]
        said, log = self.data / "demo" / "serve.json", self.data / "logs" / "serve.log"
        with said.open("wb") as out, log.open("ab") as err:
            self.serving = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                preexec_fn=die_with_parent,
                process_group=0,
            )
        serving = self.serving
        # It announces its URLs, on one line, once every part answers.
        _wait(lambda: said.read_bytes().endswith(b"\n"), "crossfade serve", log, alive=lambda: serving.poll() is None)
        announced = json.loads(said.read_bytes())
        if "error" in announced:
            raise LabError(f"crossfade serve did not come up: {announced['error']}")
        for name in ("data", "control"):
            self.ports[name] = int(announced[name].rpartition(":")[2])
        self._store = open_store(self.data)

    def _send_users(self, trained: Trained) -> None:
        world = World(
            rows=trained.rows, labels=trained.labels, documents=trained.documents, clicks=self.scenario.clicks
        )
        world.save(self.data / "demo" / "world.npz")
        config = self.data / "demo" / "traffic.json"
        Config(
            port=self.ports["data"],
            control_port=self.ports["control"],
            path=self.scenario.path,
            world=str(self.data / "demo" / "world.npz"),
            tally=str(self.tally_file),
            rate=self.rate,
            seed=self.seed,
        ).save(config)
        command = [sys.executable, "-m", "crossfade.sim.traffic", str(config)]
        self.users = Child("users", command, log=self.data / "logs" / "users.log")
        self.users.start()

    # -- watching --------------------------------------------------------------------------------

    @property
    def tally_file(self) -> Path:
        """Where the users keep what they saw."""
        return self.data / "demo" / "tally.json"

    def tend(self) -> None:
        """Restart a model server that died, as a service manager would; raises LabError when serving itself died."""
        now = time.monotonic()
        for server in self.servers:
            if server.pid is None:
                server.command = self._server_command(server.name)
            if server.revive(now):
                self.deaths[server.name] = self.deaths.get(server.name, 0) + 1
        if self.serving is not None and self.serving.poll() is not None:
            raise LabError(f"crossfade serve ended; what it said is in {self.data / 'logs' / 'serve.log'}")
        if self.users is not None and self.users.pid is None:
            raise LabError(f"the users' process ended; what it said is in {self.data / 'logs' / 'users.log'}")

    def record(self) -> dict[str, Any] | None:
        """The rollout's record as it stands; None while the store is busy."""
        if self._store is None:
            return None
        with contextlib.suppress(StoreError):
            return standing(self._store, self.scenario.rollout, time.time())
        return None

    def tally(self) -> dict[str, Any] | None:
        """What the users have seen so far; None before the first second."""
        try:
            found: dict[str, Any] = json.loads(self.tally_file.read_text())
        except (OSError, ValueError):
            return None
        return found

    @property
    def urls(self) -> dict[str, str]:
        """Where everything answers."""
        return {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}

    # -- ending ----------------------------------------------------------------------------------

    def send_users_home(self) -> None:
        """End the traffic; the last answers and outcomes come in first."""
        if self.users is not None:
            stop_all([self.users])
            self.users = None

    def end(self) -> None:
        """End every process, users first; may be called at any time and again."""
        self.send_users_home()
        if self.serving is not None and self.serving.poll() is None:
            self.serving.terminate()
            try:
                self.serving.wait(timeout=20.0)
            except subprocess.TimeoutExpired:
                self.serving.kill()
                self.serving.wait()
        self.serving = None
        stop_all(self.servers)
        self.servers = []
        if self._store is not None:
            self._store.close()
            self._store = None


def _digest(file: Path) -> str:
    """A model's file as a spec names it."""
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


def _wait(ready: Callable[[], bool], what: str, log: Path | None, *, alive: Callable[[], bool] = lambda: True) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not ready():
        if not alive() or time.monotonic() > deadline:
            raise LabError(f"{what} did not come up{_last_words(log)}")
        time.sleep(0.03)


def _last_words(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"; the last it said in {os.fspath(log)}: {lines[-1]}" if lines else f"; it said nothing in {log}"
