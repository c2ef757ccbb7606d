"""Where the lake's tables lie: in the data folder, or below a URL of an object store.

Object stores are reached by the table library itself, with what it finds in the environment (`AWS_ACCESS_KEY_ID`,
`AWS_REGION`, `AWS_ENDPOINT_URL`, …), so that no secret is ever written beside the data. Files of a table never change,
so those of an object store are fetched once and then read from the disk.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from crossfade.rim import store_address
from crossfade.rim.lake_columns import SCHEMAS

FOLDER = "lake"

POINTER = "location"
"""Names the URL, in the lake's folder, where the tables are elsewhere."""

COPIES = "copies"
"""Folder of what was fetched."""

CHECKPOINT = "10"
"""Commits from one checkpoint of a table in an object store to the next."""

SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss")


class LakeError(Exception):
    """The lake cannot be read or written; the message says why."""


def settle(data: Path, url: str) -> None:
    """Let the tables of a data folder lie below a URL from now on. Raises LakeError when they lie elsewhere already."""
    url = url.rstrip("/")
    found = re.fullmatch(r"([a-z0-9]+)://[^/\s]+(/\S*)?", url)
    if found is None or found[1] not in SCHEMES:
        allowed = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise LakeError(f"{url!r} is no URL of an object store; write s3://BUCKET/PREFIX (allowed: {allowed})")
    folder = data / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    present = location(data)
    if present == url:
        return
    if present is not None:
        raise LakeError(f"the facts of {data} lie in {present}; one data folder has one lake, so serve into another")
    if any(folder.glob("*/_delta_log")):
        raise LakeError(f"the facts of {data} lie in {folder} already; serve into another folder, or move them first")
    _probe(url)
    pending = folder / f".{POINTER}-{uuid.uuid4().hex}"
    pending.write_text(url + "\n")
    os.replace(pending, folder / POINTER)


def location(data: Path) -> str | None:
    """The URL below which the tables lie; None when they are in the data folder."""
    try:
        return (data / FOLDER / POINTER).read_text().strip()
    except FileNotFoundError:
        return None


def here(data: Path) -> bool:
    """Whether a data folder has tables, knows where they are, or has a store of its own, whose facts belong in it."""
    return location(data) is not None or any((data / FOLDER).glob("*/_delta_log")) or store_address.server() is None


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a table, and when it was last written."""

    name: str
    at: float


class Place:
    """The files of the tables of one data folder, by the table's kind and their path below it."""

    def __init__(self, data: Path) -> None:
        # Whole and free of links, as the table library names files: names below a table are what is left of that.
        self.folder = (data / FOLDER).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.url = location(data)
        self._stores: dict[str, Any] = {}

    def uri(self, kind: str) -> str:
        """What the table library opens."""
        return str(self.folder / kind) if self.url is None else f"{self.url}/{kind}"

    def name(self, kind: str, uri: str) -> str:
        """The path below its table of a file that the table library names."""
        return unquote(uri).removeprefix(self.uri(kind)).lstrip("/")

    def local(self, kind: str, name: str) -> Path:
        """A file on this machine's disk. Raises LakeError."""
        if self.url is None:
            return self.folder / kind / name
        copy = self.folder / COPIES / kind / name
        if not copy.exists():
            content = self.read(kind, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            pending = copy.with_name(f".{uuid.uuid4().hex}")
            pending.write_bytes(content)
            os.replace(pending, copy)
        return copy

    def read(self, kind: str, name: str) -> bytes:
        """A file from where it lies, not from a copy. Raises LakeError."""
        try:
            if self.url is None:
                return (self.folder / kind / name).read_bytes()
            with self._store(kind).open_input_file(name) as file:
                return bytes(file.read())
        except OSError as error:
            raise LakeError(f"cannot read {self.uri(kind)}/{name}: {_short(error)}") from error

    def log(self, kind: str) -> list[Entry]:
        """The files of a table's log."""
        if self.url is None:
            files = (self.folder / kind / "_delta_log").glob("*")
            return [Entry(f"_delta_log/{path.name}", path.stat().st_mtime) for path in files if path.is_file()]
        from pyarrow.fs import FileSelector

        try:
            found = self._store(kind).get_file_info(FileSelector("_delta_log"))
        except OSError as error:
            raise LakeError(f"cannot list {self.uri(kind)}/_delta_log: {_short(error)}") from error
        return [Entry(info.path, info.mtime.timestamp()) for info in found if info.is_file]

    def data(self, kind: str) -> list[str]:
        """Every data file below a table, whether a version of it names that or not."""
        return [name for name in self.names(kind) if name.endswith(".parquet") and not name.startswith("_delta_log")]

    def names(self, kind: str) -> list[str]:
        """Every file below one of the lake's folders. Raises LakeError."""
        if self.url is None:
            folder = self.folder / kind
            return sorted(str(path.relative_to(folder)) for path in folder.glob("**/*") if path.is_file())
        from pyarrow.fs import FileSelector

        try:
            chosen = FileSelector("", recursive=True, allow_not_found=True)
            return sorted(info.path.lstrip("/") for info in self._store(kind).get_file_info(chosen) if info.is_file)
        except OSError as error:
            raise LakeError(f"cannot list {self.uri(kind)}: {_short(error)}") from error

    def write(self, kind: str, name: str, content: bytes, *, fresh: bool = False) -> None:
        """Write a file whole or not at all; a `fresh` one must not be there yet. Raises LakeError."""
        try:
            if self.url is not None:
                # pyarrow would hand its own buffers to a writer that takes bytes alone.
                out = self._store(kind).handler._handler.open_output_stream(name, None)
                out.write(content)
                out.close()
                return
            target = self.folder / kind / name
            draft = target.with_name(f".{uuid.uuid4().hex}.tmp")
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if fresh:
                os.link(draft, target)
                draft.unlink()
            else:
                os.replace(draft, target)
        except OSError as error:
            raise LakeError(f"cannot write {self.uri(kind)}/{name}: {_short(error)}") from error

    def remove(self, kind: str, name: str) -> None:
        """Delete a file that no reader needs."""
        if self.url is None:
            (self.folder / kind / name).unlink(missing_ok=True)
        else:
            with contextlib.suppress(OSError):
                self._store(kind).delete_file(name)
            (self.folder / COPIES / kind / name).unlink(missing_ok=True)

    def drop_copies(self, kind: str, needed: Collection[str], *, older_than: float) -> None:
        """Delete copies that are in nobody's way any more but on the disk."""
        folder = self.folder / COPIES / kind
        for copy in folder.glob("**/*") if folder.is_dir() else ():
            if (
                copy.is_file()
                and str(copy.relative_to(folder)) not in needed
                and time.time() - copy.stat().st_mtime > older_than
            ):
                copy.unlink(missing_ok=True)

    def _store(self, kind: str) -> Any:
        if kind not in self._stores:
            from deltalake.fs import DeltaStorageHandler
            from pyarrow.fs import PyFileSystem

            self._stores[kind] = PyFileSystem(DeltaStorageHandler(self.uri(kind)))
        return self._stores[kind]


def create(uri: str, kind: str, options: dict[str, str] | None = None) -> None:
    """Make a table, where there is none.

    A log in an object store is read by one request an entry, so that few may follow a checkpoint: whoever comes to lead
    reads it before anything else.
    """
    often = {"delta.checkpointInterval": CHECKPOINT} if "://" in uri else None
    DeltaTable.create(uri, SCHEMAS[kind], mode="ignore", configuration=often, storage_options=options)


def _probe(url: str) -> None:
    """Make the first table, so that what is wrong shows at the start and not in a log."""
    try:
        options = {"timeout": "10s", "max_retries": "1", "retry_timeout": "10s"}
        create(f"{url}/exposed", "exposed", options)
    except (DeltaError, OSError, ValueError) as error:
        raise LakeError(
            f"cannot write below {url}: {_short(error)}; see that the bucket exists and that the environment says how "
            "to reach it (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION; AWS_ENDPOINT_URL where it is not AWS)"
        ) from error


def _short(error: Exception) -> str:
    """The first line of what a store says, which may go on for pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
