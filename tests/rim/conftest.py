"""The gateway runs on uvloop, so its tests do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories(
    config: object, item: object
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of every asynchronous test below this folder."""
    return {"uvloop": uvloop.new_event_loop}
