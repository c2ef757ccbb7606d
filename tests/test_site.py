"""The built site: strict, complete in itself, and showing code as it is written."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]


@pytest.mark.full
def test_the_site_needs_nothing_from_outside_and_leaves_code_alone(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="MKDOCS IS MISSING: `make docs` installs it")
    built = subprocess.run(
        [sys.executable, "docs/build_site.py", str(tmp_path)], cwd=TOP, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    first = Path(built.stdout.strip())
    assert f'url={first.parent.name}/index.html"' in (tmp_path / "index.html").read_text()
    for page in first.parent.rglob("*.html"):
        fetched = re.findall(
            r'<(?:script|img|iframe)[^>]* src="(https?:[^"]+)|<link[^>]* href="(https?:[^"]+)', page.read_text()
        )
        assert not fetched, page
    text = html.unescape(re.sub(r"<[^>]+>", "", (first.parent / "tutorial.html").read_text()))
    shown = re.findall(r'```\w+ title="[^"]+"\n(.*?)```', (TOP / "docs" / "tutorial.md").read_text(), re.DOTALL)
    assert len(shown) == 5
    assert all(code.strip() in text for code in shown)
