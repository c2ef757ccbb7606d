"""Every demo of a test ends with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .run_demo import RunningDemo


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., RunningDemo]]:
    """Starts a demo with the given command-line arguments."""
    started: list[RunningDemo] = []

    def start(*arguments: str) -> RunningDemo:
        started.append(RunningDemo(tmp_path / f"data-{len(started)}", *arguments))
        return started[-1]

    yield start
    for running in started:
        running.stop()
