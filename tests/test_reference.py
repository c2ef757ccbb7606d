"""Reference pages that are generated are current."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import msgspec

from crossfade.facts import KINDS

FOLDER = Path(__file__).parents[1] / "docs" / "reference"


def test_the_page_of_facts_says_what_the_facts_are() -> None:
    spec = importlib.util.spec_from_file_location("make_facts", FOLDER / "make_facts.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    page = (FOLDER / "facts.md").read_text(encoding="utf-8")
    assert page == maker.page(), "run `python docs/reference/make_facts.py`"
    for kind, name in KINDS.items():
        section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert all(f"| `{field.name}` |" in section for field in msgspec.structs.fields(kind))
    assert "Share of units the challenger owned at that moment" in page
