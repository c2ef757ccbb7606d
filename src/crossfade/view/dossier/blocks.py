"""What a part of the dossier is made of: texts, lists, tables and the data of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Block = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part, with what is missing from it."""

    id: str
    title: str
    blocks: Sequence[Block]
    missing: Sequence[str] = ()
    """What a reviewer would look for here and Crossfade does not know."""
    trace: str = ""
    """The command that gives these numbers again."""

    @property
    def state(self) -> str:
        """`shown`, `partly` or `missing`."""
        if not self.missing:
            return "shown"
        return "partly" if self.blocks else "missing"

    def to_json(self) -> dict[str, Any]:
        """The record for programs."""
        return {
            "id": self.id,
            "title": self.title,
            "state": self.state,
            "blocks": [dict(block) for block in self.blocks],
            "missing": list(self.missing),
            "trace": self.trace,
        }


def text(*sentences: str) -> Block:
    """A paragraph."""
    return {"kind": "text", "text": " ".join(sentences)}


def heading(words: str) -> Block:
    """A heading below the part's own."""
    return {"kind": "heading", "text": words}


def items(lines: Sequence[str]) -> Block:
    """A list."""
    return {"kind": "items", "items": list(lines)}


def code(content: str) -> Block:
    """Text that is shown as it is: commands, a spec."""
    return {"kind": "code", "text": content}


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, numbers: Sequence[int] = ()) -> Block:
    """A table; `numbers` are columns set to the right."""
    return {
        "kind": "table",
        "head": list(head),
        "rows": [["" if cell is None else str(cell) for cell in row] for row in rows],
        "numbers": list(numbers),
    }


def forest(
    head: Sequence[str],
    rows: Sequence[Sequence[Any]],
    lines: Sequence[Mapping[str, Any]],
    words: Sequence[Mapping[str, Any]],
    said: str,
) -> Block:
    """A table of evidence with its picture, which is drawn from the lines and their words."""
    data = {"lines": [dict(line) for line in lines], "words": [dict(word) for word in words]}
    return {**table(head, rows), "kind": "forest", "text": said, "data": data}


def traced(block: Block, command: str) -> Block:
    """A block with the command that gives its numbers again."""
    return {**block, "trace": command}


def picture(name: str, said: str, **data: Any) -> Block:
    """A picture by its data, and in words for those who do not see it."""
    return {"kind": "picture", "picture": name, "text": said, "data": data}
