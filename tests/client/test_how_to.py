"""The code in docs/how-to/in-process.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from crossfade.facts import Exposed
from crossfade.rim import batches

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "in-process.md"


def test_it_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = dict(re.findall(r"```(yaml|python)\n(.*?)```", PAGE.read_text(), re.DOTALL))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.yaml").write_text(blocks["yaml"])
    names: dict[str, Any] = {}
    exec(blocks["python"], names)
    assert names["price"] == {"price": 6}
    (journal,) = batches.journals(tmp_path / "crossfade-data")
    (fact,) = [fact for row in batches.rows(batches.connect(journal), 0, 1000) for fact in row.facts]
    assert isinstance(fact, Exposed)
    assert (fact.decision_id, fact.unit, fact.arm) == (names["decision_id"], "user-7", "v1")
