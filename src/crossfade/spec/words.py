"""The words people write in a spec, each with how it is read, what is allowed and its JSON Schema.

A value comes either as a `Node` of a spec, and then a mistake is reported there and becomes `UNKNOWN`, or as plain
data, and then a mistake is pydantic's error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, WrapValidator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from crossfade.spec.model import SCORES, Better, Field, From, Kind, OnSegmentHarm, Parameter, Protocol, Source
from crossfade.spec.problems import listed, nearest
from crossfade.spec.source import UNKNOWN, Node, Unknown, shown


class Wrong(ValueError):
    """A value that is not allowed. `expected` replaces the word's general phrase where more can be said."""

    def __init__(self, *, near: str | None = None, hint: str | None = None, expected: str | None = None) -> None:
        super().__init__(expected or hint or "not allowed")
        self.near = near
        self.hint = hint
        self.expected = expected


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """One kind of scalar, used as pydantic metadata: `Annotated[float, Word(...)]`."""

    expected: str
    """What is allowed, to follow `expected`."""
    read: Callable[[Any], Any]
    """The meaning of a written value; raises Wrong."""
    schema: dict[str, Any]

    def _validate(self, value: Any) -> Any:
        if isinstance(value, Unknown) or (isinstance(value, Node) and isinstance(value.value, Unknown)):
            return UNKNOWN
        try:
            return self.read(value.value if isinstance(value, Node) else value)
        except Wrong as wrong:
            expected = wrong.expected or self.expected
            if isinstance(value, Node):
                value.wrong(expected, near=wrong.near, hint=wrong.hint)
                return UNKNOWN
            raise PydanticCustomError("spec", "expected {expected}", {"expected": expected}) from None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


def items(expected: str, *, least: int = 0) -> WrapValidator:
    """A list, read item by item, so that each mistake has its own place."""
    return WrapValidator(lambda value, handler: _inside(value, handler, list, expected, least))


def table(expected: str, *, least: int = 0) -> WrapValidator:
    """A mapping from names of the user's own to values."""
    return WrapValidator(lambda value, handler: _inside(value, handler, dict, expected, least))


def _inside(
    value: Any, handler: Callable[[Any], Any], kind: type[list[Any]] | type[dict[str, Any]], expected: str, least: int
) -> Any:
    if isinstance(value, Unknown) or (isinstance(value, Node) and isinstance(value.value, Unknown)):
        return UNKNOWN
    if not isinstance(value, Node):
        return handler(value)
    if not isinstance(value.value, kind) or len(value.value) < least:
        value.wrong(expected)
        return UNKNOWN
    return handler(value.value)


def number(value: Any) -> float | None:
    """A finite number as a float, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        read = float(value)
    except OverflowError:
        return None
    return read if math.isfinite(read) else None


def _read_flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
    text = str(value).lower() if isinstance(value, str) else ""
    raise Wrong(near=words.get(text), hint="leave the quotes out" if text in ("true", "false") else None)


FLAG = Word("true or false", _read_flag, {"type": "boolean"})


def choice(allowed: Iterable[str], later: Iterable[str] = ()) -> Word:
    """One word of a list. `later` are words we know and do not support yet."""
    words = tuple(str(word) for word in allowed)
    known = tuple(str(word) for word in later)
    kinds = {str(word): word for word in allowed}
    phrase = listed(words)

    def read(value: Any) -> Any:
        if isinstance(value, str):
            if value in words:
                return kinds[value]
            close = nearest(value, (*words, *known))
            if value in known or (close in known and value.lower() == close):
                raise Wrong(expected=f"{phrase}; {shown(value)} is not supported in this version")
            if close in words:
                raise Wrong(near=close)
        raise Wrong

    return Word(phrase, read, {"enum": list(words)})


PROTOCOL = choice((Protocol.OPEN_INFERENCE, Protocol.JSON, Protocol.MLFLOW, Protocol.PREDICT_V1, Protocol.OPENAI_CHAT))
KIND = choice((Kind.RATE, Kind.MEAN, Kind.COUNT, Kind.RATIO, Kind.QUANTILE, *SCORES))
BETTER = choice(Better)
ON_SEGMENT_HARM = choice(OnSegmentHarm)
SOURCE = choice(Source)
METHOD = choice(
    ["team-draft", "balanced", "probabilistic", "optimized"],
    ["team-draft-multileave", "probabilistic-multileave", "pairwise-preference"],
)


def text(expected: str, pattern: str = r"[^\x00-\x1f\x7f]+", *, most: int = 200) -> Word:
    """A text that matches a pattern as a whole."""
    whole = re.compile(pattern)

    def read(value: Any) -> str:
        if isinstance(value, str) and len(value) <= most and whole.fullmatch(value):
            return value
        if number(value) is not None or isinstance(value, bool):
            raise Wrong(near=f'"{shown(value)}"', hint="the quotes make it a text")
        raise Wrong

    return Word(expected, read, {"type": "string", "pattern": f"^(?:{pattern})$", "maxLength": most})


_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
NAME = text("a name of at most 64 letters, digits, '-', '_' and '.', such as ranker-v2", _NAME, most=64)
ROUTE = text(
    "a path prefix that begins with '/', without '?', '#' or spaces, such as /v2/models/ranker/infer",
    r"/[^\s?#\x00-\x1f\x7f]*",
    most=1000,
)

SHADOWED = ("shadow:champion", "shadow:challenger")


def _read_covariate(value: Any) -> str:
    if isinstance(value, str) and value.lower().startswith("shadow:"):
        if value in SHADOWED:
            return value
        raise Wrong(near=nearest(value, SHADOWED))
    return str(NAME.read(value))


COVARIATE = Word(
    "the name of an outcome, or shadow:champion or shadow:challenger",
    _read_covariate,
    {"anyOf": [NAME.schema, {"enum": list(SHADOWED)}]},
)

HEADER = text("the name of a header, such as x-dry-run", r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", most=100)

# The grammar of crossfade.live.paths, which this room may not import.
_STEPS = r"(?:\.[\w-]+|\[[0-9]{1,9}\]|\['[^'\x00-\x1f]+'\])"
JSON_PATH = text("a JSON path such as $.items or $.outputs[0].data", rf"\${_STEPS}*", most=500)

SECRET = text(
    "where a secret is: env:NAME for an environment variable, or file:/PATH for a file of its own",
    r"env:[A-Za-z_][A-Za-z0-9_]{0,100}|file:/[^\x00-\x1f\x7f]{1,300}",
    most=400,
)

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}"
_FIELD = re.compile(rf"(?:(header|cookie):({_TOKEN})|(json):(\${_STEPS}+)|(request))")


def _read_field(value: Any) -> Field:
    if isinstance(value, dict) and len(value) == 1:
        (key, inner), *_ = value.items()
        below = inner.value if isinstance(inner, Node) else inner
        if isinstance(below, str) and _FIELD.fullmatch(f"{key}:{below}"):
            raise Wrong(near=f"{key}:{below}", hint="no space after the colon")
    if not isinstance(value, str) or len(value) > 500:
        raise Wrong
    match = _FIELD.fullmatch(value)
    if match is None:
        raise Wrong(near=_near_field(value))
    if match[5]:
        return Field(source=From.REQUEST)
    if match[3]:
        return Field(source=From.JSON, name=match[4])
    # Header names are compared in lower case; cookie names are not.
    name = match[2].lower() if match[1] == "header" else match[2]
    return Field(source=From(match[1]), name=name)


def _near_field(value: str) -> str | None:
    head, colon, rest = value.partition(":")
    word = nearest(head, [str(source) for source in From])
    if word is None:
        return None
    rest = rest.strip()
    if word == From.JSON and rest and not rest.startswith("$"):
        rest = f"${rest}" if rest.startswith((".", "[")) else f"$.{rest}"
    guess = f"{word}:{rest}" if colon and word != From.REQUEST else word
    return guess if _FIELD.fullmatch(guess) else None


FIELD = Word(
    "header:NAME, cookie:NAME, json:$.path or request",
    _read_field,
    {
        "type": "string",
        "pattern": f"^{_FIELD.pattern}$",
        "examples": ["header:x-user-id", "cookie:session", "json:$.user.id", "request"],
    },
)


_PARAMETER = re.compile(rf"(?:query:([^\s&=#\x00-\x1f\x7f]{{1,100}})|json:(\${_STEPS}+))")


def _read_parameter(value: Any) -> Parameter:
    match = _PARAMETER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Wrong
    return Parameter(in_query=match[1] is not None, name=match[1] or match[2])


PARAMETER = Word(
    "query:NAME or json:$.path",
    _read_parameter,
    {"type": "string", "pattern": f"^{_PARAMETER.pattern}$", "examples": ["query:from", "json:$.size"]},
)


_IN_PROCESS = re.compile(r"python:[\w.:-]{0,200}")


def _read_url(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000 or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise Wrong
    if _IN_PROCESS.fullmatch(value):
        return value
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise Wrong(hint="the host or the port cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        bare = re.fullmatch(r"[A-Za-z0-9.-]+:\d{1,5}(/.*)?", value)
        raise Wrong(near=f"http://{value}" if bare else None)
    if port == 0:
        raise Wrong(hint="port 0 is nobody's")
    if parts.username is not None or parts.password is not None:
        raise Wrong(hint="a spec holds no credentials")
    if "?" in value or "#" in value:
        raise Wrong(hint="leave out what follows '?' or '#'")
    return value


URL = Word(
    "an http:// or https:// URL such as http://127.0.0.1:8101, or python: for a model inside your program",
    _read_url,
    {
        "type": "string",
        "pattern": rf"^(?:https?://[^\s?#@]+|{_IN_PROCESS.pattern})$",
        "examples": ["http://127.0.0.1:8101"],
    },
)

FUNCTION = text(
    "a function of your own as module:function, such as shop.scores:profit",
    r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*",
)

Name = Annotated[str, NAME]
Covariate = Annotated[str, COVARIATE]
Function = Annotated[str, FUNCTION]
Text = Annotated[str, text("a text of at most 200 printable characters")]
JsonPath = Annotated[str, JSON_PATH]
FieldName = Annotated[Field, FIELD]
ParameterName = Annotated[Parameter, PARAMETER]
FieldPath = Annotated[
    str,
    text(
        "a path such as $.probability or $.scores[1], or the name of an output",
        rf"\${_STEPS}*|[^$\x00-\x20\x7f][^\x00-\x1f\x7f]{{0,199}}",
    ),
]
AnyField = Annotated[
    str,
    text(
        "a path such as $.user.email or $.rows[*].name, or the name of an output",
        rf"\$(?:{_STEPS}|\[\*\])*|[^$\x00-\x20\x7f][^\x00-\x1f\x7f]{{0,199}}",
    ),
]
