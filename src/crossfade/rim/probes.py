"""The health port of a part that has no control port: `/healthz`, `/readyz`, `/metrics`, and no more."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from crossfade.rim import figures
from crossfade.rim.processes import Child
from crossfade.rim.standing import FRESH

PATIENCE = 15.0
"""Seconds without a turn of the supervisor after which it counts as hung."""

Checks = Mapping[str, Mapping[str, Any]]


class HealthPort:
    """Answers probes from a thread of the supervisor. It asks for no token, because orchestrators have none; its
    figures are by rollout and arm, so the network has to say who reaches it."""

    def __init__(self, host: str, port: int, *, alive: Callable[[], bool], checks: Callable[[], Checks], data: Path):
        """Raises OSError where the port cannot be had. Until `checks` can be asked, nothing is ready."""
        self._alive, self._checks, self._data = alive, checks, data
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5.0

            def do_GET(self) -> None:
                status, kind, body = outer.answer(self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def version_string(self) -> str:
                return "crossfade"

            def log_message(self, format: str, *args: Any) -> None:
                """Probes come every few seconds; they are not worth a line."""

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

        self._server = Server((host, port), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        if path == "/healthz":
            alive = self._alive()
            return _json(200 if alive else 503, {"status": "alive" if alive else "hangs"})
        if path == "/readyz":
            checks = self._checks()
            ready = all(check["ok"] for check in checks.values())
            return _json(200 if ready else 503, {"ready": ready, "checks": checks})
        if path == "/metrics":
            from crossfade.rim.metrics_text import read_metrics

            return 200, "text/plain; version=0.0.4; charset=utf-8", read_metrics(self._data).encode()
        known = "/healthz, /readyz and /metrics"
        return _json(404, {"error": f"{path} is not here", "what_to_do": f"this port answers {known}"})

    @property
    def listening(self) -> socket.socket:
        """Where it listens."""
        return self._server.socket

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def own_checks(data: Path, children: list[Child]) -> dict[str, dict[str, Any]]:
    """Whether this host's processes run, and whether its gateways write their figures, which they do every second."""
    if not children:
        return {"processes": {"ok": False, "reason": "nothing has been started yet"}}
    gone = [child.name for child in children if child.pid is None]
    running = f"{len(children)} running" if not gone else f"not running: {', '.join(gone)}"
    told = {"processes": {"ok": not gone, "reason": running}}
    gateways = [child.name for child in children if "gateway-" in child.name]
    if gateways:
        silent = [name for name in gateways if _age(figures.path(data, name)) > FRESH]
        heard = f"each heard within {FRESH:g} s" if not silent else f"not heard lately: {', '.join(silent)}"
        told["gateways"] = {"ok": not silent, "reason": heard}
    return told


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return float("inf")


def _json(status: int, value: Any) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(value).encode()
