"""The runbook: its commands run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rim.recorded import NAME, make

from .conftest import Crossfade

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operate" / "runbook.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ crossfade (.+)$", PAGE, re.MULTILINE)


@pytest.mark.timeout(300)
def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crossfade: Crossfade) -> None:
    make(tmp_path / "crossfade-data", wrong=0.05, ticks=3)
    monkeypatch.chdir(tmp_path)
    assert [command.split()[0] for command in COMMANDS] == ["status", "explain", "export", "verify"]
    for command in COMMANDS:
        ran = crossfade(*command.replace("ranker-v2", NAME).split())
        assert ran.code == 0, f"{command}: {ran.out}{ran.err}"
