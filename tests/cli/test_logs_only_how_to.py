"""The commands of docs/how-to/logs-only.md run on the files that the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from crossfade.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "logs-only.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))
COMMANDS = re.findall(r"^\$ crossfade (.+)$", PAGE, re.MULTILINE)
SAYS = {"analyze --exposures": "purchase", "analyze --summary": "purchase", "compare a.jsonl": "label"}


@pytest.mark.parametrize("beginning", SAYS)
def test_a_command_runs_and_says_what_the_page_says(
    beginning: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(COMMANDS) == len(SAYS)
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text, encoding="utf-8")
    (command,) = [one for one in COMMANDS if one.startswith(beginning)]
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command))
    told = capsys.readouterr()
    assert (ended.value.code or 0) in (0, 1), told.err
    assert SAYS[beginning] in told.out
    if "--exposures" in beginning:
        assert "unmeasured" in told.out or "undecided" in told.out
