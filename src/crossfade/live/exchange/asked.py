"""What an exchange is told of the request it serves."""

from __future__ import annotations

import msgspec


class Asked(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The facts of a request that an exchange needs; the bytes stay with the runner."""

    method: str
    decision_id: str
    now: float
    """When the request arrived, seconds since the epoch."""
    start: float
    """The same moment on the monotonic clock of the events."""
    unit: str = ""
    digest: str = ""
    """Digest of path and body: the same unit asking the same thing sees the same interleaved list."""
    segments: tuple[str, ...] = ()
