"""`crossfade serve` on one host: gateways on a shared socket, one controller, one control port; the dead are restarted.

The listening sockets belong to the supervisor, so a connection that arrives while a worker is being replaced waits
in the kernel's queue instead of being refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import secrets
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from crossfade.rim.one_route import RouteTaken, taken
from crossfade.rim.options import PLAIN, Options, OptionsError
from crossfade.rim.processes import Child, stop_all
from crossfade.rim.pseudonym_keys import Keys
from crossfade.rim.store import Store, StoreError
from crossfade.spec.parse import SpecProblems, parse
from crossfade.state import ENDED, Move, Phase

READY_WITHIN = 60.0
"""Seconds the processes may take to come up; on a busy machine they import for half a minute."""


MOST_FILES = 65_536
"""Open files a process asks for."""


class ServeError(RuntimeError):
    """Serving could not start; the message says why and what to do."""


@dataclass(slots=True)
class Supervisor:
    """The processes of one `crossfade serve`."""

    data: Path
    data_socket: socket.socket | None
    """None where no gateway is wanted, because the models are called inside programs."""
    control_socket: socket.socket
    children: list[Child] = field(default_factory=list)
    tls: bool = False
    """Whether clients of the data port speak HTTPS."""
    stopping: bool = False
    rereading: bool = False

    @property
    def data_port(self) -> int | None:
        """The port that models' clients use."""
        return None if self.data_socket is None else int(self.data_socket.getsockname()[1])

    @property
    def control_port(self) -> int:
        """The port for outcomes, rollouts and pages."""
        return int(self.control_socket.getsockname()[1])

    @property
    def data_url(self) -> str | None:
        """Where models' clients on this host reach the data port; None where nothing is served."""
        return None if self.data_socket is None else _url(self.data_socket, tls=self.tls)

    @property
    def control_url(self) -> str:
        """Where this host reaches the control port."""
        return _url(self.control_socket)

    def start(self, *, workers: int, tick: float, options: Options = PLAIN, controllers: int = 1) -> None:
        """Start every process; returns at once."""
        logs = self.data / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        base = [sys.executable, "-m", "crossfade.rim.worker"]
        common = ["--data", str(self.data)]
        control_fd = self.control_socket.fileno()
        for index in range(workers if self.data_socket is not None else 0):
            assert self.data_socket is not None
            data_fd = self.data_socket.fileno()
            name = f"gateway-{index}"
            command = [*base, "gateway", *common, "--fd", str(data_fd), "--worker", name, "--workers", str(workers)]
            command += ["--options", options.encoded()]
            self.children.append(Child(name, command, (data_fd,), logs / f"{name}.log"))
        command = [sys.executable, "-m", "crossfade.console", *common, "--fd", str(control_fd)]
        self.children.append(Child("console", command, (control_fd,), logs / "console.log"))
        command = [*base, "controller", *common, "--tick", str(tick)]
        for index in range(controllers):
            # The others wait until the one that leads has died or hangs.
            name = f"controller-{index}" if index else "controller"
            self.children.append(Child(name, command, (), logs / f"{name}.log"))
        for child in self.children:
            child.start()
        self._write_state()

    def wait_ready(self, store: Store, within: float = READY_WITHIN) -> None:
        """Return once the control port answers and the controller's heart beats; raises ServeError otherwise."""
        deadline = time.monotonic() + within
        beats = store.heartbeat()
        while time.monotonic() < deadline and not self.stopping:
            if store.heartbeat() != beats and self._answers():
                return
            self.tend()
            time.sleep(0.05)
        if not self.stopping:
            raise ServeError(
                f"the processes did not come up within {within:g} s; what they said is in {self.data / 'logs'}"
            )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.control_url}/healthz", timeout=1.0) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def tend(self) -> None:
        """Restart whatever has died."""
        now = time.monotonic()
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
        if self.data_socket is not None:
            # With the last gateway's copy it is gone, and new clients are refused at once instead of left waiting.
            self.data_socket.close()
        stop_all(self.children)
        (self.data / "run" / "serve.json").unlink(missing_ok=True)
        self.control_socket.close()

    def _write_state(self) -> None:
        state = {
            "pid": os.getpid(),
            "data_port": self.data_port,
            "control_port": self.control_port,
            "pids": {child.name: child.pid for child in self.children},
            "restarts": {child.name: child.restarts for child in self.children},
        }
        target = self.data / "run" / "serve.json"
        draft = target.with_suffix(".tmp")
        draft.write_text(json.dumps(state))
        draft.replace(target)


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


def listen(host: str, port: int, what: str) -> socket.socket:
    """A listening TCP socket that children may inherit; raises ServeError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise ServeError(
            f"cannot listen on {host}:{port} for the {what}: {error.strerror}; "
            "choose another port or stop what is using it"
        ) from error
    sock.setblocking(False)
    sock.set_inheritable(True)
    return sock


def prepare(data: Path) -> None:
    """Make the folders that the processes write to; raises ServeError where that cannot be."""
    try:
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


def admit(store: Store, texts: Sequence[str], *, start: bool, actor: str, at: float) -> list[str]:
    """Put each spec into the store (a changed one is a new revision) and start the pending ones."""
    names: list[str] = []
    keys = Keys(store.data)
    for text in texts:
        rollout = parse(text)
        keys.of(rollout)
        why_not = taken(rollout, store.rollouts())
        if why_not:
            raise RouteTaken(why_not)
        store.add(text, rollout, at)
        names.append(rollout.name)
        if start and store.get(rollout.name).position.phase is Phase.PENDING:
            store.act(
                rollout.name,
                Move.START,
                actor=actor,
                rule="manual",
                sentence=f"Started by {actor}.",
                evidence=[],
                at=at,
                by={"through": "serve", "user": actor},
            )
    return names


def _readmit(store: Store, reread: Callable[[], Sequence[str]], *, start: bool, actor: str) -> None:
    """Record what has changed. Whatever is wrong with it, what is served goes on as it was."""
    _, refused = admit_each(store, reread(), start=start, actor=actor, at=time.time())
    for why in refused:
        sys.stderr.write(f"crossfade: {why}; what is served goes on as it was\n")


def admit_each(
    store: Store, texts: Sequence[str], *, start: bool, actor: str, at: float
) -> tuple[list[str], list[str]]:
    """The same, one by one: the names that were admitted, and why others were not."""
    names: list[str] = []
    refused: list[str] = []
    for text in texts:
        try:
            names += admit(store, [text], start=start, actor=actor, at=at)
        except (StoreError, SpecProblems) as error:
            refused.append(str(error))
    return names, refused


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


def serve(
    texts: Sequence[str],
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    control_host: str = "127.0.0.1",
    control_port: int = 8090,
    workers: int = 1,
    tick: float = 1.0,
    controllers: int = 1,
    start: bool = True,
    actor: str = "operator",
    options: Options = PLAIN,
    on_ready: Callable[[Supervisor], None] | None = None,
    reread: Callable[[], Sequence[str]] = tuple,
) -> None:
    """Serve the specs until SIGTERM or SIGINT. `tick` is the period in seconds of the controller that leads.

    With no `workers` there is no data port: the models are called inside programs. On SIGHUP the texts that `reread`
    gives are recorded, none where it has found a problem and said so.

    Raises ServeError when it cannot start, SpecProblems when a spec does not hold. The ports come before
    the start: a rollout's clocks must not run where nobody can be served.
    """
    try:
        options.check()
    except OptionsError as error:
        raise ServeError(str(error)) from error
    prepare(data)
    held = lock(data)
    with contextlib.ExitStack() as unserved:
        unserved.callback(held.close)
        store = Store(data)
        unserved.callback(store.close)
        if not texts and not store.rollouts():
            raise ServeError("there is no rollout to serve; name a spec file, or run `crossfade init` to write one")
        Keys(data).check(stored.rollout for stored in store.rollouts() if stored.position.phase not in ENDED)
        data_socket = unserved.enter_context(listen(host, port, "data port")) if workers else None
        control_socket = unserved.enter_context(listen(control_host, control_port, "control port"))
        admit(store, texts, start=start, actor=actor, at=time.time())
        write_token(data)
        unserved.pop_all()
    more_files()
    options, told = options.within(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if told and workers:
        sys.stderr.write(f"crossfade: {told}\n")
    supervisor = Supervisor(data, data_socket, control_socket, tls=bool(options.tls_cert))
    signal.signal(signal.SIGHUP, supervisor.ask_reread)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, supervisor.ask_stop)
    try:
        supervisor.start(workers=workers, tick=tick, options=options, controllers=controllers)
        supervisor.wait_ready(store)
        if on_ready is not None and not supervisor.stopping:
            on_ready(supervisor)
        supervisor.run(lambda: _readmit(store, reread, start=start, actor=actor))
    finally:
        supervisor.stop()
        store.close()
        held.close()
