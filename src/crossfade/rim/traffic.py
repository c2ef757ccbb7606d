"""Recorded requests, sent once more: to both models at a bounded rate, and their replies as they came."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crossfade.live import model_names
from crossfade.rim.joined import BadLine
from crossfade.spec.model import Arm, Rollout

LARGEST = 1 << 20
"""Bytes of a reply that are read; a longer one is not compared."""

_OURS = frozenset(("host", "connection", "content-length", "transfer-encoding", "accept-encoding"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One recorded request."""

    id: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What one model answered, or why it did not."""

    body: bytes
    failure: str
    """'' for a whole 2xx reply; else `status`, `timeout`, `refused`, `truncated` or `large`."""
    ms: float


@dataclass(frozen=True, slots=True)
class Answers:
    """Both models' replies to one request, and the champion's second where it was asked twice."""

    request: Request
    champion: Reply
    challenger: Reply
    again: Reply | None


@dataclass(slots=True)
class Recorded:
    """The requests of a file; lines that hold none are told."""

    path: Path
    route: str
    lines: int = 0
    bad: list[BadLine] = field(default_factory=list)

    def __iter__(self) -> Iterator[Request]:
        with self.path.open(encoding="utf-8", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                self.lines += 1
                try:
                    yield _request(json.loads(line), number, self.route)
                except (ValueError, TypeError) as error:
                    self.bad.append(BadLine(str(self.path), number, str(error)))


def _request(doc: Any, number: int, route: str) -> Request:
    """`{"id"?, "method"?, "path"?, "headers"?, "body"?}`; a body that is no text is sent as JSON."""
    if not isinstance(doc, dict):
        raise TypeError('expected {"body": ..., "path": ..., "headers": {...}}')
    headers, body = doc.get("headers", {}), doc.get("body")
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise TypeError("headers: expected a mapping from names to texts")
    path, method = doc.get("path", route), doc.get("method", "GET" if body is None else "POST")
    if not isinstance(path, str) or not path.startswith("/") or not isinstance(method, str) or not method.isalpha():
        raise TypeError("expected a path that begins with / and the name of a method")
    sent = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    given = [(str(name), value) for name, value in headers.items() if name.lower() not in _OURS]
    if sent and not isinstance(body, str) and "content-type" not in {name.lower() for name, _ in given}:
        given.append(("content-type", "application/json"))
    return Request(id=str(doc.get("id", number)), method=method.upper(), path=path, headers=tuple(given), body=sent)


class Sender:
    """Sends each request to the champion, the challenger and, for a share, to the champion again."""

    def __init__(self, rollout: Rollout, challenger: Arm, *, rate: float, at_once: int, noise: Callable[[str], bool]):
        self._rollout = rollout
        self._challenger = challenger
        self._every = 1.0 / rate
        self._at_once = at_once
        self._noise = noise
        self._local = threading.local()

    def answers(self, requests: Iterator[Request]) -> Iterator[Answers]:
        """Replies as they come in; never more requests a second, nor more at once, than was said."""
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="replay") as pool:
            running: set[Future[Answers]] = set()
            due = time.monotonic()
            for request in requests:
                while len(running) >= self._at_once:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (one.result() for one in done)
                time.sleep(max(0.0, due - time.monotonic()))
                # A pause is not made up for: models under test are never asked faster than was said.
                due = max(due, time.monotonic()) + self._every
                running.add(pool.submit(self._one, request))
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)

    def _one(self, request: Request) -> Answers:
        champion = self._ask(self._rollout.champion, request)
        challenger = self._ask(self._challenger, request)
        again = self._ask(self._rollout.champion, request) if self._noise(request.id) else None
        return Answers(request, champion, challenger, again)

    def _ask(self, arm: Arm, request: Request) -> Reply:
        began = time.monotonic()
        try:
            body, failure = self._exchange(arm, request)
        except TimeoutError:
            body, failure = b"", "timeout"
        except http.client.IncompleteRead:
            body, failure = b"", "truncated"
        except (OSError, http.client.HTTPException):
            body, failure = b"", "refused"
        if failure:
            self._forget(arm)
        return Reply(body, failure, (time.monotonic() - began) * 1000.0)

    def _exchange(self, arm: Arm, request: Request) -> tuple[bytes, str]:
        target, body, headers = as_asked(self._rollout, arm, request)
        connection = self._connection(arm)
        try:
            connection.request(request.method, target.decode(), body or None, headers)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError):
            # A kept connection that the server has closed meanwhile: once more on a new one.
            self._forget(arm)
            connection = self._connection(arm)
            connection.request(request.method, target.decode(), body or None, headers)
            response = connection.getresponse()
        found = response.read(LARGEST + 1)
        if len(found) > LARGEST:
            return b"", "large"
        if response.status >= 400:
            return b"", "status"
        if response.headers.get_content_type() == "text/event-stream":
            return json.dumps(found.decode(errors="surrogateescape")).encode(), ""
        return found, ""

    def _connection(self, arm: Arm) -> http.client.HTTPConnection:
        kept: dict[str, http.client.HTTPConnection] = self._local.__dict__.setdefault("kept", {})
        if arm.url not in kept:
            kept[arm.url] = connection_to(arm)
        return kept[arm.url]

    def _forget(self, arm: Arm) -> None:
        connection = self._local.__dict__.get("kept", {}).pop(arm.url, None)
        if connection is not None:
            connection.close()


def as_asked(rollout: Rollout, arm: Arm, request: Request) -> tuple[bytes, bytes, dict[str, str]]:
    """Target, body and headers as an arm must get them: its own model name, and the mark of a dry run."""
    target, body = f"{urlsplit(arm.url).path.rstrip('/')}{request.path}".encode(), request.body
    if arm.model is not None:
        named = model_names.renamed(rollout.protocol, request.method, target, body, arm.model)
        target, body = (named.target, named.body) if named is not None else (target, body)
    mark = {rollout.dry_run_header: "true"} if rollout.dry_run_header else {}
    return target, body, dict(request.headers) | mark


def connection_to(arm: Arm) -> http.client.HTTPConnection:
    """A connection to an arm, not open yet."""
    where = urlsplit(arm.url)
    host = where.hostname or ""
    if where.scheme == "https":
        return http.client.HTTPSConnection(host, where.port, timeout=arm.timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, where.port, timeout=arm.timeout)
