"""Pages lead somewhere: every link between them, and every guide from the page that lists them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crossfade.spec.parse import parse

TOP = Path(__file__).parents[1]
PAGES = sorted([TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "CHANGELOG.md", *(TOP / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")


def anchors(page: Path) -> set[str]:
    """Where a link into a page may lead, as renderers name it."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(re.sub(r"(?ms)^ *```.*?^ *```", "", page.read_text(encoding="utf-8"))):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{path} is not there"
        if anchor and target.suffix == ".md":
            assert anchor[1:] in anchors(target), f"{target.name} has no {anchor}"


def test_every_guide_concept_and_reference_is_listed() -> None:
    listed = (TOP / "docs" / "README.md").read_text(encoding="utf-8")
    for folder in ("how-to", "concepts", "reference", "theory"):
        for page in (TOP / "docs" / folder).glob("*.md"):
            assert f"({folder}/{page.name})" in listed, f"docs/README.md does not lead to {folder}/{page.name}"


SPECS = [
    pytest.param(block, id=f"{page.relative_to(TOP)}:{n}")
    for page in PAGES
    for n, block in enumerate(re.findall(r"```yaml[^\n]*\n(name: .*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("text", SPECS)
def test_every_whole_spec_that_a_page_shows_is_fine(text: str) -> None:
    parse(text)


def test_the_navigation_of_the_site_has_every_page() -> None:
    listed = (TOP / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (TOP / "docs").rglob("*.md"):
        name = str(page.relative_to(TOP / "docs"))
        assert name.startswith("adr/") or re.search(rf"[\s\[,]{re.escape(name)}\b", listed), (
            f"mkdocs.yml leaves out {name}"
        )
