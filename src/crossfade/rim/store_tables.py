"""The tables of the store, and connections that begin their transactions where we say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from crossfade.rim.glance import BUSY_SECONDS

TABLES = sa.MetaData()
specs = sa.Table(
    "specs",
    TABLES,
    sa.Column("rollout", sa.Text, primary_key=True),
    sa.Column("revision", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
parsed = sa.Table(
    "parsed",
    TABLES,
    sa.Column("rollout", sa.Text, primary_key=True),
    sa.Column("revision", sa.Text, primary_key=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)
rollouts = sa.Table(
    "rollouts",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("revision", sa.Text, nullable=False),
    sa.Column("position", sa.Text, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
)
ledger = sa.Table(
    "ledger",
    TABLES,
    sa.Column("rollout", sa.Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("entry", sa.Text, nullable=False),
)
seals = sa.Table(
    "seals",
    TABLES,
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("seal", sa.Text, nullable=False),
)
views = sa.Table(
    "views",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("record", sa.Text, nullable=False),
)
counters = sa.Table(
    "counters",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
)
leader = sa.Table(
    "leader",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("term", sa.Integer, nullable=False),
    sa.Column("renewals", sa.Integer, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("held", sa.Integer, nullable=False),
)

COUNTERS = ("changes", "beats", "seals")


def engine(path: Path, synchronous: str, busy: float | None = None) -> sa.Engine:
    """Connections to the file in WAL mode; a transaction begins as its `crossfade_begin` option says.

    `busy`: seconds that one waits for another process's.
    """
    timeout = BUSY_SECONDS if busy is None else busy
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": timeout})

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling would start transactions late and upgrade them, which can deadlock.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        how = connection.get_execution_options().get("crossfade_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {how}")

    return engine


def cause(error: SQLAlchemyError) -> str:
    """What the database itself said."""
    return str(getattr(error, "orig", None) or error)
