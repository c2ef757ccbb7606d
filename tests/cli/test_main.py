"""The program as a whole: what it lists, what it imports, how it says no."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from crossfade.cli.main import COMMANDS

from .conftest import Crossfade

HEAVY = ("duckdb", "scipy", "numpy", "fastapi", "deltalake", "pyarrow", "sqlalchemy", "uvicorn", "sklearn", "ibis")


def test_help_lists_every_command(crossfade: Crossfade) -> None:
    ran = crossfade("--help")
    assert ran.code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in ran.out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(crossfade: Crossfade, command: str) -> None:
    ran = crossfade(command, "--help")
    assert ran.code == 0
    assert f"Usage: crossfade {command}" in ran.out


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["status", "--help"]])
def test_starting_up_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from crossfade.cli.main import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        f"    print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.splitlines()[-1] == "loaded: []"


def test_wrong_use_is_two_and_names_what_was_meant(crossfade: Crossfade) -> None:
    ran = crossfade("statsu")
    assert ran.code == 2
    assert "status" in ran.err


def test_the_version(crossfade: Crossfade) -> None:
    assert crossfade("--version").out.startswith("crossfade 0.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "--jsno", "--json"], "--jsno"),
        (["statsu", "--json"], "statsu"),
        (["serve", "--port", "many", "--json"], "--port"),
        (["hold", "--json"], "NAME"),
        (["--json", "status"], "--json"),
    ],
)
def test_wrong_use_is_a_record_where_the_caller_reads_json(
    crossfade: Crossfade, arguments: list[str], said: str
) -> None:
    ran = crossfade(*arguments)
    assert (ran.code, ran.err) == (2, "")
    told = json.loads(ran.out)
    assert said in told["error"]
    assert "--help`" in told["what_to_do"]


def test_help_is_still_help_where_the_caller_reads_json(crossfade: Crossfade) -> None:
    ran = crossfade("status", "--json", "--help")
    assert ran.code == 0
    assert "Usage: crossfade status" in ran.out
