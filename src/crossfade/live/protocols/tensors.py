"""One output of the Open Inference Protocol as a checked tensor, from JSON data or from raw little-endian bytes."""

from __future__ import annotations

import struct
from itertools import chain
from math import isfinite, prod
from typing import Any, Final

from crossfade.live.protocols.base import Invalid, Tensor

_CODES: Final = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
"""struct's letter for each datatype of fixed size."""

FLOATS: Final = frozenset(("FP16", "FP32", "FP64", "BF16"))
_NUMBERS: Final = frozenset((int, float))


def shape_of(output: dict[str, Any]) -> tuple[int, ...] | None:
    """The declared shape, or None when it is not a list of sizes."""
    return sizes(output.get("shape"))


def sizes(shape: Any) -> tuple[int, ...] | None:
    """The shape as a tuple, or None when it is not a list of sizes."""
    if not isinstance(shape, list):
        return None
    for size in shape:
        if type(size) is not int or size < 0:
            return None
    return tuple(shape)


def flat(data: Any) -> list[Any] | None:
    """Nested data in row-major order; None when it is not a list or is nested unevenly."""
    if type(data) is not list:
        return None
    while data and type(data[0]) is list:
        if set(map(type, data)) != {list}:
            return None
        if len(set(map(len, data))) > 1:
            return None
        data = list(chain.from_iterable(data))
    return data if list not in set(map(type, data)) else None


def binary_size(output: dict[str, Any]) -> int | None:
    """Bytes of this output after the JSON header; None when its data is in the JSON."""
    parameters = output.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    return size if type(size) is int and size >= 0 else None


def from_json(name: str, output: dict[str, Any]) -> Tensor | Invalid:
    """An output whose values stand in the JSON, flat or nested."""
    shape, data = shape_of(output), flat(output.get("data"))
    if shape is None:
        return Invalid("shape", f"output {name!r} has no shape, or one that is not a list of sizes")
    if data is None:
        return Invalid("shape", f"output {name!r} has no data, or it is nested unevenly")
    return _checked(name, str(output.get("datatype")), shape, data)


def from_bytes(name: str, output: dict[str, Any], data: bytes) -> Tensor | Invalid:
    """An output of the binary extension."""
    shape, datatype = shape_of(output), str(output.get("datatype"))
    if shape is None:
        return Invalid("shape", f"output {name!r} has no shape, or one that is not a list of sizes")
    if datatype == "BYTES":
        strings = _strings(data)
        if strings is None:
            return Invalid("shape", f"output {name!r}: a string is cut short")
        return _checked(name, datatype, shape, strings)
    if datatype == "BF16" and len(data) % 2 == 0:
        # bfloat16 is the upper half of a single-precision float.
        wide = bytearray(len(data) * 2)
        wide[2::4], wide[3::4] = data[0::2], data[1::2]
        data, code = bytes(wide), "f"
    elif datatype in _CODES:
        code = _CODES[datatype]
    else:
        return Invalid("broken", f"output {name!r}: datatype {datatype[:20]!r} cannot be read from binary data")
    count, rest = divmod(len(data), struct.calcsize("<" + code))
    if rest:
        return Invalid("shape", f"output {name!r}: {len(data)} bytes are no whole number of {datatype}")
    return _checked(name, datatype, shape, list(struct.unpack(f"<{count}{code}", data)))


def _strings(data: bytes) -> list[str] | None:
    """Strings that each follow their length in four bytes; None when the last is cut short."""
    found, at = [], 0
    while at < len(data):
        start = at + 4
        at = start + int.from_bytes(data[at:start], "little")
        if start > len(data) or at > len(data):
            return None
        found.append(data[start:at].decode(errors="backslashreplace"))
    return found


def _checked(name: str, datatype: str, shape: tuple[int, ...], values: list[Any]) -> Tensor | Invalid:
    """The tensor, if there are as many values as the shape says and each is of the datatype's kind."""
    if prod(shape) != len(values):
        return Invalid("shape", f"output {name!r} declares shape {list(shape)} and carries {len(values)} values")
    kinds = set(map(type, values))
    if datatype in FLOATS:
        if not kinds <= _NUMBERS:
            # Encoders that cannot write NaN write null or the word.
            odd = next(value for value in values if type(value) not in _NUMBERS)
            words = odd is None or (isinstance(odd, str) and odd.strip("+-").lower() in ("nan", "inf", "infinity"))
            return Invalid("nan" if words else "broken", f"output {name!r} holds {str(odd)[:40]!r} as {datatype}")
        try:
            if not all(map(isfinite, values)):
                return Invalid("nan", f"output {name!r} holds NaN or infinity")
            return Tensor(shape, values if int not in kinds else list(map(float, values)))
        except OverflowError:
            return Invalid("nan", f"output {name!r} holds a number too large for {datatype}")
    if datatype.startswith(("INT", "UINT")) and kinds - {int}:
        if kinds <= _NUMBERS and all(float(value).is_integer() for value in values if type(value) is float):
            return Tensor(shape, list(map(int, values)))
        return Invalid("broken", f"output {name!r} holds values that are not whole numbers as {datatype}")
    if datatype == "BOOL" and kinds - {bool}:
        if all(value in (0, 1) for value in values):
            return Tensor(shape, list(map(bool, values)))
        return Invalid("broken", f"output {name!r} holds values that are not true or false as BOOL")
    if datatype == "BYTES" and kinds - {str}:
        return Invalid("broken", f"output {name!r} holds values that are not strings as BYTES")
    return Tensor(shape, values)
