"""A few threads with a short queue: places are taken and given back in time."""

from __future__ import annotations

import queue
import sys
import threading
from typing import Any

import pytest

from crossfade.client.workers import Workers


def test_a_place_is_free_before_anybody_hears_that_it_is() -> None:
    workers = Workers("w", threads=1, waiting=0)
    told: queue.Queue[tuple[Any, bool]] = queue.Queue()

    def again(found: Any) -> None:
        # Within the thread itself, which is as late as a thread without CPU can be with its bookkeeping.
        told.put((found, found > 50 or workers.submit(lambda: found + 1, again)))

    assert workers.submit(lambda: 0, again)
    assert [told.get(timeout=10) for _ in range(52)] == [(n, True) for n in range(52)]
    workers.close()


def test_a_job_that_ends_its_thread_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    workers, ended = Workers("x", threads=1, waiting=0), threading.Event()
    assert workers.submit(lambda: sys.exit(1))
    while not workers.submit(ended.set):
        pass
    assert ended.wait(10)
    workers.close()


def test_no_more_run_and_wait_than_may() -> None:
    workers, go_on = Workers("w", threads=2, waiting=3), threading.Event()
    took = [workers.submit(go_on.wait) for _ in range(7)]
    assert took == [True] * 5 + [False] * 2
    go_on.set()
    ended = threading.Event()
    while not workers.submit(ended.set):
        pass
    assert ended.wait(10)
    workers.close()
    assert not workers.submit(ended.set)
    for _ in range(1000):
        if not any(thread.name.startswith("w-") for thread in threading.enumerate()):
            break
        threading.Event().wait(0.01)
    assert not any(thread.name.startswith("w-") for thread in threading.enumerate())
