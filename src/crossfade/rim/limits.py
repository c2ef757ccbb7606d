"""What one client may take up, and the answer to one who wants more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take up."""

    head_bytes: int = 64 * 1024
    body_bytes: int = 1024 * 1024 * 1024
    """The largest body at all."""
    stream_bytes: int = 1024 * 1024
    """Larger bodies are passed on as they arrive where nobody needs them whole."""
    hold_bytes: int = 32 * 1024 * 1024
    """Larger bodies are passed on as they arrive even where somebody would have needed them whole."""
    memory_bytes: int = 256 * 1024 * 1024
    """Once the held bodies of all clients take up this much, no further one is held."""
    copy_bytes: int = 64 * 1024 * 1024
    """What is kept in memory for copies to hidden arms; copies beyond it are dropped and counted."""
    connections: int = 10_000
    in_flight: int = 10_000
    """Requests being answered at one time."""
    pipelined: int = 16
    """Requests waiting behind the one being answered before reading pauses."""
    idle_seconds: float = 75.0
    """How long a connection may wait for its next request."""
    request_seconds: float = 60.0
    """How long a head may take to arrive, how long a body may pause, and how long a client may take nothing of a
    reply."""
    slowest_upload: int = 4096
    """Bytes a second below which a large body takes too long."""
    linger_seconds: float = 1.0
    """How long to read on after an error was answered, so that the client gets to see it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is answered with an error of ours, after which the connection closes."""

    status: int
    error: str
    what_to_do: str


TOO_SLOW = Refusal(408, "the request took too long to arrive", "send it in one go")
