"""A double of Kubernetes' API server: objects with versions, conflicts, roles, faults, and the published schemas."""

from __future__ import annotations

import copy
import json
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

TOP = Path(__file__).parents[3]
CRDS = Path(os.environ.get("CROSSFADE_CRDS") or TOP / "build" / "servers" / "crds")
"""The published definitions (CustomResourceDefinition, YAML), where somebody has put them."""

Json = dict[str, Any]


@dataclass
class ApiServer:
    """What one cluster holds. `controller` acts on an object after each write, as those of a cluster do."""

    token: str = "open-sesame"
    objects: dict[str, Json] = field(default_factory=dict)
    faults: list[tuple[str, int, float]] = field(default_factory=list)
    """(method, status, delay) of the requests to come; status 0 lets the request through after its delay."""
    controller: Callable[[Json], None] | None = None
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    meanwhile: Callable[[], None] | None = None
    """Called once between somebody's read and write."""
    port: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, path: str, found: Json) -> None:
        """Write as any other client would."""
        with self._lock:
            before = self.objects.get(path)
            after = copy.deepcopy(found)
            meta = after["metadata"]
            meta["resourceVersion"] = str(int(before["metadata"]["resourceVersion"]) + 1 if before else 1000)
            changed = before is None or before["spec"] != after["spec"]
            meta["generation"] = (before["metadata"]["generation"] if before else 0) + changed
            # Status is a resource of its own: what a client puts there is not taken.
            if before is not None:
                after["status"] = copy.deepcopy(before.get("status", {}))
            self.objects[path] = after
            if self.controller is not None:
                self.controller(after)

    def kubeconfig(self, folder: Path, **user: str) -> Path:
        """A kubeconfig for a client of it."""
        file = folder / "kubeconfig"
        said = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "models"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "u", "user": user or {"token": self.token}}],
        }
        file.write_text(yaml.safe_dump(said))
        return file

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Json]:
        """Status and object."""
        fault = next((one for one in self.faults if one[0] == method), None)
        if fault is not None:
            self.faults.remove(fault)
            time.sleep(fault[2])
            if fault[1]:
                return _failed(fault[1], "as the test wants it")
        if headers.get("authorization") != f"Bearer {self.token}":
            return _failed(401, "Unauthorized")
        if path not in self.objects:
            return _failed(404, f"{path} not found")
        if method == "GET":
            with self._lock:
                found = copy.deepcopy(self.objects[path])
            if self.meanwhile is not None:
                act, self.meanwhile = self.meanwhile, None
                act()
            return 200, found
        if method != "PUT" or headers.get("content-type") != "application/json":
            return _failed(405 if method != "PUT" else 415, "not as this double takes it")
        found = json.loads(body)
        problems = problems_of(found)
        if problems:
            return _failed(422, "; ".join(problems))
        with self._lock:
            if found["metadata"].get("resourceVersion") != self.objects[path]["metadata"]["resourceVersion"]:
                return _failed(409, "the object has been modified; please apply your changes to the latest version")
            self.put(path, found)
            return 200, copy.deepcopy(self.objects[path])


def _failed(code: int, message: str) -> tuple[int, Json]:
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


@contextmanager
def api_server(tls: ssl.SSLContext | None = None) -> Iterator[ApiServer]:
    """One that runs."""
    server = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, told = server.answer(self.command, self.path, self.headers, body)
            server.asked.append((self.command, self.path, status))
            encoded = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_PUT = do_PATCH = do_DELETE = do_POST = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    server.port = listening.server_address[1]
    if tls is not None:
        listening.socket = tls.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()


def published() -> dict[str, Json]:
    """Kind → the schema that its publisher gives; empty where nobody has put the definitions there."""
    found: dict[str, Json] = {}
    for file in sorted(CRDS.glob("*.yaml")):
        for one in yaml.load_all(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            for version in one["spec"]["versions"] if one else ():
                group = one["spec"]["group"]
                schema = version["schema"]["openAPIV3Schema"]
                schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
                found[f"{group}/{version['name']} {one['spec']['names']['kind']}"] = _strict(schema)
    return found


_KNOWN: dict[str, Json] | None = None


def problems_of(found: Json) -> list[str]:
    """What the published schema says against an object; nothing where it is not there."""
    global _KNOWN
    if _KNOWN is None:
        _KNOWN = published()
    schema = _KNOWN.get(f"{found['apiVersion']} {found['kind']}")
    if schema is None:
        return []
    return [f"{one.json_path}: {one.message[:200]}" for one in Draft202012Validator(schema).iter_errors(found)]


def _strict(schema: Any) -> Any:
    """The schema with unknown fields refused, as the server's strict field validation does."""
    if isinstance(schema, dict):
        closed = schema.get("type") == "object" and "properties" in schema
        if closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        if schema.get("x-kubernetes-int-or-string"):
            schema.pop("type", None)
        if "pattern" in schema and not _readable(schema["pattern"]):
            schema.pop("pattern")
        for each in schema.values():
            _strict(each)
    elif isinstance(schema, list):
        for each in schema:
            _strict(each)
    return schema


def _readable(pattern: Any) -> bool:
    try:
        re.compile(pattern)
    except (re.error, TypeError):
        return False
    return True
