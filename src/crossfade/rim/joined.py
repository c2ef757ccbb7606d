"""Recorded replies in files, joined by id in bounded memory, in whatever order each file is.

Lines are matched as they come; what waits for its partner is kept up to a limit. Beyond it everything goes to
scratch files by the hash of its id, and each part is then joined by itself. What is kept for good is 8 bytes an id, at
most half full, to notice ids that come twice.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec
import xxhash

WAITING = 64 * 2**20
"""Bytes of replies that may wait for their partners in memory."""

MOST_LINE = 32 * 2**20
"""Bytes of one line."""

BAD_TOLD = 20
"""Bad lines of one file that are told one by one; all are counted."""

_PARTS = (8, 96)
"""Fewest and most scratch files of one source."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no reply."""

    file: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.problem}"


@dataclass(slots=True)
class Source:
    """One file and what came of it."""

    path: Path
    lines: int = 0
    bad: int = 0
    told: list[BadLine] = field(default_factory=list)
    duplicates: int = 0
    """Lines whose id had come before; the first counts."""
    unmatched: int = 0
    """Ids that the other file does not have."""

    def refuse(self, problem: str) -> None:
        """Count the present line as bad."""
        self.bad += 1
        if len(self.told) < BAD_TOLD:
            self.told.append(BadLine(str(self.path), self.lines, problem))


class Reply(msgspec.Struct, frozen=True):
    """One recorded reply: JSON, or why there was none."""

    body: bytes
    error: str = ""


class _Line(msgspec.Struct, gc=False):
    id: Any = None
    response: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


_line = msgspec.json.Decoder(_Line)
_packed = msgspec.msgpack.Decoder(tuple[str, Reply])
_pack = msgspec.msgpack.Encoder().encode
_Row = tuple[str, Reply]


class Joined:
    """An iteration over (id, one reply a source), each id once. Champion and challenger come first, the noise third.

    A third source may lack an id, which gives None in its place; an id that one of the first two lacks is unmatched.
    """

    def __init__(self, paths: Sequence[Path], *, waiting: int = WAITING) -> None:
        self.sources = [Source(path) for path in paths]
        self._limit = waiting
        self._waiting: dict[str, list[Reply | None]] = {}
        self._bytes = 0
        self._done = _Ids()
        self.spilled = False
        """Whether scratch files were needed."""

    def __iter__(self) -> Iterator[tuple[str, list[Reply | None]]]:
        with ExitStack() as stack:
            readers = [(at, _read(source, stack)) for at, source in enumerate(self.sources)]
            while readers:
                open_still = []
                for at, reader in readers:
                    row = next(reader, None)
                    if row is None:
                        continue
                    open_still.append((at, reader))
                    complete = self._take(at, *row)
                    if complete is not None:
                        yield complete
                readers = open_still
                if self._bytes > self._limit and readers:
                    yield from self._through_scratch(readers)
                    return
            yield from self._rest()

    def _take(self, at: int, name: str, reply: Reply) -> tuple[str, list[Reply | None]] | None:
        """Keep a reply until its partners have come."""
        entry = self._waiting.get(name)
        if entry is None:
            if name in self._done:
                self.sources[at].duplicates += 1
                return None
            entry = self._waiting[name] = [None] * len(self.sources)
        elif entry[at] is not None:
            self.sources[at].duplicates += 1
            return None
        entry[at] = reply
        self._bytes += len(reply.body) + 200  # about what the objects around it take
        if None in entry:
            return None
        del self._waiting[name]
        self._bytes -= sum(len(one.body) + 200 for one in entry if one is not None)
        self._done.add(name)
        return name, entry

    def _rest(self) -> Iterator[tuple[str, list[Reply | None]]]:
        """What no partner came for; a pair that lacks only its noise is a pair."""
        waiting, self._waiting, self._bytes = self._waiting, {}, 0
        for name, entry in waiting.items():
            if entry[0] is not None and entry[1] is not None:
                self._done.add(name)
                yield name, entry
            else:
                for source, reply in zip(self.sources, entry, strict=True):
                    source.unmatched += reply is not None

    def _through_scratch(self, readers: list[tuple[int, Iterator[_Row]]]) -> Iterator[tuple[str, list[Reply | None]]]:
        self.spilled = True
        total = sum(source.path.stat().st_size for source in self.sources)
        parts = min(max(2 * total // max(self._limit, 1) + 1, _PARTS[0]), _PARTS[1])
        with tempfile.TemporaryDirectory(prefix="crossfade-compare-") as folder, ExitStack() as stack:
            scratch = [
                [stack.enter_context(Path(folder, f"{at}-{part}").open("w+b")) for part in range(parts)]
                for at in range(len(self.sources))
            ]
            waiting, self._waiting, self._bytes = self._waiting, {}, 0
            for name, entry in waiting.items():
                for at, reply in enumerate(entry):
                    if reply is not None:
                        _keep(scratch[at][_hash(name) % parts], (name, reply))
            del waiting
            for at, reader in readers:
                for name, reply in reader:
                    if name in self._done:
                        self.sources[at].duplicates += 1
                    else:
                        _keep(scratch[at][_hash(name) % parts], (name, reply))
            for part in range(parts):
                for at, files in enumerate(scratch):
                    for name, reply in _kept(files[part]):
                        complete = self._take(at, name, reply)
                        if complete is not None:
                            yield complete
                yield from self._rest()


def _keep(file: IO[bytes], row: _Row) -> None:
    packed = _pack(row)
    file.write(len(packed).to_bytes(4, "little"))
    file.write(packed)


def _kept(file: IO[bytes]) -> Iterator[_Row]:
    file.seek(0)
    while size := file.read(4):
        yield _packed.decode(file.read(int.from_bytes(size, "little")))


def _hash(name: str) -> int:
    return xxhash.xxh3_64_intdigest(name.encode(errors="surrogatepass"))


def _read(source: Source, stack: ExitStack) -> Iterator[_Row]:
    """The replies of a file: JSON lines, also gzipped, or Parquet with columns `id` and `response`."""
    if source.path.suffix == ".parquet":
        yield from _read_parquet(source)
        return
    opener: Any = gzip.open if source.path.suffix == ".gz" else open
    file = stack.enter_context(opener(source.path, "rb"))
    for line in _lines(source, file):
        row = _row(source, line)
        if row is not None:
            yield row


def _lines(source: Source, file: IO[bytes]) -> Iterator[bytes]:
    while True:
        try:
            line = file.readline(MOST_LINE)
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            source.lines += 1
            source.refuse(f"the file ends here: {error}")
            return
        if not line:
            return
        source.lines += 1
        if len(line) == MOST_LINE and not line.endswith(b"\n"):
            source.refuse(f"longer than {MOST_LINE // 2**20} MiB")
            while line and not line.endswith(b"\n"):
                line = file.readline(MOST_LINE)
            continue
        line = line.strip()
        if source.lines == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line:
            yield line


def _row(source: Source, line: bytes) -> _Row | None:
    try:
        found = _line.decode(line)
        body = bytes(found.response)
    except (ValueError, RecursionError) as error:
        # Python's own encoder writes bare NaN, which is not JSON and just what is looked for here.
        try:
            loose = json.loads(line)
        except (ValueError, RecursionError):
            source.refuse(f"not JSON: {error}")
            return None
        if not isinstance(loose, dict):
            source.refuse(f"expected an object with `id` and `response`, found {_kind(loose)}")
            return None
        found = _Line(id=loose.get("id"), error=loose.get("error"))
        body = json.dumps(loose["response"]).encode() if "response" in loose else b""
    name = found.id
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        source.refuse("no `id`" if name is None else f"`id` is {_kind(name)}; expected a text or a number")
        return None
    if not body:
        if found.error is None:
            source.refuse("no `response`")
            return None
        return str(name), Reply(b"", str(found.error)[:200] or "error")
    return str(name), Reply(body)


def _read_parquet(source: Source) -> Iterator[_Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source.path) as file:
            for batch in file.iter_batches(batch_size=1024, columns=["id", "response"]):
                for row in batch.to_pylist():
                    source.lines += 1
                    name, response = row.get("id"), row.get("response")
                    if name is None or isinstance(name, bool) or not isinstance(name, str | int | float):
                        source.refuse("no `id`")
                    elif isinstance(response, str):
                        yield str(name), Reply(_as_json(response))
                    else:
                        yield str(name), Reply(json.dumps(response, default=str).encode())
    except (pa.ArrowException, OSError) as error:
        source.lines += 1
        source.refuse(f"not Parquet with columns id and response: {error}")


def _as_json(text: str) -> bytes:
    """A text column holds JSON, or a text that is the reply itself."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return json.dumps(text).encode()
    return text.encode()


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "true or false"}
    return names.get(type(value), "a number")


class _Ids:
    """A set of ids by their 64-bit hashes, open addressing in one flat array. Two of a billion may be mistaken."""

    __slots__ = ("_count", "_mask", "_slots")

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._mask = 1023
        self._count = 0

    def __contains__(self, name: str) -> bool:
        if not self._count:
            return False
        return self._slots[self._find(_hash(name) or 1)] != 0

    def add(self, name: str) -> None:
        """Keep an id."""
        key = _hash(name) or 1
        at = self._find(key)
        if self._slots[at]:
            return
        self._slots[at] = key
        self._count += 1
        if 2 * self._count > self._mask:
            old = self._slots
            self._slots = array("Q", bytes(16 * len(old)))
            self._mask = len(self._slots) - 1
            for held in old:
                if held:
                    self._slots[self._find(held)] = held

    def _find(self, key: int) -> int:
        at = key & self._mask
        slots, mask = self._slots, self._mask
        while slots[at] and slots[at] != key:
            at = (at + 1) & mask
        return at
