"""The dossier as Markdown; pictures are told in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crossfade.view.words import moment, percent

Record = Mapping[str, Any]


def dossier_text(dossier: Record) -> str:
    """The whole text."""
    return "\n".join(_lines(dossier)) + "\n"


def _lines(dossier: Record) -> Iterator[str]:
    yield f"# {_plain(dossier['name'])}: dossier"
    yield ""
    yield f"**{_plain(dossier['sentence'])}**"
    yield ""
    yield f"Written {dossier['made']}, from the ledger and the sealed facts."
    yield ""
    for line in dossier["summary"]:
        yield f"- **{line['label']}**: {_plain(line['text'])}"
    yield ""
    yield "## What is missing"
    yield ""
    yield from (f"- {_plain(one['title'])}: {_plain(one['what'])}" for one in dossier["missing"])
    for n, part in enumerate(dossier["parts"], start=1):
        yield ""
        yield f"## {n}. {part['title']} ({part['state']})"
        for block in part["blocks"]:
            yield ""
            yield from _block(block)
            if block.get("trace"):
                yield ""
                yield f"The same again: `{block['trace']}`"
        if part["missing"]:
            yield ""
            yield "Missing:"
            yield ""
            yield from (f"- {_plain(text)}" for text in part["missing"])
        if part["trace"]:
            yield ""
            yield f"The same again: `{part['trace']}`"


def _block(block: Record) -> Iterator[str]:
    match block["kind"]:
        case "text":
            yield _plain(block["text"])
        case "heading":
            yield f"### {_plain(block['text'])}"
        case "items":
            yield from (f"- {_plain(text)}" for text in block["items"])
        case "code":
            fence = "```" if "```" not in block["text"] else "~~~~"
            yield from (fence, block["text"], fence)
        case "table" | "forest":
            yield _row(block["head"])
            yield _row(["--:" if n in block["numbers"] else "---" for n in range(len(block["head"]))])
            yield from (_row([_plain(cell) for cell in row]) for row in block["rows"])
        case _:
            yield f"*{_plain(block['text'])}*"
            yield ""
            steps = block["data"]["steps"]
            yield from (f"- {moment(s['at'])} UTC: {s['move']}, {percent(s['weight'])}" for s in steps)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text that Markdown takes as it is."""
    text = str(text).replace("\n", ", ")
    told = "".join(f"\\{c}" if c in "\\`*_|<>#" else c for c in text)
    return " ".join(told.split())
