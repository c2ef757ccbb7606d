"""What MkDocs is told while it builds the site: the version, pages from outside this folder, and the list of decisions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from crossfade import __version__

TOP = Path(__file__).resolve().parents[1]
DOCS = TOP / "docs"
OUTSIDE = {
    "README.md": "about/readme.md",
    "CHANGELOG.md": "about/changelog.md",
    "CONTRIBUTING.md": "about/contributing.md",
    "benchmarks/README.md": "about/benchmarks.md",
}
"""Pages that live elsewhere in the repository, and where the site has them."""

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")

CODE = re.compile(r"(^ *```.*?^ *```|`[^`\n]+`(?!\]))", re.MULTILINE | re.DOTALL)
"""What is shown as it is written, apart from code that is a link's text."""


def on_config(config: Any) -> Any:
    """The version beside the name, and every decision in the navigation."""
    config.site_name = f"Crossfade {__version__}"
    config.copyright = f"Crossfade {__version__} · Apache-2.0"
    for part in config.nav:
        if isinstance(part, dict) and "Decisions" in part:
            part["Decisions"] = ["adr/README.md", *(f"adr/{page.name}" for page in sorted(DOCS.glob("adr/[0-9]*.md")))]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages from outside and a list of decisions."""
    for source, place in OUTSIDE.items():
        files.append(File.generated(config, place, content=(TOP / source).read_text(encoding="utf-8")))
    listed = ["# Decisions", "", "Choices that were hard to make: what was decided, why, and what it costs.", ""]
    for page in sorted(DOCS.glob("adr/[0-9]*.md")):
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        listed.append(f"- [{title}]({page.name})".replace(". ", "\\. ", 1))
    files.append(File.generated(config, "adr/README.md", content="\n".join(listed) + "\n"))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns links to files of the repository into links of the site, or into plain text where it has no such page."""
    del config
    here = page.file.src_uri
    source = next((name for name, place in OUTSIDE.items() if place == here), f"docs/{here}")
    folder = (TOP / source).parent

    def turned(found: re.Match[str]) -> str:
        text, path, anchor = found.group(1), found.group(2), found.group(3) or ""
        target = (folder / path).resolve()
        if not target.is_relative_to(TOP):
            return found.group(0)
        inside = str(target.relative_to(TOP))
        place = OUTSIDE.get(inside)
        if place is None and inside.startswith("docs/"):
            place = inside.removeprefix("docs/")
            place = f"{place}/README.md" if target.is_dir() else place
        if place is None or files.get_file_from_path(place) is None:
            return text if "`" in text else f"{text} (`{inside}`)"
        up = "../" * here.count("/")
        return f"[{text}]({up}{place}{anchor})"

    parts = CODE.split(markdown)
    said = "".join(part if n % 2 else LINK.sub(turned, part) for n, part in enumerate(parts))
    if here == OUTSIDE["README.md"]:
        said = re.sub(r"!\[([^\]]*)\]\(docs/([^)]+)\)", r"![\1](../\2)", said)
    return said
