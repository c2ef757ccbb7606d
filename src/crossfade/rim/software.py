"""Which Crossfade decided: its version and a digest of the code that turns facts into decisions."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from crossfade import __version__

JUDGING = ("judge", "spec", "state.py", "rim/engine")
"""Where that code is, below the package."""


@cache
def software() -> str:
    """Such as `0.1.0+5be1e2f09a77`. Two that are equal decide alike on the same facts."""
    root = hashlib.sha256()
    package = files("crossfade")
    for name in JUDGING:
        for path, content in _sources(package.joinpath(name), name):
            root.update(f"{path} {len(content)}\n".encode() + content)
    return f"{__version__}+{root.hexdigest()[:12]}"


def _sources(place: Traversable, name: str) -> list[tuple[str, bytes]]:
    if place.is_file():
        return [(name, place.read_bytes())] if name.endswith(".py") else []
    found: list[tuple[str, bytes]] = []
    for child in sorted(place.iterdir(), key=lambda one: one.name):
        found += _sources(child, f"{name}/{child.name}")
    return found
