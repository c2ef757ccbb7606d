"""What systemd is told of `serve` and its parts: that it is ready, alive, and stopping. Elsewhere nothing is told."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import dataclass

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


@dataclass(slots=True)
class ServiceManager:
    """The socket that the environment names, and when it was last written to."""

    address: str = ""
    """Of a datagram socket; '' where there is nobody to tell."""
    every: float = 0.0
    """Seconds between signs of life; 0 where none are awaited."""
    told: float = 0.0

    @classmethod
    def found(cls) -> ServiceManager:
        """The one that started this process, which is then not the children's to talk to."""
        address = os.environ.pop("NOTIFY_SOCKET", "")
        wanted, whom = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
        ours = wanted.isdigit() and whom in ("", str(os.getpid()))
        # Twice as often as awaited, so that one slow turn is no death.
        return cls(address, int(wanted) / 2e6 if ours else 0.0)

    def tell(self, what: str) -> None:
        """Say it; nobody waits for an answer, and who does not listen is not told."""
        if not self.address:
            return
        name = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1.0)
            sock.sendto(what.encode(), name)

    def alive(self) -> None:
        """A sign of life, when one is due."""
        now = time.monotonic()
        if self.every and now - self.told >= self.every:
            self.told = now
            self.tell(ALIVE)
