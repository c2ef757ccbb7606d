"""New facts of one rollout, batch by batch: what the lake has that was not read yet, and what has come of age."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow.parquet as pq

from crossfade.judge.measure.tables import FACTS
from crossfade.rim.engine.session import Session, reading
from crossfade.rim.lake import Lake

BATCH = 500_000
"""Facts of a kind taken in at once, so that memory stays bounded after a restart."""

TIMED = {"exposed": "at", "outcome": "received_at"}
"""Kinds of which a look knows nothing before their time has come; they are taken in when it has."""


class Rewritten(Exception):
    """What is new cannot be told from what is old any more: everything has to be read again."""


class _Part:
    """Some files, or some rows of one."""

    __slots__ = ("files", "rows")

    def __init__(self, files: Sequence[str], rows: tuple[int, int] | None = None) -> None:
        self.files = list(files)
        self.rows = rows


class Feed:
    """Reads each fact of a lake once."""

    def __init__(self, lake: Lake, session: Session) -> None:
        self._lake = lake
        self._session = session
        self._read: dict[str, int] = {}
        self._early = dict.fromkeys(TIMED, 0)
        for kind in TIMED:
            session.empty(kind, FACTS[kind])
            session.empty(f"early_{kind}", FACTS[kind])

    def new_files(self, kind: str, versions: Mapping[str, int]) -> list[str]:
        """Files with facts that were not read yet. Raises Rewritten."""
        version, have = versions.get(kind), self._read.get(kind)
        if version is None or version == have:
            return []
        files = self._lake.files(kind, version) if have is None else None
        if have is not None and have < version:
            files = self._lake.added(kind, have, version)
        if files is None:
            raise Rewritten
        self._read[kind] = version
        return files

    def batches(self, versions: Mapping[str, int], where: Mapping[str, str], now: float) -> Iterator[None]:
        """Fill the tables `exposed` and `outcome` with facts up to `now` that are new, as often as it takes."""
        files = {kind: self.new_files(kind, versions) for kind in TIMED}
        parts = [(kind, part) for kind in TIMED for part in _parts(files[kind])]
        self._clear()
        for kind in TIMED:
            self._due(kind, now)
        kinds = [kind for kind, _ in parts]
        if len(kinds) == len(set(kinds)):
            for kind, part in parts:
                self._fill(kind, part, where[kind], now)
            yield
            return
        yield
        for kind, part in parts:
            self._clear()
            self._fill(kind, part, where[kind], now)
            yield

    def _clear(self) -> None:
        for kind in TIMED:
            self._session.run(f"DELETE FROM {kind}")

    def _due(self, kind: str, now: float) -> None:
        if self._early[kind]:
            time = f"\"{TIMED[kind]}\" <= '{now!r}'::DOUBLE"
            self._session.run(f"INSERT INTO {kind} SELECT * FROM early_{kind} WHERE {time}")
            self._session.run(f"DELETE FROM early_{kind} WHERE {time}")
            self._early[kind] = self._count(f"early_{kind}")

    def _fill(self, kind: str, part: _Part, where: str, now: float) -> None:
        time, limits = f'"{TIMED[kind]}"', ""
        if part.rows is not None:
            limits = f" AND file_row_number >= {part.rows[0]} AND file_row_number < {part.rows[1]}"
        source = reading(kind, part.files, f"({where}){limits}", numbered=part.rows is not None)
        self._session.table("arriving", source)
        self._session.run(f"INSERT INTO {kind} SELECT * FROM arriving WHERE {time} <= '{now!r}'::DOUBLE")
        self._session.run(f"INSERT INTO early_{kind} SELECT * FROM arriving WHERE {time} > '{now!r}'::DOUBLE")
        self._early[kind] = self._count(f"early_{kind}")
        self._session.run("DROP TABLE arriving")

    def _count(self, table: str) -> int:
        found = self._session.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(found[0]) if found else 0


def _parts(files: Sequence[str]) -> list[_Part]:
    """Files grouped, and cut where one is large, so that no part has many more facts than BATCH."""
    parts: list[_Part] = []
    group: list[str] = []
    rows = 0
    for file in files:
        count = pq.read_metadata(file).num_rows
        if count > BATCH:
            parts += [_Part([file], (low, low + BATCH)) for low in range(0, count, BATCH)]
            continue
        if group and rows + count > BATCH:
            parts.append(_Part(group))
            group, rows = [], 0
        group.append(file)
        rows += count
    return [*parts, *([_Part(group)] if group else [])]
