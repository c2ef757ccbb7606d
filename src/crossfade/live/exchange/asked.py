"""What an exchange is told of the request it serves."""

from __future__ import annotations

from crossfade.live.pages import Page


class Asked:
    """The facts of a request that an exchange needs; the bytes stay with the runner."""

    __slots__ = ("decision_id", "digest", "method", "now", "page", "segments", "start", "unit")

    def __init__(
        self,
        *,
        method: str,
        decision_id: str,
        now: float,
        start: float,
        unit: str = "",
        digest: str = "",
        segments: tuple[str, ...] = (),
        page: Page | None = None,
    ) -> None:
        self.method = method
        self.decision_id = decision_id
        self.now = now
        """When the request arrived, seconds since the epoch."""
        self.start = start
        """The same moment on the monotonic clock of the events."""
        self.unit = unit
        self.digest = digest
        """Digest of path and body: the same unit asking the same thing sees the same interleaved list."""
        self.segments = segments
        self.page = page
        """Which part of an interleaved list is wanted, where the spec says how requests say so."""
