"""Questions in SQL about the sealed facts of one rollout, for who wants to see where a number comes from.

A question sees tables only: one a kind of fact, `ledger`, and `moves`. It can read no other file and change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from crossfade.ledger import Entry
from crossfade.rim.lake_columns import SCHEMAS
from crossfade.rim.record import AnyRecord
from crossfade.rim.replaying import Facts, chains

MEMORY = "1GB"


class CannotAsk(Exception):
    """The question cannot be answered; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Rows, as JSON can say them."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def to_json(self) -> dict[str, Any]:
        """The record for programs."""
        return {"schema": "crossfade.facts/1", "columns": list(self.columns), "rows": [list(row) for row in self.rows]}


def files_of(record: AnyRecord) -> tuple[list[Entry], dict[str, list[str]]]:
    """The ledger, and the files of everything that was sealed. Raises LakeError or StoreError."""
    entries, seals = chains(record)
    facts = Facts(record, seals)
    facts.last()
    return entries, {kind: facts.files(kind) for kind in facts.versions()}


class Questions:
    """Tables of one rollout, for any number of questions."""

    def __init__(self, name: str, entries: Sequence[Entry], files: Mapping[str, Sequence[str]]) -> None:
        """Raises CannotAsk where a file cannot be read."""
        self._connection = duckdb.connect(":memory:", config={"threads": 2, "memory_limit": MEMORY})
        try:
            for kind, schema in SCHEMAS.items():
                self._table(kind, schema, files.get(kind, ()), name)
            self._ledger(entries)
            # From here on a question reaches these files, and nothing else of this machine.
            told = ", ".join(_text(file) for each in files.values() for file in each)
            self._connection.execute(f"SET allowed_paths = [{told}]")
            self._connection.execute("SET enable_external_access = false")
            self._connection.execute("SET lock_configuration = true")
        except duckdb.Error as error:
            self.close()
            said = str(error).splitlines()[0]
            raise CannotAsk(f"the facts cannot be read: {said}; see `crossfade verify`") from error

    def ask(self, sql: str) -> Answer:
        """The rows of one SELECT. Raises CannotAsk."""
        try:
            statements = self._connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise CannotAsk("only one question can be asked, and it begins with SELECT")
            found = self._connection.execute(statements[0])
            columns = [str(column[0]) for column in found.description or ()]
            return Answer(columns=columns, rows=[[_plain(value) for value in row] for row in found.fetchall()])
        except duckdb.Error as error:
            raise CannotAsk(str(error).strip()) from error

    def tables(self) -> Answer:
        """Each table with its rows and columns."""
        rows = []
        for kind in (*SCHEMAS, "ledger", "moves"):
            told = self.ask(f"SELECT count(*) FROM {kind}").rows[0][0]
            columns = [row[0] for row in self._connection.execute(f"DESCRIBE {kind}").fetchall()]
            rows.append([kind, told, ", ".join(columns)])
        return Answer(columns=["table", "rows", "columns"], rows=rows)

    def close(self) -> None:
        """Let go of what is open."""
        self._connection.close()

    def _table(self, kind: str, schema: pa.Schema, files: Sequence[str], name: str) -> None:
        if not files:
            empty = schema.empty_table()  # noqa: F841  (DuckDB finds it by its name)
            self._connection.execute(f"CREATE TABLE {kind} AS SELECT * FROM empty")
            return
        told = ", ".join(map(_text, files))
        # What names no rollout, such as a lease or an outcome by its decision, may be of this one too.
        of = f" WHERE rollout IN ({_text(name)}, '')" if "rollout" in schema.names else ""
        source = f"read_parquet([{told}], union_by_name = true)"
        self._connection.execute(f"CREATE VIEW {kind} AS SELECT * FROM {source}{of}")

    def _ledger(self, entries: Sequence[Entry]) -> None:
        self._connection.execute(
            'CREATE TABLE ledger (n INT, "at" DOUBLE, kind TEXT, move TEXT, rule TEXT, actor TEXT, sentence TEXT)'
        )
        for e in entries:
            row = [e.n, e.at, e.kind, e.move, e.rule, e.actor, e.sentence]
            self._connection.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self._connection.execute(
            'CREATE VIEW moves AS SELECT n, "at", coalesce(lead("at") OVER (ORDER BY n), \'infinity\') AS until, move, '
            "rule, actor FROM ledger WHERE move IS NOT NULL"
        )


def ask(record: AnyRecord, sql: str | None) -> Answer:
    """The answer to one question; without one, which tables there are. Raises CannotAsk, LakeError, StoreError."""
    entries, files = files_of(record)
    questions = Questions(record.told.name, entries, files)
    try:
        return questions.tables() if sql is None else questions.ask(sql)
    finally:
        questions.close()


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, bool | int | str) or value is None else str(value)
