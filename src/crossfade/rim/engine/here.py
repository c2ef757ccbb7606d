"""DuckDB as an engine: it runs in this process and reads the lake's files where they lie."""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.tables import FACTS, Expr
from crossfade.rim.engine.backend import Build, Key
from crossfade.rim.engine.session import Session, compiled, reading, sql


class Here:
    """Questions put to a session of DuckDB."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._facts: dict[str, str] = {}
        """What each name of facts stands for: a view of files, or an empty table."""

    def facts(self, name: str, kind: str, files: Sequence[str]) -> None:
        """Let questions read what these files of the lake hold under a name."""
        before, self._facts[name] = self._facts.get(name), "VIEW" if files else "TABLE"
        if before is not None:
            self.session.run(f"DROP {before} {name}")
        if files:
            self.session.run(f"CREATE VIEW {name} AS {reading(kind, files)}")
        else:
            self.session.empty(name, FACTS[kind])

    def look(self, rollout: str, stage: int, mode: str, since: float, now: float) -> None:
        """Say what is looked at."""
        self.session.look(rollout, stage, mode, since, now)

    def view(self, name: str, key: Key | None, build: Build) -> None:
        """Let questions read an expression under a name."""
        told = sql(build()) if key is None else compiled(key, build)
        self.session.run(f"CREATE OR REPLACE VIEW {name} AS {told}")

    def keep(self, name: str, key: Key, build: Build, *, as_written: bool = False) -> None:
        """Keep the rows of a question under a name."""
        self.session.table(name, compiled(key, build), as_written=as_written)

    def empty(self, name: str, table: Expr) -> None:
        """An empty table with the columns of an unbound one."""
        self.session.empty(name, table)

    def rows(self, key: Key, build: Build) -> Rows:
        """The rows of a question as columns."""
        return self.session.rows(compiled(key, build))

    def close(self) -> None:
        """Free the memory."""
        self.session.close()
