"""The units are read by systemd's own verifier, and are as closed as they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from .kit import DEPLOY, options, run, tool

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
CLOSED = 2.0
"""The most that `systemd-analyze security` may call exposed, of 10."""


def test_there_is_a_unit_for_each_part() -> None:
    assert [unit.stem for unit in UNITS] == [
        "crossfade-console",
        "crossfade-controller",
        "crossfade-gateway",
        "crossfade",
    ]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_the_unit_and_calls_it_closed(unit: Path, tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    # It looks for the program, which is not installed here.
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/crossfade/bin/crossfade", "/bin/true"))
    assert run(analyze, "verify", copy) == ""
    said = run(analyze, "security", "--offline=true", "--no-pager", copy)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found is not None
    assert float(found[1]) <= CLOSED, said


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_every_option_is_one_of_its_command(unit: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
    program, part, *rest = shlex.split(line)
    assert program == "/opt/crossfade/bin/crossfade"
    known = options(part)
    assert {one for one in rest if one.startswith("--")} <= known


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_is_asked_of_the_environment_has_a_value_or_is_a_must(unit: Path) -> None:
    text = unit.read_text()
    (line,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    asked = set(re.findall(r"\$\{?([A-Z_]+)", line))
    said = set(re.findall(r"^Environment=([A-Z_]+)=", text, re.MULTILINE))
    assert asked - said <= {"CROSSFADE_LAKE"}, "only the lake has no sensible value"
