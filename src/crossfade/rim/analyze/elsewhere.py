"""Tables of an analysis that lie in another engine, by name: the query by unit runs there, and its rows come here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

import ibis

from crossfade.judge.analysis.asked import AnalysisError
from crossfade.rim.analyze.sources import Expr
from crossfade.rim.engine.backend import EngineError, short
from crossfade.rim.engine.elsewhere import HERE, chosen


@contextmanager
def tables(engine: str | None) -> Iterator[Callable[[str], Expr] | None]:
    """Finds tables by name in an engine; None where that is the one that reads files here. Raises AnalysisError."""
    try:
        told = chosen(engine) if engine is not None else HERE
        opener = _OPEN[told.partition(":")[0]]
        found = None if opener is None else opener(told)
    except EngineError as error:
        raise AnalysisError(str(error), "leave --engine out to read files here") from None
    if found is None:
        yield None
        return
    try:
        yield found[0]
    finally:
        found[1]()


Found = tuple[Callable[[str], Expr], Callable[[], None]]


def _postgresql(address: str) -> Found:
    import psycopg

    try:
        connection = ibis.postgres.from_connection(psycopg.connect(address, connect_timeout=10))
    except psycopg.Error as error:
        raise AnalysisError(
            f"PostgreSQL cannot be reached: {short(error)}", "give the password in PGPASSWORD"
        ) from None

    def table(name: str) -> Expr:
        schema, _, last = name.rpartition(".")
        try:
            return connection.table(last, database=schema or None)
        except Exception as error:
            raise _missing(name, "PostgreSQL", connection.list_tables(), error) from None

    return table, connection.disconnect


def _spark(engine: str) -> Found:
    from crossfade.rim.engine.elsewhere.spark import session

    running = session(engine)
    connection = ibis.pyspark.connect(running)

    def table(name: str) -> Expr:
        form = PurePath(name).suffix.lower()
        try:
            if form == ".parquet" or "://" in name or PurePath(name).is_absolute():
                return connection.read_parquet(name)
            schema, _, last = name.rpartition(".")
            return connection.table(last, database=schema or None)
        except Exception as error:
            raise _missing(name, "Spark", connection.list_tables(), error) from None

    return table, running.stop


def _clickhouse(engine: str) -> Found:
    raise AnalysisError(
        "an analysis cannot be asked of clickhouse:local, which has no tables of its own",
        "name postgresql://… or spark://…, or leave --engine out to read files here",
    )


_OPEN: dict[str, Callable[[str], Found] | None] = {
    HERE: None,
    "postgresql": _postgresql,
    "spark": _spark,
    "clickhouse": _clickhouse,
}


def _missing(name: str, where: str, there: list[str], error: Any) -> AnalysisError:
    known = f"its tables are {', '.join(sorted(there)[:20])}" if there else "it has no tables"
    path = "; a path to Parquet ends with .parquet or is a URL" if where == "Spark" else ""
    return AnalysisError(f"{where} has no table {name}: {short(error)}", f"{known}{path}")
