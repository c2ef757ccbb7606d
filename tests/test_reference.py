"""Reference pages that are generated are current, and leave nothing out."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from crossfade.cli.main import COMMANDS
from crossfade.facts import KINDS
from crossfade.spec.document import json_schema

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MAKERS = sorted(file.stem for file in FOLDER.glob("make_*.py"))


def maker(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", MAKERS)
def test_a_page_says_what_the_package_says(name: str) -> None:
    page = (FOLDER / f"{name.removeprefix('make_')}.md").read_text(encoding="utf-8")
    assert page == maker(name).page(), f"run `python docs/reference/{name}.py`"


def test_the_page_of_facts_has_every_field() -> None:
    page = (FOLDER / "facts.md").read_text(encoding="utf-8")
    for kind, name in KINDS.items():
        section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert all(f"| `{field.name}` |" in section for field in msgspec.structs.fields(kind))
    assert "Share of units the challenger owned at that moment" in page


def test_the_page_of_the_spec_has_every_key_and_says_what_it_is_for() -> None:
    page = (FOLDER / "spec.md").read_text(encoding="utf-8")
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        for key, told in part.get("properties", {}).items():
            assert f"| `{key}`" in page
            assert told.get("description") or "$ref" in told, f"{key} is not described"


def test_the_page_of_the_command_line_has_every_command() -> None:
    page = (FOLDER / "cli.md").read_text(encoding="utf-8")
    assert all(f"## {name}\n" in page for name in COMMANDS)


def test_the_page_of_metrics_has_every_gauge_that_a_gateway_sets() -> None:
    source = (FOLDER.parents[1] / "src" / "crossfade" / "rim" / "gateway.py").read_text(encoding="utf-8")
    page = (FOLDER / "metrics.md").read_text(encoding="utf-8")
    gauges = set(re.findall(r'gauges\["(\w+)"\] =', source))
    assert len(gauges) > 5
    assert all(f"| `crossfade_{name}` |" in page for name in gauges)
