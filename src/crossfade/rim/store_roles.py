"""What each kind of process may do to a store on a PostgreSQL: one role each, and nothing that it does not need.

Nobody but the owner of the tables may change or delete an entry of a ledger, a seal or a spec: processes only append.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

OWNER = "owner"

_READ, _APPEND = "SELECT", "SELECT, INSERT"
_KEEP = "SELECT, INSERT, UPDATE"
_CHANGE = "SELECT, UPDATE"

MAY: Mapping[str, Mapping[str, str]] = {
    "controller": {
        "layout": _READ,
        "specs": _APPEND,
        "parsed": _KEEP,
        "rollouts": _KEEP,
        "ledger": _APPEND,
        "seals": _APPEND,
        "views": _KEEP,
        "looks": _KEEP,
        "counters": _CHANGE,
        "leader": _KEEP,
        "stop_orders": "SELECT, INSERT, UPDATE, DELETE",
    },
    "console": {
        "layout": _READ,
        "specs": _READ,
        "parsed": _READ,
        "rollouts": _CHANGE,
        "ledger": _APPEND,
        "seals": _READ,
        "views": _READ,
        "looks": _READ,
        "counters": _CHANGE,
        "leader": _READ,
        "stop_orders": "SELECT, INSERT, UPDATE, DELETE",
    },
    "gateway": {
        "layout": _READ,
        "specs": _READ,
        "parsed": _READ,
        "rollouts": _READ,
        "ledger": "",
        "seals": "",
        "views": "",
        "looks": "",
        "counters": _READ,
        "leader": "",
        "stop_orders": _READ,
    },
}
"""By role and table. The console carries out what people do there; specs come by the command line, as controller."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}")


class NameProblem(ValueError):
    """A name that would have to be quoted, which none of ours is."""


def checked(name: str, what: str) -> str:
    """A name that means in SQL what it says. Raises NameProblem."""
    if _NAME.fullmatch(name) is None:
        raise NameProblem(f"{name!r} cannot be the {what}: at most 41 of a-z, 0-9 and '_', no digit first")
    return name


def grants(prefix: str, schema: str, *, roles: Sequence[str] = tuple(MAY)) -> list[str]:
    """The statements that give each role what it may do, and take from it whatever else it may. Raises NameProblem."""
    prefix, schema = checked(prefix, "beginning of the roles' names"), checked(schema, "schema")
    told = []
    for role in roles:
        who = f"{prefix}_{role}"
        told.append(f"GRANT USAGE ON SCHEMA {schema} TO {who}")
        for table, may in MAY[role].items():
            told.append(f"REVOKE ALL ON {schema}.{table} FROM {who}")
            if may:
                told.append(f"GRANT {may} ON {schema}.{table} TO {who}")
    return told


def creation(prefix: str, schema: str) -> list[str]:
    """The statements that make the roles, for whoever may; once more does no harm. Raises NameProblem.

    Tables that are there already become the owner's. Passwords are for the administrator to give (`\\password ROLE`).
    """
    prefix, schema = checked(prefix, "beginning of the roles' names"), checked(schema, "schema")
    owner = f"{prefix}_{OWNER}"
    told = []
    for role in (OWNER, *MAY):
        who = f"{prefix}_{role}"
        told.append(
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{who}') THEN CREATE ROLE {who} LOGIN"
            " NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION; END IF; END $$"
        )
        told.append(f"ALTER ROLE {who} SET search_path = {schema}")
    told.append(f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner}")
    told.append(f"ALTER SCHEMA {schema} OWNER TO {owner}")
    told.append(f"REVOKE ALL ON SCHEMA {schema} FROM PUBLIC")
    for table in next(iter(MAY.values())):
        told.append(f"ALTER TABLE IF EXISTS {schema}.{table} OWNER TO {owner}")
    return told


def grant(connection: Connection, prefix: str) -> list[str]:
    """Give the roles that exist what they may do in the present schema; their names. Raises NameProblem."""
    schema = str(connection.execute(sa.text("SELECT current_schema()")).scalar_one())
    names = connection.execute(sa.text("SELECT rolname FROM pg_roles")).scalars().all()
    there = [role for role in MAY if f"{prefix}_{role}" in names]
    for statement in grants(prefix, schema, roles=there):
        connection.exec_driver_sql(statement)
    return [f"{prefix}_{role}" for role in there]
