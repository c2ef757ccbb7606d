"""The tables of the store as they are now, the same in a file and on a server; `store_layout` makes them."""

from __future__ import annotations

import sqlalchemy as sa

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
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seal", sa.Text, nullable=False),
)
views = sa.Table(
    "views",
    TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("record", sa.Text, nullable=False),
)
looks = sa.Table(
    "looks",
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
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("term", sa.Integer, nullable=False),
    sa.Column("renewals", sa.Integer, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("held", sa.Integer, nullable=False),
)
layout = sa.Table(
    "layout",
    TABLES,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("software", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
stop_orders = sa.Table(
    "stop_orders",
    sa.MetaData(),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("told", sa.Text, nullable=False),
)
"""On a server alone: of a data folder these are files, which are obeyed also where the store cannot be written."""
