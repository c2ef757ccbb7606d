"""HTML and SVG built from functions: text is escaped unless it already is markup, so no page can forget to."""

from __future__ import annotations

import re
from html import escape
from typing import Any

HTML = frozenset({"meta", "link", "br", "hr", "img", "input", "source"})
"""Elements of HTML that hold nothing; those of SVG end in a slash."""

VOID = HTML | frozenset({"rect", "line", "circle", "path", "polygon", "use"})

CODE = re.compile(r"`([^`\n]+)`")


class Markup(str):
    """Text that already is markup."""

    __slots__ = ()


def el(tag: str, /, *children: Any, **attributes: Any) -> Markup:
    """An element. Attributes: `class_` for `class`, `stroke_width` for `stroke-width`; None leaves one out."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in VOID and not children:
        return Markup(f"<{tag}{given}>" if tag in HTML else f"<{tag}{given}/>")
    return Markup(f"<{tag}{given}>{join(children)}</{tag}>")


def join(children: Any) -> Markup:
    """Children one after the other; None adds nothing, sequences are flattened."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, list | tuple):
        return Markup("".join(join(child) for child in children))
    return Markup(escape(str(children)))


def coded(text: str) -> Markup:
    """A sentence in which what stands between backticks is code."""
    return join([el("code", part) if n % 2 else part for n, part in enumerate(CODE.split(text))])


def _text(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
