"""The locks pin what the package asks for, with hashes, and name no registry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[1]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
EXTRAS = ("postgres", "otel", "sign")


def test_what_users_install_is_pinned_as_it_is_asked_for() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + [one for extra in EXTRAS for one in project["optional-dependencies"][extra]]
    pins: dict[str, list[str]] = {}
    for name, version in PINNED.findall((TOP / "requirements" / "runtime.lock").read_text()):
        pins.setdefault(canonicalize_name(name), []).append(version)
    for wanted in map(Requirement, asked):
        versions = pins.get(canonicalize_name(wanted.name), [])
        assert versions, f"{wanted.name} is not in requirements/runtime.lock: run `make lock`"
        assert all(wanted.specifier.contains(version) for version in versions), f"{wanted}: run `make lock`"


@pytest.mark.parametrize("lock", ["runtime.lock", "dev.lock"])
def test_every_pin_has_hashes_and_no_registry_is_named(lock: str) -> None:
    text = (TOP / "requirements" / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert len(blocks) > 50
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
