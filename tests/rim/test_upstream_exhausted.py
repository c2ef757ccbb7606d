"""A gateway without file descriptors says that it lacks them, and blames no model server."""

from __future__ import annotations

import asyncio
import os
import resource
from typing import Any

import pytest
import uvloop

from crossfade.rim.endpoints import endpoint
from crossfade.rim.upstream import Pool


class Told:
    """Keeps how a call failed."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def failed(self, call: int, kind: str) -> None:
        self.kinds.append(kind)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a call that was never sent cannot have {name}")


@pytest.mark.parametrize("loop_of", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_no_descriptor_left(loop_of: Any) -> None:
    told, loop = Told(), loop_of()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    pool = Pool(loop)

    async def ask() -> None:
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
        try:
            pool.ask(told, 0, endpoint("http://127.0.0.1:9"), [b""])
            for _ in range(200):
                await asyncio.sleep(0.01)
                if told.kinds:
                    return
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    try:
        loop.run_until_complete(ask())
    finally:
        loop.close()
    assert told.kinds == ["exhausted"]
