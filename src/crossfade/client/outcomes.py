"""Reporting outcomes from an application: a background thread that batches, retries and never counts twice.

Only the standard library is needed. Each outcome gets its id when it is recorded, and a batch is sent again with the
same ids until the control port has acknowledged it, so a lost reply or a restart of the server costs nothing.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say nothing about the batch itself."""


LONGEST_WAIT = 3600.0
"""Seconds that an answer may ask us to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What became of the outcomes handed over so far."""

    accepted: int = 0
    duplicates: int = 0
    """Already known to the server, usually because an acknowledgement was lost and the batch sent again."""
    rejected: int = 0
    pending: int = 0
    """Recorded but not acknowledged yet."""
    failure: str = ""
    """Why the last attempt failed; '' when it did not."""


class Port:
    """A connection to a control port that posts batches of outcomes, one attempt a call. Not for several threads."""

    def __init__(
        self, url: str, *, timeout: float = 10.0, token: str = "", context: ssl.SSLContext | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the URL of a control port; it looks like http://127.0.0.1:8090")
        self._parts = parts
        self._timeout = timeout
        self._context = context
        self._headers = {"content-type": "application/json"}
        if token:
            if not (token.isascii() and token.isprintable()):
                # What the library says of such a header holds the token.
                raise ValueError("the token holds signs that no header may, such as the end of a line; give it alone")
            self._headers["authorization"] = f"Bearer {token}"
        self._said = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self.retry_after = 0.0
        """Seconds that the last answer asked us to wait; 0 where it did not."""
        self._connection: http.client.HTTPConnection | None = None

    def post(self, items: Sequence[Mapping[str, Any]]) -> tuple[int | None, Any]:
        """The status and the decoded answer; None and what went wrong when there was no answer."""
        body = json.dumps(items, separators=(",", ":")).encode()
        path = self._parts.path.rstrip("/") + "/api/v1/outcomes"
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request("POST", path, body, self._headers)
            reply = self._connection.getresponse()
            data = reply.read()
            self.retry_after = _seconds(reply.getheader("retry-after"))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self.retry_after = 0.0
            return None, f"cannot reach {self._said}: {error}"
        try:
            return reply.status, json.loads(data)
        except ValueError:
            return reply.status, data[:200].decode("utf-8", "replace")

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def close(self) -> None:
        """Let go of the connection; the next post opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _seconds(said: str | None) -> float:
    """A `retry-after` in seconds; ours always is."""
    return min(float(said), LONGEST_WAIT) if said is not None and said.isdecimal() else 0.0


class OutcomeClient:
    """Reports outcomes to a control port, such as `http://127.0.0.1:8090`.

    `batch` outcomes are sent at most at once, `interval` seconds after the first of them at the latest. At most
    `capacity` wait for acknowledgement; beyond that `record` blocks, because losing them silently would bias the
    comparison. `token` is one with the role reporter, where the port asks for it; `context` says how https is spoken,
    with an authority or a client certificate of your own. A port that asks us to wait is waited for. Use it as a
    context manager, or call `close`.
    """

    def __init__(
        self,
        url: str,
        batch: int = 500,
        interval: float = 0.5,
        *,
        capacity: int = 20_000,
        timeout: float = 10.0,
        longest_wait: float = 30.0,
        token: str = "",
        context: ssl.SSLContext | None = None,
    ) -> None:
        if batch < 1 or capacity < batch:
            raise ValueError("batch must be at least 1 and capacity at least one batch")
        self._port = Port(url, timeout=timeout, token=token, context=context)
        self._batch, self._interval, self._capacity = batch, interval, capacity
        self._timeout, self._longest_wait = timeout, longest_wait
        self._queue: deque[dict[str, Any]] = deque()
        self._sending = 0
        self._urgent = self._closing = self._abandoned = False
        self._accepted = self._duplicates = self._rejected = 0
        self._problems: deque[str] = deque(maxlen=100)
        self._failure = ""
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="crossfade-outcomes", daemon=True)
        self._thread.start()

    def record(
        self,
        name: str,
        *,
        decision_id: str | None = None,
        rollout: str | None = None,
        unit: str | None = None,
        value: float | None = None,
        item: str = "",
        at: float | None = None,
        outcome_id: str | None = None,
        corrects: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """Hand over one outcome and return its id; it is sent in the background.

        Name what it belongs to: the `x-crossfade-decision` header of the reply, or a rollout and a unit. `value` is 1
        by default, `at` is
        seconds since the epoch, now by default. `corrects` is the id of an outcome of the same name and owner, whose
        value this one replaces. Blocks while the queue is full; raises TimeoutError after `timeout`
        seconds of that, RuntimeError once closed.
        """
        if not name:
            raise ValueError("an outcome needs a name, the one that the metric in the spec asks for")
        if not decision_id and not (rollout and unit):
            raise ValueError("an outcome belongs to a decision_id, or to a rollout and a unit; neither was given")
        if corrects and corrects == outcome_id:
            raise ValueError("an outcome cannot correct itself; give the correction an id of its own, or none")
        if corrects and value is None:
            raise ValueError("a correction says which value is right: 0 for an event that did not happen")
        found = {
            "outcome_id": outcome_id or uuid.uuid4().hex,
            "name": name,
            "value": 1.0 if value is None else float(value),
            "at": time.time() if at is None else float(at),
        }
        optional = {"decision_id": decision_id, "rollout": rollout, "unit": unit, "item": item, "corrects": corrects}
        found.update({key: text for key, text in optional.items() if text})
        with self._changed:
            room = self._changed.wait_for(lambda: self._closing or self._pending() < self._capacity, timeout)
            if self._closing:
                raise RuntimeError("the outcome client is closed; make a new one")
            if not room:
                raise TimeoutError(f"{self._capacity} outcomes are waiting for the control port: {self._failure}")
            self._queue.append(found)
            if len(self._queue) in (1, self._batch):
                self._changed.notify_all()
        return str(found["outcome_id"])

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything recorded so far has been answered; False when `timeout` seconds were not enough."""
        with self._changed:
            self._urgent = self._pending() > 0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._pending() == 0 or self._abandoned, timeout)
            return self._pending() == 0

    def close(self, timeout: float | None = 30.0) -> bool:
        """Flush, then stop the thread; False when something could not be delivered in `timeout` seconds."""
        done = self.flush(timeout)
        with self._changed:
            self._closing = self._abandoned = True
            self._changed.notify_all()
        self._thread.join(self._timeout + 1.0)
        return done

    @property
    def delivered(self) -> Delivered:
        """What became of the outcomes so far."""
        with self._changed:
            return Delivered(
                accepted=self._accepted,
                duplicates=self._duplicates,
                rejected=self._rejected,
                pending=self._pending(),
                failure=self._failure,
            )

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the last hundred rejected outcomes were rejected."""
        with self._changed:
            return tuple(self._problems)

    def __enter__(self) -> OutcomeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pending(self) -> int:
        return len(self._queue) + self._sending

    def _in_a_hurry(self) -> bool:
        return len(self._queue) >= self._batch or self._urgent or self._abandoned

    def _run(self) -> None:
        while True:
            items = self._take()
            if not items:
                break
            self._deliver(items)
        self._port.close()

    def _take(self) -> list[dict[str, Any]]:
        """The next batch, once it is full, due or asked for; empty when there is nothing more to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._abandoned)
            self._changed.wait_for(self._in_a_hurry, self._interval)
            if self._abandoned:
                return []
            items = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            self._sending = len(items)
            return items

    def _deliver(self, items: list[dict[str, Any]]) -> None:
        """Send a batch until it is answered; the ids in it stay the same however often that takes."""
        wait = 0.1
        while True:
            status, answer = self._port.post(items)
            if status == 413 and len(items) > 1:
                half = len(items) // 2
                self._deliver(items[:half])
                self._deliver(items[half:])
                return
            if status is not None and status not in RETRIED:
                self._settle(items, status, answer)
                return
            with self._changed:
                self._failure = str(answer)
                if self._changed.wait_for(lambda: self._abandoned, max(wait, self._port.retry_after)):
                    return
            wait = min(wait * 2.0, self._longest_wait)

    def _settle(self, items: list[dict[str, Any]], status: int, answer: Any) -> None:
        with self._changed:
            if status == 202 and isinstance(answer, dict):
                rejected = answer.get("rejected", [])
                self._accepted += int(answer.get("accepted", 0))
                self._duplicates += int(answer.get("duplicates", 0))
                self._rejected += len(rejected)
                self._problems.extend(str(found.get("problem", found)) for found in rejected)
                self._failure = ""
            else:
                self._rejected += len(items)
                self._failure = f"the control port refused {len(items)} outcomes with status {status}: {answer}"
                self._problems.append(self._failure)
            self._sending -= len(items)
            if not self._pending():
                self._urgent = False
            self._changed.notify_all()
