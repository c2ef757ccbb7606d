"""What seals say of the lake: the digest and the rows of a data file, and one digest of the log of a version."""

from __future__ import annotations

import hashlib
import io
import re

import pyarrow as pa
import pyarrow.parquet as pq

from crossfade.ledger import SealedFile
from crossfade.rim.lake_place import LakeError, Place

_ENTRY = re.compile(r"_delta_log/(\d{20})(\.json|\.checkpoint.*\.parquet)$")


def describe(content: bytes, name: str) -> SealedFile:
    """A data file by its content. Raises LakeError when it is none."""
    try:
        rows = pq.read_metadata(io.BytesIO(content)).num_rows
    except (pa.ArrowException, OSError) as error:
        raise LakeError(f"{name} is no Parquet file: {error}") from error
    return SealedFile(sha256=hashlib.sha256(content).hexdigest(), rows=rows)


def log_versions(place: Place, kind: str) -> list[tuple[int, str]]:
    """The files of a table's log with the version that each is about."""
    told = ((_ENTRY.search(entry.name), entry.name) for entry in place.log(kind))
    return [(int(found[1]), name) for found, name in told if found is not None]


def segment(place: Place, kind: str, version: int) -> list[str]:
    """The files of a table's log from which a version is read: a checkpoint and what follows it."""
    found: dict[int, list[str]] = {}
    base = 0
    for entry in place.log(kind):
        told = _ENTRY.search(entry.name)
        if told is not None and int(told[1]) <= version:
            found.setdefault(int(told[1]), []).append(entry.name)
            if told[2] != ".json":
                base = max(base, int(told[1]))
    return sorted(name for at, names in found.items() if at >= base for name in names)


def log_digest(place: Place, kind: str, version: int) -> str:
    """SHA-256 over the digests and names of `segment`. Raises LakeError."""
    root = hashlib.sha256(f"{kind} {version}\n".encode())
    for name in segment(place, kind, version):
        root.update(f"{hashlib.sha256(place.read(kind, name)).hexdigest()} {name}\n".encode())
    return root.hexdigest()
