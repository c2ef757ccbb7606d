"""New facts of one rollout, batch by batch: what the lake has that was not read yet, and what has come of age."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow.parquet as pq

from crossfade.judge.measure.tables import FACTS
from crossfade.rim.engine.session import Session, number, reading
from crossfade.rim.lake import Lake

BATCH = 500_000
"""Facts of a kind taken in at once, so that memory stays bounded after a restart."""

TIMED = {"exposed": "at", "outcome": "received_at"}
"""Kinds of which a look knows nothing before their time has come; they are taken in when it has."""


class Rewritten(Exception):
    """What is new cannot be told from what is old any more: everything has to be read again."""


class Part:
    """Some files, or some rows of one."""

    __slots__ = ("files", "rows")

    def __init__(self, files: Sequence[str], rows: tuple[int, int] | None = None) -> None:
        self.files = list(files)
        self.rows = rows

    @property
    def cut(self) -> bool:
        """Whether rows have to be told apart by their place."""
        return self.rows is not None

    def limited(self, where: str) -> str:
        """A condition that also says which rows."""
        if self.rows is None:
            return where
        return f"({where}) AND file_row_number >= {self.rows[0]} AND file_row_number < {self.rows[1]}"


class Reader:
    """Names each file of a lake once."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._read: dict[str, int] = {}

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


class Feed(Reader):
    """Reads each fact of a lake once."""

    def __init__(self, lake: Lake, session: Session, *, without: Sequence[str] = ()) -> None:
        """`without`: columns of exposures that nobody will ask for."""
        super().__init__(lake)
        self._session = session
        self._without = {"exposed": tuple(without)}
        self._early = dict.fromkeys(TIMED, 0)
        for kind in TIMED:
            session.empty(kind, FACTS[kind])
            session.empty(f"early_{kind}", FACTS[kind])

    @property
    def waits(self) -> bool:
        """Whether facts were read whose time has not come."""
        return any(self._early.values())

    @property
    def empty(self) -> bool:
        """Whether the batch that is filled has no fact."""
        return not any(self._count(kind) for kind in TIMED)

    def batches(self, versions: Mapping[str, int], where: Mapping[str, str], now: float) -> Iterator[None]:
        """Fill the tables `exposed` and `outcome` with facts up to `now` that are new, as often as it takes."""
        files = {kind: self.new_files(kind, versions) for kind in TIMED}
        cut = [(kind, part) for kind in TIMED for part in parts(files[kind])]
        self._clear()
        for kind in TIMED:
            self._due(kind, now)
        kinds = [kind for kind, _ in cut]
        if len(kinds) == len(set(kinds)):
            for kind, part in cut:
                self._fill(kind, part, where[kind], now)
            yield
            return
        yield
        for kind, part in cut:
            self._clear()
            self._fill(kind, part, where[kind], now)
            yield

    def _clear(self) -> None:
        for kind in TIMED:
            self._session.run(f"DELETE FROM {kind}")

    def _due(self, kind: str, now: float) -> None:
        if self._early[kind]:
            self._move(f"early_{kind}", kind, f'"{TIMED[kind]}" <= {number(now)}')
            self._early[kind] = self._count(f"early_{kind}")

    def _fill(self, kind: str, part: Part, where: str, now: float) -> None:
        before = self._count(kind)
        without = self._without.get(kind, ())
        told = reading(kind, part.files, part.limited(where), numbered=part.cut, without=without)
        self._session.run(f"INSERT INTO {kind} {told}")
        early = f'"{TIMED[kind]}" > {number(now)}'
        if self._count(kind) > before and self._count(kind, early):
            self._move(kind, f"early_{kind}", early)
            self._early[kind] = self._count(f"early_{kind}")

    def _move(self, source: str, target: str, where: str) -> None:
        self._session.run(f"INSERT INTO {target} SELECT * FROM {source} WHERE {where}")
        self._session.run(f"DELETE FROM {source} WHERE {where}")

    def _count(self, table: str, where: str = "TRUE") -> int:
        # To its end, as a result that is read in part keeps the connection from taking in arrays.
        ((found,),) = self._session.connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchall()
        return int(found)


def parts(files: Sequence[str]) -> list[Part]:
    """Files grouped, and cut where one is large, so that no part has many more facts than BATCH."""
    found: list[Part] = []
    group: list[str] = []
    rows = 0
    for file in files:
        count = pq.read_metadata(file).num_rows
        if count > BATCH:
            found += [Part([file], (low, low + BATCH)) for low in range(0, count, BATCH)]
            continue
        if group and rows + count > BATCH:
            found.append(Part(group))
            group, rows = [], 0
        group.append(file)
        rows += count
    return [*found, *([Part(group)] if group else [])]
