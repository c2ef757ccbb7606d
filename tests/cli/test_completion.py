"""What a shell completes, asked as a shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def completed(words: str, place: int, **more: str) -> list[str]:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(place), "_CROSSFADE_COMPLETE": "complete_bash"}
    ran = subprocess.run(
        [sys.executable, "-m", "crossfade.cli.main"],
        env=os.environ | asked | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""
    return ran.stdout.split()


def test_commands_and_options() -> None:
    assert completed("crossfade st", 1) == ["status", "start", "store"]
    assert "--control-port" in completed("crossfade serve --c", 2)


def test_names_of_rollouts_in_the_folder_that_is_named(data: Path, tmp_path: Path) -> None:
    assert completed("crossfade explain ", 2, CROSSFADE_DATA=str(data)) == ["ranker-v2"]
    assert completed("crossfade explain ra", 2, CROSSFADE_DATA=str(data)) == ["ranker-v2"]
    assert completed("crossfade explain x", 2, CROSSFADE_DATA=str(data)) == []
    assert completed(f"crossfade explain --data {data} ", 4) == ["ranker-v2"]
    assert completed("crossfade explain ", 2, CROSSFADE_DATA=str(tmp_path / "nowhere")) == []
    (tmp_path / "state.db").write_bytes(b"no database")
    assert completed("crossfade explain ", 2, CROSSFADE_DATA=str(tmp_path)) == []
