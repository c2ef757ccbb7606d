"""Pages lead somewhere: every link between them, and every guide from the page that lists them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
PAGES = sorted([TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "CHANGELOG.md", *(TOP / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")


def anchors(page: Path) -> set[str]:
    """Where a link into a page may lead, as renderers name it."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{path} is not there"
        if anchor and target.suffix == ".md":
            assert anchor[1:] in anchors(target), f"{target.name} has no {anchor}"


def test_every_guide_concept_and_reference_is_listed() -> None:
    listed = (TOP / "docs" / "README.md").read_text(encoding="utf-8")
    for folder in ("how-to", "concepts", "reference", "theory"):
        for page in (TOP / "docs" / folder).glob("*.md"):
            assert f"({folder}/{page.name})" in listed, f"docs/README.md does not lead to {folder}/{page.name}"
