"""The how-to on planning: its spec is valid and its commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from crossfade.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "plan.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ crossfade (.+)$", PAGE, re.MULTILINE)


def test_there_are_commands():
    assert [command.split()[0] for command in COMMANDS] == ["plan", "simulate"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run_on_the_spec(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (spec,) = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
    Path("spec.yaml").write_text(spec)
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command.replace("--runs 100", "--runs 1")))
    assert (ended.value.code or 0) == 0
    assert "ranker-v2 at 100 units a second" in capsys.readouterr().out
