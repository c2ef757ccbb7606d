"""What takes long to find out, for pages that must not: asked in the background, shown as it was known last."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from dataclasses import dataclass
from typing import Any

MOST = 64
"""Answers that are kept; those that nobody has asked for longest give way."""

PATIENCE = 0.15
"""Seconds that a page waits for a fresh answer."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known now."""

    value: Any
    """None where nothing is known yet."""
    at: float
    fresh: bool
    """Whether it is of now; else a fresh answer is on its way."""


class Patience:
    """Answers of one kind by question. Safe to share between threads."""

    def __init__(self, workers: int = 1) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="crossfade-page")
        self._lock = threading.Lock()
        self._known: OrderedDict[Any, tuple[Any, float]] = OrderedDict()
        self._asked: dict[Any, Future[Any]] = {}

    def ask(self, question: Any, answer: Callable[[], Any], patience: float = PATIENCE) -> Known:
        """What `answer` gives, or gave when it was asked this last. Raises what it raises."""
        with self._lock:
            asked = self._asked.get(question)
            if asked is None:
                asked = self._asked[question] = self._pool.submit(self._answered, question, answer)
        try:
            value = asked.result(patience)
        except TimeoutError:
            with self._lock:
                value, at = self._known.get(question, (None, 0.0))
            return Known(value, at, fresh=False)
        return Known(value, time.time(), fresh=True)

    def _answered(self, question: Any, answer: Callable[[], Any]) -> Any:
        try:
            value = answer()
            with self._lock:
                self._known[question] = (value, time.time())
                self._known.move_to_end(question)
                while len(self._known) > MOST:
                    self._known.popitem(last=False)
            return value
        finally:
            with self._lock:
                self._asked.pop(question, None)
