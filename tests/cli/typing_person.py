"""A person at a terminal: a command on a pseudo-terminal, what it shows, and answers typed into it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType


class Person:
    """Runs `crossfade …` with all three streams on a terminal of `width` columns."""

    def __init__(self, *arguments: str, cwd: Path, width: int = 80) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "crossfade.cli.main", *arguments],
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment | {"TERM": "xterm"},
        )
        os.close(theirs)
        self.shown = ""

    def __enter__(self) -> Person:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=30)
        os.close(self._ours)

    def sees(self, text: str, seconds: float = 60.0) -> str:
        """What has been shown since the last time, up to `text`."""
        until = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < until, f"{text!r} was never shown: {self.shown!r}"
            if not self._read() and self.process.poll() is not None:
                assert text in self.shown, f"it ended without {text!r}: {self.shown!r}"
        before, found, self.shown = self.shown.partition(text)
        return before + found

    def types(self, line: str) -> None:
        """A line and Enter."""
        os.write(self._ours, line.encode() + b"\n")

    def ends(self) -> int:
        """The exit code; what was shown meanwhile is kept."""
        while self._read() or self.process.poll() is None:
            pass
        return self.process.wait(timeout=60)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.2)[0]:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            # Linux's word for the other end being closed.
            return False
        self.shown += re.sub(r"\r\n", "\n", data.decode())
        return bool(data)
