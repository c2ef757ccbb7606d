"""The layouts that the store has had, in steps from each to the next, which whoever opens an older one first takes.

A step that was released is never changed. It is written out as SQL and not made of `store_tables`, which says how the
tables are now and not how they were. Steps only add, so that a program of the layout before goes on reading while
hosts are upgraded one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from crossfade import __version__
from crossfade.rim.revisions import StoreError

TABLE = "layout"
"""Says which steps were taken; a store without it is new, or of release 0.1.0."""


NO_RIGHT = ("permission denied", "must be owner", "no schema has been selected")
"""What a PostgreSQL says to a role that may not lay out a store."""


class TooNew(StoreError):
    """The store was laid out by a later release than this program."""


class Unmade(StoreError):
    """The store is older than the program, or has no tables yet, and this role may not change that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How one layout becomes the next. A statement may be taken again where it was taken already."""

    version: int
    about: str
    both: Sequence[str] = ()
    """Statements for a file and for a server alike, in which `BYTES` stands for the type of bytes."""
    server: Sequence[str] = ()
    """Statements for a server alone."""


_RELEASE_0_1_0 = Step(
    version=1,
    about="the tables of release 0.1.0",
    both=(
        "CREATE TABLE IF NOT EXISTS specs (rollout TEXT NOT NULL, revision TEXT NOT NULL, text TEXT NOT NULL,"
        " at FLOAT NOT NULL, PRIMARY KEY (rollout, revision))",
        "CREATE TABLE IF NOT EXISTS parsed (rollout TEXT NOT NULL, revision TEXT NOT NULL, record BYTES NOT NULL,"
        " PRIMARY KEY (rollout, revision))",
        "CREATE TABLE IF NOT EXISTS rollouts (name TEXT NOT NULL, revision TEXT NOT NULL, position TEXT NOT NULL,"
        " seq INTEGER NOT NULL, PRIMARY KEY (name))",
        "CREATE TABLE IF NOT EXISTS ledger (rollout TEXT NOT NULL, n INTEGER NOT NULL, entry TEXT NOT NULL,"
        " PRIMARY KEY (rollout, n))",
        "CREATE TABLE IF NOT EXISTS seals (n INTEGER NOT NULL, seal TEXT NOT NULL, PRIMARY KEY (n))",
        "CREATE TABLE IF NOT EXISTS views (name TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (name))",
        "CREATE TABLE IF NOT EXISTS looks (name TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (name))",
        "CREATE TABLE IF NOT EXISTS counters (name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name))",
        "CREATE TABLE IF NOT EXISTS leader (id INTEGER NOT NULL, term INTEGER NOT NULL, renewals INTEGER NOT NULL,"
        " holder TEXT NOT NULL, held INTEGER NOT NULL, PRIMARY KEY (id))",
        "INSERT INTO counters (name, value) VALUES ('changes', 0), ('beats', 0), ('seals', 0)"
        " ON CONFLICT (name) DO NOTHING",
    ),
    server=("CREATE TABLE IF NOT EXISTS stop_orders (name TEXT NOT NULL, told TEXT NOT NULL, PRIMARY KEY (name))",),
)

_VERSIONED = Step(
    version=2,
    about="the store says which layout it has",
    both=(
        "CREATE TABLE IF NOT EXISTS layout (version INTEGER NOT NULL, about TEXT NOT NULL, software TEXT NOT NULL,"
        " at FLOAT NOT NULL, PRIMARY KEY (version))",
    ),
    server=(
        # Numbers are given by the store, never drawn: without sequences there is nothing else to grant.
        "ALTER TABLE seals ALTER COLUMN n DROP DEFAULT",
        "DROP SEQUENCE IF EXISTS seals_n_seq",
        "ALTER TABLE leader ALTER COLUMN id DROP DEFAULT",
        "DROP SEQUENCE IF EXISTS leader_id_seq",
    ),
)

STEPS: Sequence[Step] = (_RELEASE_0_1_0, _VERSIONED)

NEWEST = STEPS[-1].version


def present(connection: Connection, said: str) -> int:
    """Which layout a store has, 0 where it says none. Raises TooNew where this program does not know it."""
    # Of a server only the schema that comes first is asked: another store may lie in one behind it.
    if TABLE not in sa.inspect(connection).get_table_names():
        return 0
    row = connection.execute(
        sa.text("SELECT version, software FROM layout ORDER BY version DESC LIMIT 1")
    ).one_or_none()
    if row is None:
        return 0
    if row.version > NEWEST:
        raise TooNew(
            f"{said} has layout {row.version}, made by Crossfade {row.software}; this is Crossfade {__version__}, which"
            f" knows layouts up to {NEWEST}: run that release or a later one here; nothing was changed"
        )
    return int(row.version)


def migrate(connection: Connection, said: str) -> list[Step]:
    """Take the steps that are missing, in a transaction in which nobody else writes; which they were. Raises TooNew."""
    have = present(connection, said)
    missing = [step for step in STEPS if step.version > have]
    server = connection.dialect.name != "sqlite"
    for step in missing:
        for statement in [*step.both, *(step.server if server else ())]:
            connection.exec_driver_sql(statement.replace("BYTES", "BYTEA" if server else "BLOB"))
    for step in missing:
        connection.execute(
            sa.text("INSERT INTO layout (version, about, software, at) VALUES (:version, :about, :software, :at)"),
            {"version": step.version, "about": step.about, "software": __version__, "at": time.time()},
        )
    return missing


def refused(said: str, why: StoreError) -> Unmade:
    """What to tell a role that may not take the steps."""
    return Unmade(
        f"{said} is not laid out as Crossfade {__version__} needs it (layout {NEWEST}), and this role may not change"
        f" that ({why}): run `crossfade store migrate` once as the role that owns the tables"
    )
