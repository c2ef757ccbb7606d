"""Writes facts.md, the reference page of the stored facts, from the declarations in the package and nothing else.

Run it after a change to the facts: `python docs/reference/make_facts.py`. A test compares.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec

from crossfade import facts
from crossfade.rim.lake_columns import SCHEMAS

PAGE = Path(__file__).with_name("facts.md")

HEAD = """\
# Facts

What is recorded, as it is stored: a versioned public contract (version {version}). This page is generated from
`src/crossfade/facts.py` by `docs/reference/make_facts.py`.

{about}

A fact lies in two places, one after the other. A worker's **journal** holds batches of facts, each fact a msgpack array
that begins with its tag and goes on with its fields in the order below. The **lake** holds one Delta table a kind,
`lake/KIND` below the data folder (or below the URL given with `--lake`), with one column a field under the types given
here; any engine that reads Delta Lake reads them, with `exposed.decision_id = outcome.decision_id` as the join. Fields
that a later version adds are at the end, and null in files that an earlier one wrote.

What is asked of facts (`judge/measure`) is written once as Ibis expressions over these columns, none of which unpacks
JSON. The tests run all of them on DuckDB, a real PostgreSQL, Spark in local-cluster mode and ClickHouse (as the library
chdb), and compare the numbers. ClickHouse needs its setting `join_use_nulls = 1`.
"""


def page() -> str:
    """The page as it should be."""
    source = Path(facts.__file__).with_suffix(".py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    about = (ast.get_docstring(tree) or "").partition("\n\n")[2].replace("\n", " ")
    told = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    parts = [HEAD.format(version=facts.SCHEMA_VERSION, about=_wrapped(about))]
    parts += [_section(kind, name, told[kind.__name__]) for kind, name in facts.KINDS.items()]
    return "\n".join(parts)


def _section(kind: type, name: str, node: ast.ClassDef) -> str:
    says = _fields(node)
    tag = kind.__struct_config__.tag  # type: ignore[attr-defined]
    lines = [f"## {name}", "", f"`{kind.__name__}`, tag `{tag}`. {ast.get_docstring(node)}", ""]
    lines += ["| field | column | default | |", "| --- | --- | --- | --- |"]
    for field in msgspec.structs.fields(kind):
        type_ = SCHEMAS[name].field(field.name).type
        default = "" if field.default is msgspec.NODEFAULT else f"`{field.default!r}`"
        lines.append(f"| `{field.name}` | {_plain(str(type_))} | {default} | {says.get(field.name, '')} |")
    return "\n".join(lines) + "\n"


def _fields(node: ast.ClassDef) -> dict[str, str]:
    """What the text below each field says of it."""
    found: dict[str, str] = {}
    for field, text in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            said = ast.literal_eval(text.value)
            found[field.target.id] = " ".join(str(said).split()).replace("|", "\\|")
    return found


def _plain(type_: str) -> str:
    return re.sub(r"list<\w+: (\w+)>", r"list of \1", type_)


def _wrapped(text: str, width: int = 120) -> str:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*lines, line])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
