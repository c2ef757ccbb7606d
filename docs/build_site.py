"""Builds the documentation below build/docs/VERSION, strictly, and the page beside it that leads to the newest version.

Run it by `make docs`. A folder of another version that is there already stays, so that one place can serve them all.
"""

from __future__ import annotations

import html
import json
import os
import subprocess
import sys
from pathlib import Path

from crossfade import __version__

TOP = Path(__file__).resolve().parents[1]


def build(place: Path) -> Path:
    """The site of this version in a folder of its own; its first page."""
    site = place / __version__
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    subprocess.run(command, cwd=TOP, check=True, env=environment)
    versions = sorted((one.name for one in place.iterdir() if (one / "index.html").exists()), key=_order, reverse=True)
    listed = [{"version": one, "title": one, "aliases": ["latest"] if one == versions[0] else []} for one in versions]
    (place / "versions.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    links = "".join(f'<li><a href="{html.escape(one)}/index.html">{html.escape(one)}</a></li>' for one in versions)
    (place / "index.html").write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Crossfade</title>'
        f'<meta http-equiv="refresh" content="0; url={html.escape(versions[0])}/index.html">'
        f"<h1>Crossfade</h1><p>Documentation by version:</p><ul>{links}</ul></html>\n",
        encoding="utf-8",
    )
    return site / "index.html"


def _order(version: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in version.split(".")]


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else TOP / "build" / "docs"))
