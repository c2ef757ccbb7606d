"""A host put to work: the folder is claimed, ports are bound, specs recorded, and only then processes begun."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from crossfade.rim.admission import admit, readmit
from crossfade.rim.control_options import OPEN, ControlOptions
from crossfade.rim.lake_place import location
from crossfade.rim.options import PLAIN, Options, OptionsError
from crossfade.rim.pseudonym_keys import Keys
from crossfade.rim.service_manager import READY, ServiceManager
from crossfade.rim.store import Store
from crossfade.rim.store_address import server
from crossfade.rim.supervisor import ServeError, Supervisor, listen, lock, more_files, prepare, write_token
from crossfade.state import ENDED


def serve(
    texts: Sequence[str],
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    control_host: str = "127.0.0.1",
    control_port: int = 8090,
    workers: int = 1,
    console: bool = True,
    tick: float = 1.0,
    controllers: int = 1,
    start: bool = True,
    actor: str = "operator",
    options: Options = PLAIN,
    health: tuple[str, int] | None = None,
    log: bool = True,
    control: ControlOptions = OPEN,
    on_ready: Callable[[Supervisor], None] | None = None,
    reread: Callable[[], Sequence[str]] = tuple,
) -> None:
    """Serve the specs until SIGTERM or SIGINT. `tick` is the period in seconds of the controller that leads.

    With no `workers` there is no data port, because the models are called inside programs or other hosts have the
    gateways; without a `console` there is no control port, and with no `controllers` others decide. `health` is where
    probes are answered; without a `log` the processes write to our standard error. On SIGHUP the texts that `reread`
    gives are recorded, none where it has found a problem and said so.

    Raises ServeError when it cannot start, SpecProblems when a spec does not hold. The ports come before
    the start: a rollout's clocks must not run where nobody can be served.
    """
    try:
        options.check()
        control.check()
    except OptionsError as error:
        raise ServeError(str(error)) from error
    prepare(data)
    if not (workers and console and controllers) and server() is not None and location(data) is None:
        raise ServeError(
            "the facts of several hosts meet in an object store: say which with --lake s3://BUCKET/PREFIX, on each host"
        )
    held = lock(data)
    with contextlib.ExitStack() as unserved:
        unserved.callback(held.close)
        store = Store(data)
        unserved.callback(store.close)
        if controllers and not texts and not store.rollouts():
            raise ServeError("there is no rollout to serve; name a spec file, or run `crossfade init` to write one")
        Keys(data).check(stored.rollout for stored in store.rollouts() if stored.position.phase not in ENDED)
        data_socket = unserved.enter_context(listen(host, port, "data port", "--port")) if workers else None
        control_socket = None
        if console:
            control_socket = unserved.enter_context(
                listen(control_host, control_port, "control port", "--control-port")
            )
        admit(store, texts, start=start, actor=actor, at=time.time())
        if console:
            write_token(data)
        unserved.pop_all()
    more_files()
    asked = options.limits.connections
    options, told = options.within(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    # A number that nobody asked for and that is nearly kept is not the first thing to tell a newcomer.
    plenty = asked == PLAIN.limits.connections and options.limits.connections > asked // 2
    if told and workers and not plenty:
        sys.stderr.write(f"crossfade: {told}\n")
    manager = ServiceManager.found()
    supervisor = Supervisor(
        data, data_socket, control_socket, tls=bool(options.tls_cert), control=control, manager=manager
    )
    signal.signal(signal.SIGHUP, supervisor.ask_reread)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, supervisor.ask_stop)
    try:
        if health is not None:
            supervisor.listen_health(*health)
        supervisor.start(workers=workers, tick=tick, options=options, controllers=controllers, log=log)
        supervisor.wait_ready(store)
        if not supervisor.stopping:
            manager.tell(READY)
        if on_ready is not None and not supervisor.stopping:
            on_ready(supervisor)
        supervisor.run(lambda: readmit(store, reread, start=start, actor=actor))
    finally:
        supervisor.stop()
        store.close()
        held.close()
