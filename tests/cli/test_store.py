"""`crossfade store`: the layout of a store told and brought up to date, and SQL for an administrator."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from crossfade.cli.main import main
from crossfade.rim.store_layout import NEWEST, STEPS
from rim.test_store_layout import OLD


def run(*given: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["store", *given])
    return int(ended.value.code or 0)


def test_an_old_store_is_told_and_brought_up_to_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", str(tmp_path))
    assert run("status", *data) == 1
    assert "holds no rollouts" in capsys.readouterr().err
    with closing(sqlite3.connect(tmp_path / "state.db")) as file:
        file.executescript((OLD / "file.sql").read_text())
    assert run("status", *data) == 1
    assert f"this program needs {NEWEST}: run `crossfade store migrate`" in capsys.readouterr().out
    assert run("migrate", *data, "--prefix", "no name") == 2
    assert "cannot be the beginning" in capsys.readouterr().err
    assert run("status", *data, "--json") == 1, "neither looking nor what was refused changed anything"
    assert json.loads(capsys.readouterr().out)["layout"] == 0
    assert run("migrate", *data, "--json") == 0
    assert [one["version"] for one in json.loads(capsys.readouterr().out)["steps"]] == [one.version for one in STEPS]
    assert run("migrate", *data) == 0
    assert "has the layout that this program needs" in capsys.readouterr().out
    assert run("status", *data) == 0


def test_roles_are_sql_without_a_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("roles", "--schema", "release", "--prefix", "cf") == 0
    told = capsys.readouterr().out
    for word in ("CREATE ROLE cf_owner LOGIN", "CREATE ROLE cf_gateway LOGIN", "CREATE SCHEMA IF NOT EXISTS release"):
        assert word in told
    assert "PASSWORD" not in told
    assert run("roles", "--schema", "x; DROP TABLE ledger") == 2
    assert "cannot be the schema" in capsys.readouterr().err
