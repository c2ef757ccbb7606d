"""Whether a word lies anywhere below a folder: in the bytes of its files, and in what is packed inside them."""

from __future__ import annotations

import sqlite3
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq


def found(folder: Path, *words: str) -> dict[str, set[str]]:
    """Where each word lies, as file names; words that lie nowhere are not named."""
    told: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            for content in contents(path):
                for word in words:
                    if word.encode() in content:
                        told.setdefault(word, set()).add(str(path.relative_to(folder)))
    return told


def contents(path: Path) -> Iterator[bytes]:
    """A file as it is, and its packed parts unpacked."""
    # Not read here: closing a database's file gives up what locks this process has on it, and others may be reading.
    yield subprocess.run(["cat", str(path)], stdout=-1, check=True).stdout if ".db" in path.name else path.read_bytes()
    if path.suffix == ".parquet":
        table = pq.ParquetFile(path).read()
        yield repr(table.to_pylist()).encode()
        yield str(pq.read_metadata(path).to_dict()).encode()
    elif path.suffix == ".db":
        with closing(sqlite3.connect(path)) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    for cell in row:
                        if isinstance(cell, bytes):
                            yield cell
                            try:
                                yield zlib.decompress(cell)
                            except zlib.error:
                                continue
                        elif isinstance(cell, str):
                            yield cell.encode()
