"""The tail: facts taken and not yet committed, in memory-mapped pages that outlive the process but not the machine.

Two halves take turns. Facts go into one half while the batch made of the other is being committed under that half's
generation number; the journal keeps the number of the last batch committed, so after a kill exactly the halves with a
higher number are still to be written. A record carries its length and a checksum that includes the generation: a
torn or left-over record ends the half.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Final

HALF: Final = 4 * 1024 * 1024
"""Bytes a half; about 20,000 facts. What does not fit waits in memory alone."""

_GENERATION: Final = struct.Struct("<Q")
_RECORD: Final = struct.Struct("<II")
_ZEROS: Final = bytes(64 * 1024)


class TailError(Exception):
    """The tail cannot be used; the message says why."""


class Tail:
    """One worker's tail. Not thread-safe: its owner holds a lock around `put` and `turn`."""

    def __init__(self, path: Path, *, after: int, half: int = HALF) -> None:
        """Open the tail and read what was left: the facts of every half whose generation is above `after`."""
        self.path = path
        self._half = half
        self.untailed = 0
        """Facts that did not fit and would be lost by a kill before their batch is committed."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Real blocks, not a hole: a full disk must show here, not as a fatal signal at the first write.
                os.posix_fallocate(self._file, 0, 2 * half)
                self._map = mmap.mmap(self._file, 2 * half)
            except OSError:
                # Left open it would keep its lock, and the next attempt would take itself for another process.
                os.close(self._file)
                raise
        except BlockingIOError as busy:
            raise TailError(f"{path} is in use by another process: two workers have the same name") from busy
        except OSError as error:
            raise TailError(f"cannot open {path}: {error}") from error
        found = [self._read(0), self._read(half)]
        self._newest = max(after, *(generation for generation, _ in found))
        self.left: list[tuple[int, list[bytes]]] = sorted(
            (generation, facts) for generation, facts in found if generation > after and facts
        )
        """(generation, encoded facts) still to be written, oldest first."""
        self._generation = 0
        self._base = 0
        self._at = 0
        self._used = 0
        self._check = 0

    def start(self) -> int:
        """Begin with empty halves, once what was left is safe; the first generation."""
        for base in (0, self._half):
            self._wipe(base)
            self._erase(base + _GENERATION.size, base + self._half)
        self._open(0)
        return self._generation

    def put(self, encoded: bytes) -> None:
        """Keep one fact."""
        at, size = self._at, len(encoded)
        end = at + _RECORD.size + size
        if end > self._base + self._half:
            self.untailed += 1
            return
        self._map[at + _RECORD.size : end] = encoded
        _RECORD.pack_into(self._map, at, size, zlib.crc32(encoded, self._check))
        self._at = end

    def turn(self) -> int:
        """Let the other half take what comes; the generation of the half that is now complete."""
        complete = self._generation
        self._used = self._at
        self._open(self._half - self._base)
        return complete

    def clear(self) -> None:
        """The complete half has been committed, and nothing of it is left: it may name people."""
        base = self._half - self._base
        self._wipe(base)
        self._erase(base + _GENERATION.size, self._used)

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
        os.close(self._file)

    def _open(self, base: int) -> None:
        self._newest += 1
        self._generation = self._newest
        self._base = base
        self._at = base + _GENERATION.size
        self._check = self._newest & 0xFFFFFFFF
        _RECORD.pack_into(self._map, self._at, 0, 0)
        _GENERATION.pack_into(self._map, base, self._newest)

    def _wipe(self, base: int) -> None:
        _GENERATION.pack_into(self._map, base, 0)

    def _erase(self, start: int, end: int) -> None:
        """Zeros where anything was; what was never used is not touched, and takes no memory."""
        while start < end:
            size = min(end - start, len(_ZEROS))
            blank = _ZEROS[:size]
            if self._map[start : start + size] != blank:
                self._map[start : start + size] = blank
            start += size

    def _read(self, base: int) -> tuple[int, list[bytes]]:
        (generation,) = _GENERATION.unpack_from(self._map, base)
        check = generation & 0xFFFFFFFF
        at, end = base + _GENERATION.size, base + self._half
        facts: list[bytes] = []
        while generation and at + _RECORD.size <= end:
            size, crc = _RECORD.unpack_from(self._map, at)
            at += _RECORD.size
            if size == 0 or at + size > end:
                break
            encoded = self._map[at : at + size]
            if zlib.crc32(encoded, check) != crc:
                break
            facts.append(encoded)
            at += size
        return generation, facts
