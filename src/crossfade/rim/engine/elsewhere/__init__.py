"""Engines other than DuckDB: which there are, how an operator names one, and how it is reached.

Each is asked the same expressions as DuckDB and keeps nothing when it is let go of: what it was lent are temporary
tables and views of one connection, so that there is nothing there to forget, and no right needed but to make those.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.util import find_spec

from crossfade.rim.engine.backend import Backend, EngineError
from crossfade.rim.extras import install

VARIABLE = "CROSSFADE_ENGINE"
"""Names the engine where no option does."""

HERE = "duckdb"
"""The engine that everybody has: it runs in the process that asks."""

FORMS = "duckdb, postgresql://USER@HOST/DATABASE, spark://HOST:PORT, spark:local[CORES] or clickhouse:local"
"""What can be written."""

_SPARK = re.compile(r"spark://[^/\s]+|spark:(local(\[[^\]]+\])?|local-cluster\[[^\]]+\]|yarn|k8s://\S+)")
_EXTRAS = {"postgresql": ("psycopg", "postgres"), "spark": ("pyspark", "spark"), "clickhouse": ("chdb", "clickhouse")}
"""What each is reached by, and the extra of this package that brings it."""


def chosen(told: str | None) -> str:
    """The engine that an option or else the environment names, in one spelling. Raises EngineError."""
    text = (told or os.environ.get(VARIABLE, "")).strip() or HERE
    if text == HERE:
        return HERE
    scheme = text.partition(":")[0]
    if scheme in ("postgresql", "postgres") and "://" in text:
        return _there("postgresql", "postgresql://" + text.partition("://")[2])
    if _SPARK.fullmatch(text):
        return _there("spark", text)
    if text in ("clickhouse:local", "chdb"):
        return _there("clickhouse", "clickhouse:local")
    if scheme == "clickhouse":
        raise EngineError("a ClickHouse server cannot be asked yet; clickhouse:local runs ClickHouse in this process")
    if scheme in ("bigquery", "snowflake", "trino"):
        raise EngineError(
            f"{scheme} cannot be asked: the questions can be written in its words, but nobody has run them there; "
            f"allowed: {FORMS}"
        )
    # What was given may hold a password, so that only its beginning is said again.
    raise EngineError(f"{scheme!r} names no engine; allowed: {FORMS}")


def spoken(engine: str) -> str:
    """An engine as messages and pages say it, without a password."""
    return re.sub(r"//([^/@\s:]*):[^/@\s]*@", r"//\1@", engine)


def opened(engine: str) -> Backend:
    """An engine to ask, by its spelling of `chosen`. Raises EngineError where it cannot be reached."""
    return _OPEN[engine.partition(":")[0]](engine)


def _there(name: str, text: str) -> str:
    module, extra = _EXTRAS[name]
    if find_spec(module) is None:
        raise EngineError(f"{module} is not installed, by which {name} is asked; do so with: {install(extra)}")
    return text


def _duckdb(engine: str) -> Backend:
    from crossfade.rim.engine.here import Here
    from crossfade.rim.engine.session import Session

    return Here(Session(os.cpu_count() or 2))


def _postgresql(engine: str) -> Backend:
    from crossfade.rim.engine.elsewhere.postgresql import PostgreSQL

    return PostgreSQL(engine)


def _spark(engine: str) -> Backend:
    from crossfade.rim.engine.elsewhere.spark import Spark, session

    return Spark(session(engine))


def _clickhouse(engine: str) -> Backend:
    from crossfade.rim.engine.elsewhere.clickhouse import ClickHouse

    return ClickHouse()


_OPEN: dict[str, Callable[[str], Backend]] = {
    HERE: _duckdb,
    "postgresql": _postgresql,
    "spark": _spark,
    "clickhouse": _clickhouse,
}
