"""From text to nodes that know where they were written; YAML is understood here and nowhere else.

The YAML is read by the rules of YAML 1.2's core schema: only `true` and `false` are booleans, so that `no`, `on` and
`2024-01-01` stay the text they look like.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

from yaml.composer import Composer
from yaml.error import Mark, MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.nodes import Node as YamlNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from crossfade.spec.problems import Path, Problem, dotted, printable

MOST_CHARACTERS = 256 * 1024
MOST_NODES = 20_000
MOST_DEPTH = 40


class Unknown:
    """The type of `UNKNOWN`, the value of what was written wrongly; its problem is already told."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(slots=True, eq=False)
class Node:
    """One written value, with its place, and the list into which its problems go."""

    value: Any
    """A scalar, a dict of nodes, a list of nodes, or `UNKNOWN`."""
    path: Path
    line: int
    column: int
    key_line: int
    key_column: int
    problems: list[Problem] = field(repr=False)
    quoted: bool = False

    def found(self) -> str:
        """What stands here, in words short enough for a message."""
        value = self.value
        if isinstance(value, dict):
            return f"a mapping ({printable(', '.join(list(value)[:4]))[:60]})" if value else "an empty mapping"
        if isinstance(value, list):
            return f"a list of {len(value)}" if value else "an empty list"
        return shown(value)

    def wrong(self, expected: str, *, near: str | None = None, hint: str | None = None) -> None:
        """Report that this value is not what is allowed here."""
        message = f"found {self.found()}; expected {expected}"
        if near is not None:
            message += f"; did you mean {printable(near)}?"
        if hint is not None:
            message += f" ({hint})"
        self.report(message, allowed=expected, near=near)

    def report(
        self, message: str, *, allowed: str | None = None, near: str | None = None, found: str | None = None
    ) -> None:
        """Report a problem with this value, in a whole sentence."""
        self._add(self.line, self.column, self.path, message, found or self.found(), allowed, near)

    def report_key(self, message: str, *, allowed: str | None = None, near: str | None = None) -> None:
        """Report a problem with the key of this value."""
        key = str(self.path[-1]) if self.path else ""
        self._add(self.key_line, self.key_column, self.path, message, shown(key), allowed, near)

    def report_missing(self, key: str, message: str) -> None:
        """Report that `key` is not written in this mapping; the place is the mapping's own."""
        self._add(self.key_line, self.key_column, (*self.path, key), message, "nothing", None, None)

    def _add(
        self, line: int, column: int, path: Path, message: str, found: str, allowed: str | None, near: str | None
    ) -> None:
        self.problems.append(
            Problem(
                line=line,
                column=column,
                path=dotted(path),
                message=message,
                found=found,
                allowed=allowed,
                nearest=near,
            )
        )

    def plain(self) -> Any:
        """The content alone: dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value


def shown(value: object) -> str:
    """A scalar as a message quotes it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{printable(value if len(value) <= 60 else value[:57] + '...')}'"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def load(text: str) -> tuple[Node, list[Problem]]:
    """The root node of a spec and every problem of the YAML itself. The root is `UNKNOWN` where there is none."""
    problems: list[Problem] = []
    nothing = Node(UNKNOWN, (), 1, 1, 1, 1, problems)
    if len(text) > MOST_CHARACTERS:
        nothing.report(
            f"the spec is {len(text)} characters long; at most {MOST_CHARACTERS} are read", found="a long text"
        )
        return nothing, problems
    try:
        root = _Loader(text).get_single_node()
    except YAMLError as error:
        problems.append(_syntax(error, text))
        return nothing, problems
    except RecursionError:
        nothing.report(f"the spec is nested too deeply; {MOST_DEPTH} levels are enough for any", found="deep nesting")
        return nothing, problems
    except (ValueError, OverflowError) as error:
        # PyYAML lets these through for escapes and directives that name impossible numbers.
        nothing.report(f"this is not valid YAML: {error}", found="an impossible number in an escape or directive")
        return nothing, problems
    if root is None:
        nothing.report("the spec is empty; `crossfade init` writes one to start from", found="nothing")
        return nothing, problems
    return _Builder(problems).build(root, (), None, ()), problems


def split_lines(text: str) -> list[str]:
    """The lines of a text as YAML counts them."""
    return re.split("\r\n|[\n\r\x85\u2028\u2029]", text)


_TAG = "tag:yaml.org,2002:"


class _Resolver(BaseResolver):
    """YAML 1.2's core schema."""


_Resolver.add_implicit_resolver(_TAG + "null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Resolver.add_implicit_resolver(_TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Resolver.add_implicit_resolver(_TAG + "int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Resolver.add_implicit_resolver(
    _TAG + "float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


class _Loader(Reader, Scanner, Parser, Composer, _Resolver):
    """Composes nodes and constructs nothing, so that no tag can run code."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Resolver.__init__(self)


class _Builder:
    """Turns composed YAML into nodes, telling what no spec may hold."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.count = 0

    def build(self, yaml: YamlNode, path: Path, key: Mark | None, above: tuple[int, ...]) -> Node:
        mark = yaml.start_mark
        empty = isinstance(yaml, ScalarNode) and not yaml.value
        block = isinstance(yaml, MappingNode | SequenceNode) and not yaml.flow_style
        place = key if key is not None and (empty or block) else mark
        of_key = key or mark
        node = Node(UNKNOWN, path, place.line + 1, place.column + 1, of_key.line + 1, of_key.column + 1, self.problems)
        self.count += 1
        if id(yaml) in above:
            node.report("this alias holds itself; write the value out", found="an alias")
        elif len(path) > MOST_DEPTH:
            node.report(f"nested more than {MOST_DEPTH} levels deep", found="deep nesting")
        elif self.count > MOST_NODES:
            if self.count == MOST_NODES + 1:
                node.report(f"the spec holds more than {MOST_NODES} values", found="too many values")
        elif isinstance(yaml, MappingNode) and yaml.tag == _TAG + "map":
            node.value = self._mapping(yaml, path, (*above, id(yaml)))
        elif isinstance(yaml, SequenceNode) and yaml.tag == _TAG + "seq":
            node.value = [
                self.build(item, (*path, index), None, (*above, id(yaml))) for index, item in enumerate(yaml.value)
            ]
        elif isinstance(yaml, ScalarNode):
            node.quoted = yaml.style in ("'", '"', "|", ">")
            node.value = self._scalar(yaml, node)
        else:
            node.report(f"the tag {shown(yaml.tag)} is not used in specs; leave it out", found=shown(yaml.tag))
        return node

    def _mapping(self, yaml: MappingNode, path: Path, above: tuple[int, ...]) -> dict[str, Node]:
        children: dict[str, Node] = {}
        for key, value in yaml.value:
            mark = key.start_mark
            if not isinstance(key, ScalarNode) or not _is_text(key.value):
                self._tell(mark, path, "a key must be a plain word", "a key that is not a word")
                continue
            name = key.value
            if name == "<<" and key.style is None:
                self._tell(mark, (*path, name), "merge keys (<<) are not read; write the keys out", "'<<'")
                continue
            if name in children:
                first = children[name].key_line
                self._tell(
                    mark,
                    (*path, name),
                    f"the key {shown(name)} is written twice; the first is on line {first}: keep one",
                    shown(name),
                )
                continue
            children[name] = self.build(value, (*path, name), mark, above)
        return children

    def _scalar(self, yaml: ScalarNode, node: Node) -> Any:
        text: str = yaml.value
        if not _is_text(text):
            node.report("this text holds an escape that is not a Unicode character", found="half a character")
            return UNKNOWN
        kind = yaml.tag.removeprefix(_TAG)
        try:
            match kind:
                case "str":
                    return text
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}[text.lower()]
                case "int":
                    return int(text)
                case "float":
                    return _float(text)
        except (ValueError, KeyError):
            node.report(f"{shown(text)} cannot be read as a value of type {kind}", found=shown(text))
            return UNKNOWN
        node.report(f"the tag {shown(yaml.tag)} is not used in specs; leave it out", found=shown(yaml.tag))
        return UNKNOWN

    def _tell(self, mark: Mark, path: Path, message: str, found: str) -> None:
        self.problems.append(
            Problem(line=mark.line + 1, column=mark.column + 1, path=dotted(path), message=message, found=found)
        )


def _float(text: str) -> float:
    lowered = text.lower()
    if lowered.endswith("inf"):
        return -math.inf if lowered.startswith("-") else math.inf
    return math.nan if lowered == ".nan" else float(text)


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


_HINTS = (
    ("'\\t'", "YAML indents with spaces, never with tabs"),
    (
        "mapping values are not allowed",
        "one `key: value` a line; in a value, quote `: ` or leave out its space",
    ),
    ("cannot start any token", "put the text in quotes"),
    ("expected ',' or ']'", "the list is not closed: add `]`"),
    ("expected ',' or '}'", "the mapping is not closed: add `}`"),
    ("unexpected end of stream", "the quotes are not closed"),
    ("found '<stream end>'", "a list or a mapping is not closed: add `]` or `}`"),
    ("could not find expected ':'", "every line of a mapping reads `key: value`"),
    ("expected <block end>", "this line's indentation does not fit the lines above it"),
    ("single document", "a file holds one rollout: remove the `---` and give each its own file"),
)


def _syntax(error: YAMLError, text: str) -> Problem:
    if isinstance(error, ReaderError):
        before = split_lines(text[: error.position])
        name = f"U+{ord(text[error.position]):04X}"
        return Problem(
            line=len(before),
            column=len(before[-1]) + 1,
            path="",
            message=f"the character {name} cannot stand in a YAML text; remove it",
            found=name,
        )
    if not isinstance(error, MarkedYAMLError):
        return Problem(line=1, path="", message=f"this is not valid YAML: {error}", found="broken YAML")
    said = error.problem or error.context or "it cannot be read"
    if "single document" in (error.context or ""):
        said = "expected a single document, found another"
    mark = error.problem_mark or error.context_mark
    opened = error.context_mark
    # What was opened and never closed is noticed only lines later; people look for the opening.
    if opened is not None and ("expected ',' or" in said or "unexpected end of stream" in said):
        mark = opened
    hint = next((hint for sign, hint in _HINTS if sign in said), None)
    return Problem(
        line=mark.line + 1 if mark else 1,
        column=mark.column + 1 if mark else 1,
        path="",
        message=f"this is not valid YAML: {said}" + (f"; {hint}" if hint else ""),
        found="broken YAML",
    )
