"""Facts on their way from one host to another: a journal's batches, as they lie in it, as one object below the lake.

A parcel is named for the journal it is from and the rows it holds, so one that is sent again says the same, and whoever
unpacks it can tell what is new.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from crossfade.rim.batches import JournalError, Raw

PLACE = "journals"
"""Where parcels lie, beside the tables."""

_NAME = re.compile(r"(?P<journal>[^/]+)/(?P<first>\d{20})-(?P<last>\d{20})\.parcel")

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[tuple[int, int, int, bytes]])


@dataclass(frozen=True, slots=True, order=True)
class Parcel:
    """Which rows of which journal."""

    journal: str
    """The journal's name and identity."""
    first: int
    last: int

    @property
    def name(self) -> str:
        """The object's name below `PLACE`."""
        return f"{self.journal}/{self.first:020d}-{self.last:020d}.parcel"


def parcel(name: str) -> Parcel | None:
    """What an object's name says; None for one that is no parcel."""
    found = _NAME.fullmatch(name)
    return Parcel(found["journal"], int(found["first"]), int(found["last"])) if found else None


def packed(rows: Sequence[Raw]) -> bytes:
    """Rows with a checksum before them."""
    content = _ENCODER.encode([(row.id, row.facts, row.packed, row.blob) for row in rows])
    return zlib.crc32(content).to_bytes(4, "big") + content


def unpacked(name: str, content: bytes) -> list[Raw]:
    """The rows of a parcel. Raises JournalError for one that was damaged."""
    if zlib.crc32(content[4:]).to_bytes(4, "big") != content[:4]:
        raise JournalError(f"the parcel {PLACE}/{name} was damaged on its way: its checksum is another")
    return [Raw(*row) for row in _DECODER.decode(content[4:])]
