"""The right to change the tables: a file lock that one process at a time holds."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from crossfade.rim.lake_place import LakeError


class Busy(LakeError):
    """Another process has the right to change the tables."""


class Claim:
    """One process's right to compact the tables below a folder; it ends with the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether it is ours."""
        return self._handle is not None

    def take(self) -> None:
        """Take it, or keep it. Raises Busy."""
        if self._handle is not None:
            return
        handle = os.open(self._folder / ".compactor", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise Busy(f"another process is compacting {self._folder}; only one may") from error
        self._handle = handle

    def close(self) -> None:
        """Give it up."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
