"""The processes of one host: gateways on a shared socket, controllers, a control port; the dead are restarted.

The listening sockets belong to the supervisor, so a connection that arrives while a worker is being replaced waits
in the kernel's queue instead of being refused.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from crossfade.rim import figures, store_address
from crossfade.rim.control_options import OPEN, ControlOptions
from crossfade.rim.healthy import silent
from crossfade.rim.options import PLAIN, Options
from crossfade.rim.probes import PATIENCE, HealthPort, own_checks
from crossfade.rim.processes import Child, stop_all
from crossfade.rim.service_manager import STOPPING, ServiceManager
from crossfade.rim.store import Store

READY_WITHIN = 60.0
"""Seconds the processes may take to come up; on a busy machine they import for half a minute."""


SHIPPER = "shipper"

MOST_FILES = 65_536
"""Open files a process asks for."""


class ServeError(RuntimeError):
    """Serving could not start; the message says why and what to do."""


@dataclass(slots=True)
class Supervisor:
    """The processes of one host."""

    data: Path
    data_socket: socket.socket | None
    """None where no gateway is wanted, because models are called inside programs, or other hosts have them."""
    control_socket: socket.socket | None
    """None where another host has the control port."""
    children: list[Child] = field(default_factory=list)
    tls: bool = False
    """Whether clients of the data port speak HTTPS."""
    control: ControlOptions = OPEN
    begun: float = 0.0
    """When the processes were started, in seconds since the epoch."""
    stopping: bool = False
    rereading: bool = False
    manager: ServiceManager = field(default_factory=ServiceManager)
    health: HealthPort | None = None
    turned: float = field(default_factory=time.monotonic)
    """When the processes were looked after last."""

    @property
    def data_port(self) -> int | None:
        """The port that models' clients use."""
        return None if self.data_socket is None else int(self.data_socket.getsockname()[1])

    @property
    def control_port(self) -> int | None:
        """The port for outcomes, rollouts and pages."""
        return None if self.control_socket is None else int(self.control_socket.getsockname()[1])

    @property
    def data_url(self) -> str | None:
        """Where models' clients on this host reach the data port; None where nothing is served."""
        return None if self.data_socket is None else _url(self.data_socket, tls=self.tls)

    @property
    def control_url(self) -> str | None:
        """Where this host reaches its control port."""
        return None if self.control_socket is None else _url(self.control_socket, tls=bool(self.control.tls_cert))

    def listen_health(self, host: str, port: int) -> None:
        """Answer probes there until `stop`; raises ServeError where that cannot be."""
        try:
            self.health = HealthPort(host, port, alive=self._turns, checks=self._checks, data=self.data)
        except OSError as error:
            raise ServeError(
                f"cannot listen on {host}:{port} for the health port: {error.strerror}; choose another port with "
                "--health-port or stop what is using it"
            ) from error

    def _turns(self) -> bool:
        return time.monotonic() - self.turned < PATIENCE

    def _checks(self) -> dict[str, dict[str, Any]]:
        if self.stopping:
            return {"processes": {"ok": False, "reason": "stopping"}}
        return own_checks(self.data, self.children)

    def start(
        self, *, workers: int, tick: float, options: Options = PLAIN, controllers: int = 1, log: bool = True
    ) -> None:
        """Start every process; returns at once. Without a `log` of their own they write to our standard error."""
        self.begun = time.time()
        logs = self.data / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        base = [sys.executable, "-m", "crossfade.rim.worker"]
        common = ["--data", str(self.data)]
        for index in range(workers if self.data_socket is not None else 0):
            assert self.data_socket is not None
            data_fd = self.data_socket.fileno()
            name = f"{_host()}gateway-{index}"
            command = [*base, "gateway", *common, "--fd", str(data_fd), "--worker", name, "--workers", str(workers)]
            command += ["--options", options.encoded()]
            self.children.append(Child(name, command, (data_fd,), logs / f"{name}.log"))
        if self.control_socket is not None:
            control_fd = self.control_socket.fileno()
            command = [sys.executable, "-m", "crossfade.console", *common, "--fd", str(control_fd)]
            command += ["--options", self.control.encoded()]
            self.children.append(Child("console", command, (control_fd,), logs / "console.log"))
        command = [*base, "controller", *common, "--tick", str(tick)]
        for index in range(controllers):
            # The others wait until the one that leads has died or hangs.
            name = f"controller-{index}" if index else "controller"
            self.children.append(Child(name, command, (), logs / f"{name}.log"))
        if not controllers:
            # Whoever decides is elsewhere and has the facts from the lake.
            self.children.append(Child(SHIPPER, [*base, "shipper", *common], (), logs / "shipper.log"))
        for child in self.children:
            child.log = child.log if log else None
            child.start()
        self._write_state()

    def wait_ready(self, store: Store, within: float = READY_WITHIN) -> None:
        """Return once the control port answers, the controller's heart beats and gateways serve, as far as they are
        this host's; raises ServeError otherwise. Gateways whose controller is elsewhere do not wait for it."""
        deadline = time.monotonic() + within
        ours = any(child.name.startswith("controller") for child in self.children)
        beats = store.heartbeat()
        while time.monotonic() < deadline and not self.stopping:
            if (store.heartbeat() != beats or not ours) and (
                not silent(self.control_url, 1.0) if self.control_url else self._serving()
            ):
                return
            self.tend()
            time.sleep(0.05)
        if not self.stopping:
            raise ServeError(
                f"the processes did not come up within {within:g} s; what they said is in {self.data / 'logs'}"
            )

    def _serving(self) -> bool:
        """Whether every gateway writes its figures, which it does from its first second."""
        files = [figures.path(self.data, child.name) for child in self.children if "gateway-" in child.name]
        return all(file.exists() and file.stat().st_mtime >= self.begun for file in files)

    def tend(self) -> None:
        """Restart whatever has died."""
        now = self.turned = time.monotonic()
        self.manager.alive()
        revived = [child.name for child in self.children if child.revive(now)]
        if revived:
            self._write_state()

    def run(self, reread: Callable[[], None]) -> None:
        """Tend the processes until `stop` is asked for; `reread` is called when a reload is."""
        while not self.stopping:
            self.tend()
            if self.rereading:
                self.rereading = False
                reread()
            time.sleep(0.1)

    def ask_reread(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """Signal handler: read the specs again at the next turn."""
        self.rereading = True

    def ask_stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """Signal handler: leave `run` at the next turn."""
        self.stopping = True

    def stop(self) -> None:
        """End every process: gateways first, so that nothing is exposed while nobody judges."""
        self.stopping = True
        self.manager.tell(STOPPING)
        if self.data_socket is not None:
            # With the last gateway's copy it is gone, and new clients are refused at once instead of left waiting.
            self.data_socket.close()
        shippers = [child for child in self.children if child.name == SHIPPER]
        stop_all([child for child in self.children if child.name != SHIPPER])
        # What the others have written at their end is still sent.
        stop_all(shippers)
        (self.data / "run" / "serve.json").unlink(missing_ok=True)
        if self.control_socket is not None:
            self.control_socket.close()
        if self.health is not None:
            self.health.close()

    def _write_state(self) -> None:
        state = {
            "pid": os.getpid(),
            "data_port": self.data_port,
            "control_port": self.control_port,
            "health_port": None if self.health is None else self.health.port,
            "data_url": self.data_url,
            "control_url": self.control_url,
            "health_url": None if self.health is None else _url(self.health.listening),
            "pids": {child.name: child.pid for child in self.children},
            "restarts": {child.name: child.restarts for child in self.children},
        }
        target = self.data / "run" / "serve.json"
        draft = target.with_suffix(".tmp")
        draft.write_text(json.dumps(state))
        draft.replace(target)


def _host() -> str:
    """What begins the names of this host's gateways, where other hosts have some of the same rollout."""
    return f"{socket.gethostname()}-" if store_address.server() is not None else ""


def _url(sock: socket.socket, *, tls: bool = False) -> str:
    host, port = sock.getsockname()[:2]
    # A socket that listens everywhere is reached here by the loopback of its family.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def more_files() -> None:
    """Raise this process's limit on open files, for its children too, as far as it may: each client holds one or two.

    The usual 1,024 would be used up by a few hundred clients, and the champion's users refused for it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(host: str, port: int, what: str, option: str) -> socket.socket:
    """A listening TCP socket that children may inherit; raises ServeError, which names the option, when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise ServeError(
            f"cannot listen on {host}:{port} for the {what}: {error.strerror}; choose another port with {option} "
            f"(such as `{option} {_another(port)}`) or stop what is using it"
        ) from error
    sock.setblocking(False)
    sock.set_inheritable(True)
    return sock


def _another(port: int) -> int:
    """A port to suggest: anybody may open it, and it is none that `serve` takes unasked."""
    return port + 100 if 1024 <= port <= 65_435 else 8180


def prepare(data: Path) -> None:
    """Make the folders that the processes write to; raises ServeError where that cannot be."""
    try:
        # A folder that is there already keeps the mode that its owner gave it.
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in ("run", "logs", "journal", "lake"):
            (data / place).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data / "run"):
            pass
    except OSError as error:
        raise ServeError(
            f"cannot write to the data folder {data}: {error.strerror or error}; make it writable, or choose another "
            "folder with --data"
        ) from error


def lock(data: Path) -> IO[str]:
    """Hold the data folder for this process until the returned file is closed; raises ServeError when it is taken."""
    handle = (data / "run" / "lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        handle.close()
        raise ServeError(
            f"{data} is already being served (process {holder}); stop that one, or choose another folder with --data"
        ) from error
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def write_token(data: Path) -> str:
    """The bearer token for moves through the control port: made once, readable by its owner alone."""
    target = data / "run" / "token"
    if target.exists():
        return target.read_text().strip()
    token = secrets.token_urlsafe(24)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(token + "\n")
    return token
