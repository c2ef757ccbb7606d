"""A log that is followed: whole lines as they come, across rotation and restarts, no line twice and none left out.

Where it has come to is noted beside the facts after they are durable, by the file itself and not by its name. A death
between the two reads lines again, whose decision ids are known by then. What cannot be given is counted: a line too
long to be a log's, one that was never finished.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LARGEST_LINE = 1_000_000
"""Bytes of one line; longer ones are not a log's."""

AT_ONCE = 4_000_000
"""Bytes read in one go."""

ROTATED = re.compile(r"([.-][0-9][0-9._:T-]*)?")
"""What a log's name goes on with once it was rotated away, as long as it was not compressed."""

HEAD = 256
"""Bytes at the start of a file by which it is known again, where the number of a file was given to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a log has been read to."""

    inode: int
    offset: int
    head: str
    """The first bytes of the file, in hex, as far as there were any."""


class Follower:
    """Reads one log. `lines` gives what is new; `done` notes that it has been kept."""

    def __init__(self, log: Path, note: Path) -> None:
        """`note`: the file that says where it has come to."""
        self._log, self._note = log, note
        self._file: BinaryIO | None = None
        self._inode = 0
        self._offset = 0
        self._rest = b""
        self._skipping = False
        """Whether what comes next is the rest of a line that is too long."""
        self.lost = 0
        """Lines that were too long, or left unfinished at the end of a file that was rotated away."""

    def lines(self) -> list[bytes]:
        """Whole lines that are new, as many as came in one go; none where there are none. Raises OSError where the log
        cannot be read."""
        while part := self._part():
            if found := self._whole(part):
                return found
        return []

    def _part(self) -> bytes:
        """What comes next, at most AT_ONCE bytes of it."""
        following = None
        while self._file is not None or self._open(following):
            assert self._file is not None
            self._truncated()
            self._file.seek(self._offset + len(self._rest))
            part = self._file.read(AT_ONCE)
            if not part and self._rotated():
                # Whoever renamed it may have let the last lines be written meanwhile.
                part = self._file.read(AT_ONCE)
            if part or not self._rotated():
                return part
            self.lost += bool(self._rest) and not self._skipping
            following = self._following()
            self._close()
        return b""

    def _whole(self, part: bytes) -> list[bytes]:
        """The lines that have become whole with a part that was read."""
        whole, newline, rest = (self._rest + part).rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        self._rest = rest
        lines = whole.split(b"\n") if newline else []
        if lines and self._skipping:
            # The end of a line whose beginning was thrown away.
            del lines[0]
            self._skipping = False
        if len(rest) > LARGEST_LINE:
            self.lost += not self._skipping
            self._offset += len(rest)
            self._rest, self._skipping = b"", True
        return [line for line in lines if line.strip()]

    def done(self) -> None:
        """Everything that `lines` has given is kept. Raises OSError."""
        if self._file is None:
            return
        self._file.seek(0)
        place = {"inode": self._inode, "offset": self._offset, "head": self._file.read(HEAD).hex()}
        draft = self._note.with_name(f"{self._note.name}.tmp")
        self._note.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w") as file:
            file.write(json.dumps(place))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._note)

    def close(self) -> None:
        """Let go of the log."""
        self._close()

    def _open(self, following: Path | None = None) -> bool:
        """Take up the file that comes next; where none is named that which was being read, under whatever name it has
        now, else the present one."""
        known = self._known() if following is None else None
        path, self._offset = following or self._log, 0
        if known is not None:
            found = next((one for one in self._candidates() if _is(one, known)), None)
            if found is not None:
                path, self._offset = found, known.offset
        if not path.exists():
            return False
        self._file = path.open("rb")
        self._inode = os.fstat(self._file.fileno()).st_ino
        self._rest, self._skipping = b"", False
        if known is None:
            # A log that is rotated away before anything of it was kept is found again all the same.
            self.done()
        return True

    def _candidates(self) -> Iterator[Path]:
        """The log, and what it may have been renamed to."""
        yield self._log
        yield from sorted(self._log.parent.glob(f"{glob.escape(self._log.name)}?*"))

    def _following(self) -> Path:
        """What was written after the file that has come to its end: more than one may have been rotated away since."""
        assert self._file is not None
        ended, later = os.fstat(self._file.fileno()), []
        for path in self._candidates():
            if not ROTATED.fullmatch(path.name.removeprefix(self._log.name)):
                continue
            with contextlib.suppress(OSError):
                found = path.stat()
                if found.st_ino != ended.st_ino and found.st_mtime_ns > ended.st_mtime_ns:
                    later.append((found.st_mtime_ns, path))
        return min(later)[1] if later else self._log

    def _known(self) -> Place | None:
        try:
            said = json.loads(self._note.read_text())
            return Place(inode=int(said["inode"]), offset=int(said["offset"]), head=str(said["head"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise OSError(
                f"{self._note} does not say where the log was read to ({error}); remove it to begin anew"
            ) from error

    def _truncated(self) -> None:
        """A log that is copied and cut, in place of being renamed, begins anew."""
        assert self._file is not None
        if os.fstat(self._file.fileno()).st_size < self._offset:
            self._offset, self._rest = 0, b""

    def _rotated(self) -> bool:
        try:
            return self._log.stat().st_ino != self._inode
        except FileNotFoundError:
            # It has been moved away, and nobody has written a new one yet.
            return False

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""


def _is(path: Path, place: Place) -> bool:
    """Whether this is the file, and not another that has its number now."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_ino != place.inode:
                return False
            head = bytes.fromhex(place.head)
            return file.read(len(head)) == head and os.fstat(file.fileno()).st_size >= place.offset
    except (OSError, ValueError):
        return False
