"""What a worker says, one JSON object a line: warnings as they happen, and every request where that is asked for."""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from pathlib import Path
from typing import TextIO

import msgspec

from crossfade.rim.http_request import Request

MOST_LINES = 50_000
"""Access lines kept for the next write; more are dropped and counted."""

_encode = msgspec.json.Encoder().encode


class JsonLines(logging.Formatter):
    """A record as one line. `extra={"fields": {…}}` adds fields of the event's own."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "at": _stamp(record.created),
            "level": record.levelname.lower(),
            "worker": self._worker,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line |= fields
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line).decode()


def begin(worker: str, stream: TextIO | None = None) -> None:
    """Send this process's log to a stream as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(worker))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class Access:
    """Requests as they end. Lines wait in memory, so that no disk makes a user wait."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._lines: deque[bytes] = deque()
        self._dropped = 0

    def note(self, line: dict[str, object]) -> None:
        """Keep one line."""
        if len(self._lines) >= MOST_LINES:
            self._dropped += 1
        else:
            self._lines.append(_encode({"at": _stamp(time.time())} | line) + b"\n")

    def write(self) -> None:
        """Append what waits to the file; for a thread. Nothing is raised: a log is not worth failing for."""
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._lines.append(_encode({"at": _stamp(time.time()), "lines_dropped": dropped}) + b"\n")
        out = []
        while self._lines:
            out.append(self._lines.popleft())
        if out:
            try:
                with self._where.open("ab") as file:
                    file.write(b"".join(out))
            except OSError:
                self._dropped += len(out)


def access_line(request: Request, status: int, decision: bytes, ms: float) -> dict[str, object]:
    """One request. `status` 0 means that nothing was answered; units are left out, because they name people."""
    return {
        "method": request.method,
        "target": request.target.decode("latin-1"),
        "status": status,
        "ms": ms,
        "decision": decision.decode() or None,
        "traceparent": request.header("traceparent") or None,
    }


def _stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"
