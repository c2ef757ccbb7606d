"""`crossfade serve`: put gateways, a controller and the control port of one host to work, or each of them alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from crossfade.cli.common import DATA, PROBLEM, WRONG_USE, AsJson, DataDir, fail, print_json
from crossfade.cli.engines import EngineOption, put_to_work
from crossfade.cli.identity import user
from crossfade.cli.progress import working

if TYPE_CHECKING:
    from crossfade.rim.supervisor import Supervisor

_PORT: dict[str, Any] = {"rich_help_panel": "Data port: limits, TLS, logs"}
_CONTROL: dict[str, Any] = {"rich_help_panel": "Control port: TLS, outcomes"}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("serve")(serve)
    for name, part in PARTS.items():
        app.command(name)(part)


def serve(
    specs: Annotated[
        list[Path] | None, typer.Argument(metavar="SPEC…", help="Spec files; none: what is stored.")
    ] = None,
    data: DataDir = DATA,
    host: Annotated[str, typer.Option(help="Address of the data port.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="What models' clients call.", min=0, max=65535)] = 8080,
    control_host: Annotated[str, typer.Option(help="Address of the control port; keep it private.")] = "127.0.0.1",
    control_port: Annotated[int, typer.Option(help="Outcomes, rollouts, pages.", min=0, max=65535)] = 8090,
    workers: Annotated[int, typer.Option(help="Gateway processes; 0 where programs call models.", min=0)] = 1,
    tick: Annotated[float, typer.Option(help="Seconds between looks at the evidence.", min=0.05)] = 1.0,
    controllers: Annotated[
        int, typer.Option(help="Controllers; one leads, the others take over within 5 s.", min=0, max=9)
    ] = 1,
    lake: Annotated[
        str | None, typer.Option(metavar="URL", help="Where facts are kept, as s3://BUCKET/PREFIX; else in --data.")
    ] = None,
    engine: EngineOption = None,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start rollouts that are pending.")] = True,
    health_host: Annotated[str, typer.Option(help="Address of the health port.")] = "127.0.0.1",
    health_port: Annotated[
        int | None, typer.Option(help="Where /healthz, /readyz and /metrics answer orchestrators.", min=0, max=65535)
    ] = None,
    log_files: Annotated[
        bool, typer.Option("--log-files/--log-stderr", help="Where processes log: in logs/, or on standard error.")
    ] = True,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate: clients speak HTTPS.", **_PORT)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM key of the certificate.", **_PORT)] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM authorities: clients need a certificate of theirs.", **_PORT)
    ] = None,
    upstream_ca: Annotated[Path | None, typer.Option(help="PEM authorities of https:// models.", **_PORT)] = None,
    upstream_cert: Annotated[Path | None, typer.Option(help="PEM certificate shown to models.", **_PORT)] = None,
    upstream_key: Annotated[Path | None, typer.Option(help="PEM key of that certificate.", **_PORT)] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Note every request in logs/.", **_PORT)] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Send spans to OTEL_EXPORTER_OTLP_ENDPOINT.", **_PORT)] = False,
    max_head: Annotated[str, typer.Option(metavar="SIZE", help="Headers of a request.", **_PORT)] = "64KiB",
    max_body: Annotated[str, typer.Option(metavar="SIZE", help="Body of a request.", **_PORT)] = "1GiB",
    max_held: Annotated[
        str, typer.Option(metavar="SIZE", help="Body that is still mirrored and tried twice.", **_PORT)
    ] = "32MiB",
    max_memory: Annotated[str, typer.Option(metavar="SIZE", help="All held bodies of a worker.", **_PORT)] = "256MiB",
    max_copies: Annotated[
        str, typer.Option(metavar="SIZE", help="What a worker keeps for hidden arms; more is dropped.", **_PORT)
    ] = "64MiB",
    max_connections: Annotated[int, typer.Option(help="Connections of a worker.", min=1, **_PORT)] = 10_000,
    max_in_flight: Annotated[int, typer.Option(help="Requests in flight, a worker.", min=1, **_PORT)] = 10_000,
    idle_timeout: Annotated[float, typer.Option(help="Seconds until the next request.", min=0.1, **_PORT)] = 75.0,
    read_timeout: Annotated[
        float, typer.Option(help="Seconds for a head, or for a pause in a body.", min=0.1, **_PORT)
    ] = 60.0,
    control_tls_cert: Annotated[
        Path | None, typer.Option(help="PEM certificate: the control port speaks HTTPS.", **_CONTROL)
    ] = None,
    control_tls_key: Annotated[Path | None, typer.Option(help="PEM key of the certificate.", **_CONTROL)] = None,
    control_tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM authorities: clients need a certificate of theirs.", **_CONTROL)
    ] = None,
    outcome_rate: Annotated[
        float,
        typer.Option(
            help="Outcomes, exposures and events a second of each token or address; 0: any.", min=0.0, **_CONTROL
        ),
    ] = 0.0,
    outcome_token: Annotated[
        bool, typer.Option("--outcome-token", help="Take outcomes only with a reporter's token.", **_CONTROL)
    ] = False,
    console: Annotated[bool, typer.Option(hidden=True)] = True,
    json: AsJson = False,
) -> None:
    """Serve rollouts until interrupted; whatever dies is restarted. SIGHUP reads the specs again."""
    from crossfade.rim import serving
    from crossfade.rim.control_options import ControlOptions
    from crossfade.rim.limits import Limits
    from crossfade.rim.one_route import RouteTaken
    from crossfade.rim.options import Options, OptionsError, path, size
    from crossfade.rim.store import StoreError
    from crossfade.rim.supervisor import ServeError

    try:
        options = Options(
            limits=Limits(
                head_bytes=size(max_head),
                body_bytes=size(max_body),
                hold_bytes=size(max_held),
                memory_bytes=size(max_memory),
                copy_bytes=size(max_copies),
                connections=max_connections,
                in_flight=max_in_flight,
                idle_seconds=idle_timeout,
                request_seconds=read_timeout,
            ),
            tls_cert=path(tls_cert),
            tls_key=path(tls_key),
            tls_client_ca=path(tls_client_ca),
            upstream_ca=path(upstream_ca),
            upstream_cert=path(upstream_cert),
            upstream_key=path(upstream_key),
            access_log=access_log,
            trace=trace,
        )
        options.check()
        control = ControlOptions(
            tls_cert=path(control_tls_cert),
            tls_key=path(control_tls_key),
            tls_client_ca=path(control_tls_client_ca),
            outcome_rate=outcome_rate,
            outcome_token=outcome_token,
        )
        control.check()
    except OptionsError as error:
        fail(str(error), code=WRONG_USE, as_json=json)
    texts = texts_of(specs or [], as_json=json)
    put_to_work(engine, as_json=json)
    if lake is not None:
        _settle(data, lake, as_json=json)
    starting = ExitStack()

    def ready(running: Supervisor) -> None:
        starting.close()
        _announce(running, data, as_json=json)

    try:
        starting.enter_context(working("Starting"))
        serving.serve(
            texts,
            data,
            host=host,
            port=port,
            control_host=control_host,
            control_port=control_port,
            workers=workers,
            console=console,
            tick=tick,
            controllers=controllers,
            start=start,
            actor=user(),
            options=options,
            health=None if health_port is None else (health_host, health_port),
            log=log_files,
            control=control,
            on_ready=ready,
            reread=lambda: _reread(specs or []),
        )
    except ServeError as error:
        fail(str(error), code=WRONG_USE, as_json=json)
    except RouteTaken as error:
        fail(str(error), code=PROBLEM, as_json=json)
    except StoreError as error:
        fail(str(error), "serve into another folder with --data", code=PROBLEM, as_json=json)
    finally:
        starting.close()


def _part(about: str, without: Container[str], **fixed: Any) -> Callable[..., None]:
    """`serve` as a command that runs some of its processes, with the options that concern those."""

    def command(**given: Any) -> None:
        _shared(given["json"])
        serve(**{name: each.default for name, each in known.items()} | given | fixed)

    hints = get_type_hints(serve, include_extras=True)
    known = dict(inspect.signature(serve).parameters)
    told = [
        each.replace(annotation=hints[name])
        for name, each in known.items()
        if name not in without and name not in fixed
    ]
    command.__signature__ = inspect.Signature(told)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: hints[each.name] for each in told}
    command.__doc__ = about
    return command


def _shared(as_json: bool) -> None:
    from crossfade.rim.store import StoreError
    from crossfade.rim.store_address import VARIABLE, server

    try:
        if server() is not None:
            return
    except StoreError as error:
        fail(str(error), code=WRONG_USE, as_json=as_json)
    fail(
        f"{VARIABLE} names no store that hosts share, so nobody would hear of the others",
        f"set {VARIABLE}=postgresql://USER@HOST/DATABASE, or run everything on one host by `crossfade serve`",
        code=WRONG_USE,
        as_json=as_json,
    )


_EVERYWHERE = ("data", "lake", "health_host", "health_port", "log_files", "json")
_DATA_PORT = [
    name
    for name in inspect.signature(serve).parameters
    if name not in (*_EVERYWHERE, "specs", "tick", "controllers", "start", "engine")
    and not name.startswith(("control_", "outcome_"))
]
_CONTROL_PORT = [
    name
    for name in inspect.signature(serve).parameters
    if name.startswith(("control_", "outcome_")) or name == "console"
]
_DECIDING = ["tick", "controllers", "start", "specs", "engine"]

PARTS = {
    "gateway": _part(
        "Serve the data port alone, on a host that shares CROSSFADE_STORE with others.",
        [*_CONTROL_PORT, *_DECIDING],
        console=False,
        controllers=0,
        specs=None,
    ),
    "controller": _part(
        "Decide alone, on a host that shares CROSSFADE_STORE with others; SPECs are recorded and started.",
        [*_DATA_PORT, *_CONTROL_PORT, "controllers"],
        console=False,
        workers=0,
        controllers=1,
    ),
    "console": _part(
        "Serve the control port alone, on a host that shares CROSSFADE_STORE with others.",
        [*_DATA_PORT, *_DECIDING],
        workers=0,
        controllers=0,
        specs=None,
    ),
}
"""The commands that run a part of what `serve` does."""


def _settle(data: Path, lake: str, *, as_json: bool) -> None:
    from crossfade.rim.lake_place import LakeError, settle

    try:
        settle(data, lake)
    except LakeError as error:
        fail(str(error), "nothing was started", as_json=as_json)


def texts_of(paths: list[Path], *, as_json: bool, so: str = "nothing was started") -> list[str]:
    """The text of every spec, once all of them hold, alone and side by side; else ends the command."""
    from crossfade.cli.check import Unreadable, problems_of, read, told

    try:
        files = [read(path) for path in paths]
    except Unreadable as error:
        fail(error.error, error.what_to_do, as_json=as_json)
    problems = problems_of(files)
    if problems:
        if not as_json:
            for checked, problem in problems:
                typer.echo(told(checked.file, checked.text, problem), err=True)
        found = f"{len(problems)} problem{'s' * (len(problems) > 1)} in the spec"
        fail(
            f"{found}; {so}",
            "mend it; `crossfade check SPEC` looks again",
            code=PROBLEM,
            as_json=as_json,
        )
    return [checked.text for checked in files]


def _reread(paths: list[Path]) -> list[str]:
    """The texts as they are now; none, and a word on standard error, where one of them does not hold."""
    try:
        return texts_of(paths, as_json=False, so="what is served goes on as it was")
    except typer.Exit:
        return []


_AGAIN = ", and stays so: to try again, give the spec a new name"


def _announce(running: Supervisor, data: Path, *, as_json: bool) -> None:
    from crossfade.rim.standing import open_store
    from crossfade.state import ENDED

    data_url, control_url = running.data_url, running.control_url
    store = open_store(data)
    phases = {stored.name: str(stored.position.phase) for stored in store.rollouts()}
    store.close()
    if as_json:
        print_json({"data": data_url, "control": control_url, "folder": str(data), "rollouts": phases})
        return
    if data_url is not None:
        typer.echo(f"models    {data_url}    point models' clients here")
    if control_url is not None:
        typer.echo(f"control   {control_url}    pages, outcomes, rollouts")
    for name, phase in phases.items():
        typer.echo(f"rollout   {name}    {phase.replace('_', ' ')}{_AGAIN if phase in ENDED else ''}")
    typer.echo(f"folder    {data}    watch it with `crossfade status -w --data {data}`")
