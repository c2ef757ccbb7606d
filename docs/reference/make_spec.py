"""Writes spec.md, the reference of the spec, from its published JSON Schema and nothing else.

Run it after a change to the spec: `python docs/reference/make_spec.py`. A test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossfade.spec.document import json_schema

PAGE = Path(__file__).with_name("spec.md")

HEAD = """\
# The spec

Every key of a spec, what it takes and what it is for. This page is generated from the JSON Schema that
`crossfade check --schema` prints, by `docs/reference/make_spec.py`. `crossfade init spec.yaml` writes a commented one to start
from, and `crossfade check spec.yaml` tells every mistake with its line. Unknown keys are mistakes.

`pp` is percentage points (absolute), `%` is relative; a share may be written `5%` or `0.05`. Times are `250ms`, `30s`,
`10m`, `24h`, `3d` or `2w`.
"""


def page() -> str:
    """The page as it should be."""
    schema = json_schema()
    known: dict[str, Any] = schema["$defs"]
    parts = [HEAD, _section("A rollout", schema)]
    todo, done = _named(schema), set()
    while todo:
        name = todo.pop(0)
        if name not in done:
            done.add(name)
            parts.append(_section(_title(name), known[name]))
            todo += _named(known[name])
    assert done == known.keys(), f"nothing leads to {known.keys() - done}"
    return "\n".join(parts)


def _section(title: str, schema: dict[str, Any]) -> str:
    lines = [f"## {title}", "", schema.get("description", ""), ""]
    keys = schema.get("properties", {})
    if keys:
        lines += ["| key | takes | what it is for |", "| --- | --- | --- |"]
    required = schema.get("required", ())
    for key, told in keys.items():
        must = " (required)" if key in required else ""
        lines.append(f"| `{key}`{must} | {_takes(told)} | {_plain(told.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def _takes(told: dict[str, Any]) -> str:
    """What may be written, in a few words."""
    if "$ref" in told:
        return _link(told["$ref"])
    if "const" in told or "enum" in told:
        return ", ".join(f"`{one}`" for one in told.get("enum", [told.get("const")]))
    for word in ("anyOf", "oneOf"):
        if word in told:
            ways = dict.fromkeys(_takes({"examples": told.get("examples", []), **one}) for one in told[word])
            return " or ".join(way for way in ways if way)
    match told.get("type"):
        case "array":
            return f"a list of {_takes(told['items'])}"
        case "object" if isinstance(told.get("additionalProperties"), dict):
            return f"a mapping to {_takes(told['additionalProperties'])}"
        case "object" if keys := list(told.get("properties", {})):
            return f"a mapping with {' and '.join(f'`{key}`' for key in keys)}"
        case "boolean":
            return "`true` or `false`"
        case "null":
            return "nothing"
        case "integer" | "number" as kind:
            return "a whole number" if kind == "integer" else "a number"
        case "string":
            shown = [one for one in told.get("examples", []) if isinstance(one, str)][:4]
            return "a text" + (f" such as {', '.join(f'`{_plain(one)}`' for one in shown)}" if shown else "")
    return ""


def _link(ref: str) -> str:
    title = _title(ref.rpartition("/")[2])
    return f"[{title.lower()}](#{title.lower().replace(' ', '-')})"


def _title(name: str) -> str:
    words = name.removesuffix("Document")
    return "".join(f" {one.lower()}" if one.isupper() and at else one for at, one in enumerate(words))


def _named(schema: Any) -> list[str]:
    """The definitions that a schema leads to, in order."""
    if isinstance(schema, dict):
        found = [schema["$ref"].rpartition("/")[2]] if "$ref" in schema else []
        return found + [name for key, value in schema.items() if key != "$defs" for name in _named(value)]
    return [name for one in schema for name in _named(one)] if isinstance(schema, list) else []


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
