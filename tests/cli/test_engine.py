"""`--engine`: the guide's commands, and what is said about engines that are none."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from .conftest import Crossfade

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "billion.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^crossfade (.+)$", PAGE.replace("\\\n", " "), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_guides_commands_have_the_options_that_it_writes(crossfade: Crossfade, command: str) -> None:
    name, *told = shlex.split(command)
    known = crossfade(name, "--help").out
    options = [word for word in told if word.startswith("--")]
    assert "--engine" in options
    assert [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", known)] == []


def test_the_guide_has_commands() -> None:
    assert sorted({command.split()[0] for command in COMMANDS}) == ["analyze", "controller", "replay"]


@pytest.mark.parametrize("command", [["serve"], ["replay", "ranker-v2"], ["analyze", "--metric", "buy:rate"]])
def test_what_is_no_engine_is_wrong_use_and_passwords_are_not_repeated(
    crossfade: Crossfade, command: list[str], data: Path
) -> None:
    given = ["--exposures", "a", "--outcomes", "b"] if command[0] == "analyze" else ["--data", str(data)]
    ran = crossfade(*command, *given, "--engine", "mysql://root:hunter2@host/db")
    assert ran.code == 2
    assert "'mysql' names no engine" in ran.err
    assert "hunter2" not in ran.out + ran.err
    assert "Traceback" not in ran.err
