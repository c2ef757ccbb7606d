"""The code in docs/how-to/interleaving.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from crossfade.spec.model import Interleave
from crossfade.spec.parse import parse

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "interleaving.md"


def test_it_runs_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```(yaml|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (spec,) = [text for kind, text in blocks if kind == "yaml"]
    rollout = parse(spec)
    assert isinstance(rollout.stages[0], Interleave)
    assert rollout.ranking is not None
    assert rollout.ranking.pinned == "$._source.sponsored"
    names: dict[str, Any] = {}
    programs = [text for kind, text in blocks if kind == "python"]
    exec(programs[0], names)
    page = names["page"]
    assert abs(names["one_click"]) == 1.0
    assert sum(names["bought"]) == 11.0
    assert sorted(names["first"] + names["second"]) == sorted(names["bm25"])
    assert str(page.items) in capsys.readouterr().out
    exec(programs[1], names)
    assert len(names["credits"]) == 3
    assert names["better"] == names["credits"][2] - names["credits"][0]
