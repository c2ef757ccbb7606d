"""Where the linters of deploy/ are, and how a file of it is read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).parents[2]
DEPLOY = TOP / "deploy"
PLACES = (TOP / "build" / "servers" / "deploy" / "bin", TOP / "build" / "servers" / "helm")


def tool(name: str) -> str:
    """A program's path; skips the test, loudly, where there is none."""
    found = next((str(place / name) for place in PLACES if (place / name).is_file()), None) or shutil.which(name)
    if found is None:
        pytest.skip(
            f"REAL TOOL MISSING: {name} is neither installed nor in build/servers; `make test-servers` brings it"
        )
    return found


def run(*command: str | Path, **options: Any) -> str:
    """What a program printed; fails with what it said where it did not end well."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def objects(text: str) -> list[dict[str, Any]]:
    """The objects of a stream of YAML."""
    return [one for one in yaml.safe_load_all(text) if one]


def options(command: str) -> set[str]:
    """The options that a command of `crossfade` has."""
    import typer

    from crossfade.cli.main import build

    known: Any = typer.main.get_command(build())
    return {name for each in known.commands[command].params for name in (*each.opts, *each.secondary_opts)}
