"""What somebody may do to a record who has no key: each way changes one folder a little, and says what it did."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crossfade.ledger import canonical, digest

Lines = list[bytes]


def flipped(content: bytes, rng: random.Random) -> bytes:
    """One bit is another."""
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip(lines: Lines, rng: random.Random) -> Lines:
    place = rng.randrange(len(lines))
    return [*lines[:place], flipped(lines[place], rng), *lines[place + 1 :]]


def drop(lines: Lines, rng: random.Random) -> Lines:
    place = rng.randrange(len(lines))
    return lines[:place] + lines[place + 1 :]


def swap(lines: Lines, rng: random.Random) -> Lines:
    one, other = rng.sample(range(len(lines)), 2)
    changed = list(lines)
    changed[one], changed[other] = changed[other], changed[one]
    return changed


def repeat(lines: Lines, rng: random.Random) -> Lines:
    place = rng.randrange(len(lines))
    return [*lines[: place + 1], *lines[place:]]


def cut(lines: Lines, rng: random.Random) -> Lines:
    return lines[: rng.randrange(len(lines))]


def shorten(lines: Lines, rng: random.Random) -> Lines:
    place = rng.randrange(len(lines))
    return [*lines[:place], lines[place][: rng.randrange(len(lines[place]))], *lines[place + 1 :]]


def rehash(lines: Lines, rng: random.Random) -> Lines:
    """Change what a record says, and give it the hash that it then has."""
    place = rng.randrange(len(lines))
    return [*lines[:place], _again(lines[place], rng), *lines[place + 1 :]]


def rehash_all(lines: Lines, rng: random.Random) -> Lines:
    """The same, and every hash after it: only a signature, or a hash kept elsewhere, tells."""
    place = rng.randrange(len(lines))
    changed = [*lines[:place], _again(lines[place], rng)]
    for line in lines[place + 1 :]:
        record = json.loads(line)
        record["previous"] = json.loads(changed[-1])["hash"]
        record["hash"] = digest(record)
        changed.append(canonical(record))
    return changed


def _again(line: bytes, rng: random.Random) -> bytes:
    record = json.loads(line)
    record["at"] += rng.choice([-60.0, 0.5, 3600.0])
    record["hash"] = digest(record)
    return canonical(record)


Way = Callable[[Lines, random.Random], Lines]

CHAINS: list[Way] = [flip, drop, swap, repeat, cut, shorten, rehash]
"""What may be done to a chain of records."""


def edited(file: Path, rng: random.Random) -> None:
    """A Parquet file that is written anew with another value in one row."""
    table = pq.ParquetFile(file).read()
    names = [field.name for field in table.schema if pa.types.is_floating(field.type) and len(table)]
    name = rng.choice(names)
    column, row = table.column(name), rng.randrange(len(table))
    mask = pa.array([n == row for n in range(len(table))])
    table = table.set_column(table.schema.get_field_index(name), name, pc.if_else(mask, pc.add(column, 1.0), column))
    pq.write_table(table, file, compression="zstd")


def touch_file(file: Path, rng: random.Random) -> str:
    """A data file: one flipped bit, a piece cut off, bytes put on, another value in it, or gone."""
    content = file.read_bytes()
    how = rng.choice(["flip", "cut", "more", "edit", "gone"])
    match how:
        case "flip":
            file.write_bytes(flipped(content, rng))
        case "cut":
            file.write_bytes(content[: rng.randrange(len(content))])
        case "more":
            file.write_bytes(content + b"\0" * rng.randrange(1, 9))
        case "edit":
            edited(file, rng)
        case "gone":
            file.unlink()
    return f"{how} {file.name}"


@contextmanager
def restored(file: Path) -> Iterator[None]:
    """What is done to a file is undone."""
    content = file.read_bytes()
    try:
        yield
    finally:
        file.write_bytes(content)


def rows(data: Path, table: str) -> Lines:
    """A chain in a data folder."""
    column = "entry" if table == "ledger" else "seal"
    with sqlite3.connect(data / "state.db") as connection:
        return [text.encode() for (text,) in connection.execute(f"SELECT {column} FROM {table} ORDER BY n")]


def write_rows(data: Path, table: str, lines: Lines, rollout: str) -> None:
    """Put a chain in the place of another, with what bytes it has."""
    with sqlite3.connect(data / "state.db") as connection:
        connection.execute(f"DELETE FROM {table}")
        for n, line in enumerate(lines, start=1):
            # SQLite keeps any bytes as text; whoever reads them sees whether they are.
            if table == "ledger":
                told = (rollout, n, line)
                connection.execute("INSERT INTO ledger VALUES (?, ?, CAST(? AS TEXT))", told)
            else:
                connection.execute("INSERT INTO seals VALUES (?, CAST(? AS TEXT))", (n, line))
