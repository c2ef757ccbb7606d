"""A body that is passed on as it arrives, because it is too large to be held and nobody needs it whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from crossfade.rim.http_text import LAST_CHUNK, chunk

MOST_WAITING: Final = 256 * 1024
"""Bytes kept while the model's connection is being made; then the client has to wait."""


class Source(Protocol):
    """Where the body comes from."""

    def pause_upload(self) -> None:
        """Send no more for now."""
        ...

    def resume_upload(self) -> None:
        """Go on."""
        ...


class Upload:
    """The pieces between one client's connection and one model's."""

    __slots__ = ("_clock", "_pieces", "_source", "_waiting", "_write", "ended_at", "held_at", "length")

    def __init__(self, source: Source, length: int | None, clock: Callable[[], float]) -> None:
        self.length = length
        """As the client's Content-Length says; None means that it comes in chunks and leaves in chunks."""
        self.ended_at: float | None = None
        """When the last piece came."""
        self.held_at: float | None = None
        """Since when the model has not been taking any."""
        self._source = source
        self._clock = clock
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._write: Callable[[bytes], None] | None = None

    def feed(self, piece: bytes) -> None:
        """A piece of the body, free of framing."""
        self._send(chunk(piece) if self.length is None else piece)

    def end(self, trailers: bytes) -> None:
        """That was all."""
        self.ended_at = self._clock()
        if self.length is None:
            self._send(b"0\r\n" + trailers + b"\r\n" if trailers else LAST_CHUNK)

    def attach(self, write: Callable[[bytes], None]) -> None:
        """The model's connection stands."""
        self._write = write
        pieces, self._pieces = self._pieces, []
        write(b"".join(pieces))
        self.unhold()

    def detach(self) -> None:
        """The model wants no more; what still comes is thrown away."""
        self._write = _nowhere
        self._pieces.clear()
        self.unhold()

    def hold(self) -> None:
        """The model does not keep up."""
        if self.held_at is None:
            self.held_at = self._clock()
            self._source.pause_upload()

    def unhold(self) -> None:
        """It does again."""
        self._waiting = 0
        if self.held_at is not None:
            self.held_at = None
            self._source.resume_upload()

    def patience(self, seconds: float, now: float) -> float:
        """How much longer a model may take that has so many seconds to answer; time spent on the client's side of the
        upload is not the model's."""
        since = self.ended_at if self.ended_at is not None else self.held_at
        return seconds if since is None else seconds - (now - since)

    def _send(self, data: bytes) -> None:
        if self._write is not None:
            self._write(data)
            return
        self._pieces.append(data)
        self._waiting += len(data)
        if self._waiting > MOST_WAITING:
            self.hold()


def _nowhere(_: bytes) -> None:
    pass
