"""Connections whose request never becomes whole are closed, so that nobody keeps the port busy by sending slowly."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 20.0
"""How long the head of a request may take, from the connection or from its first byte."""

BODY_SECONDS = 100.0
"""How long its body may take; who reads it says so to its sender well before."""


class PatientProtocol(HttpToolsProtocol):
    """The server's own protocol with an end to waiting for a head, and for a body, whether anybody reads it or not."""

    _late: asyncio.TimerHandle | None = None
    _partly: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client has come."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._calm()
        self._whole()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins to arrive."""
        self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._calm()
        self._whole()
        self._partly = self.loop.call_later(BODY_SECONDS, self._cut)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Its body is whole."""
        self._whole()
        super().on_message_complete()

    def _whole(self) -> None:
        if self._partly is not None:
            self._partly.cancel()
            self._partly = None

    def _cut(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def _wait(self) -> None:
        self._calm()
        self._late = self.loop.call_later(HEAD_SECONDS, self._close)

    def _calm(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # The request before it is still being answered, and is whole.
            self._wait()
        elif self.transport is not None and not self.transport.is_closing():
            self.transport.close()
