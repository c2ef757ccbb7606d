"""The Open Inference Protocol v2 over HTTP (MLServer, KServe, Triton): named, typed, shaped outputs.

Also its binary tensor extension, where a JSON header is followed by raw little-endian tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final

from crossfade.live import paths
from crossfade.live.protocols import columns, document, number_list, tensors
from crossfade.live.protocols.base import Headers, Invalid, Prediction, Tensor
from crossfade.live.protocols.flat_reply import Outline, Outlined, Output, Reply, decode, outline
from crossfade.spec.model import Ranking

HEADER_LENGTH: Final = "inference-header-content-length"


class OpenInference:
    """Outputs are compared by name; ids, versions, parameters and timings are not part of the prediction."""

    name = "open-inference"
    streams = False

    def prediction(self, headers: Headers, body: bytes) -> Prediction | Invalid:
        """Each output as a tensor under its name. Never raises."""
        parts = _parts(headers, body)
        if isinstance(parts, Invalid):
            return parts
        data, tail = parts
        plain = None if tail else _plain(data)
        return _decoded(data, tail) if plain is None else plain

    def flaw(self, headers: Headers, body: bytes) -> Invalid | None:
        """Why the reply is unusable. Never raises."""
        parts = _parts(headers, body)
        if isinstance(parts, Invalid):
            return parts
        data, tail = parts
        if not tail and _sound(data):
            return None
        found = _decoded(data, tail)
        return found if isinstance(found, Invalid) else None

    def items(self, body: bytes, ranking: Ranking) -> list[tuple[str, Any]] | Invalid:
        """The ranked list as (id, item) pairs. Never raises.

        Where the list is an output's `data` (`$.outputs[0].data`), an item is its row over all outputs of as many
        rows, so that scores stay beside their ids. JSON replies only, not the binary extension.
        """
        try:
            place = columns.place(ranking)
        except paths.PathError as error:
            return Invalid("broken", str(error))
        return document.items(body, ranking) if place is None else columns.items(body, place)

    def merged(self, body: bytes, ranking: Ranking, items: Sequence[Any]) -> bytes:
        """The champion's reply with its rows replaced and shapes set to the new length; `body` itself if it cannot be.

        Never raises.
        """
        try:
            place = columns.place(ranking)
        except paths.PathError:
            return body
        return document.merged(body, ranking, items) if place is None else columns.merged(body, place, items)


def _parts(headers: Headers, body: bytes) -> tuple[bytes, bytes] | Invalid:
    """The JSON of a reply, and the raw tensors behind it."""
    data = document.plain(headers, body) if "content-encoding" in headers else body
    if isinstance(data, Invalid) or HEADER_LENGTH not in headers:
        return data if isinstance(data, Invalid) else (data, b"")
    cut = headers[HEADER_LENGTH].strip()
    if not (cut.isascii() and cut.isdigit() and len(cut) < 12 and int(cut) <= len(data)):
        return Invalid("broken", f"{HEADER_LENGTH} is {cut[:40]!r} on a body of {len(data)} bytes")
    return data[: int(cut)], data[int(cut) :]


def _sound(data: bytes) -> bool:
    """Whether this is what most replies are, flat floating-point tensors in order; False for all that needs a closer
    look."""
    try:
        reply = outline(data)
    except (ValueError, RecursionError):
        return False
    if not _answers(reply):
        return False
    names = set()
    for output in reply.outputs:
        shape = _shape(output)
        if shape is None or prod(shape) != number_list.count(bytes(output.data)):
            return False
        names.add(output.name)
    return len(names) == len(reply.outputs)


def _plain(data: bytes) -> Prediction | None:
    """What most replies are, flat floating-point tensors, decoded and checked in one go; None for all others.

    JSON has no NaN and the decoder refuses numbers out of range, so what was decoded is finite.
    """
    try:
        reply = decode(data)
    except (ValueError, RecursionError):
        return None
    if not _answers(reply):
        return None
    fields: dict[str, Tensor] = {}
    for output in reply.outputs:
        shape = _shape(output)
        if shape is None or prod(shape) != len(output.data) or output.name in fields:
            return None
        fields[output.name] = Tensor(shape, output.data)
    return Prediction(fields)


def _answers(reply: Reply | Outline) -> bool:
    """Whether there are outputs and no error."""
    return bool(reply.outputs) and not reply.error and not reply.error_code


def _shape(output: Output | Outlined) -> tuple[int, ...] | None:
    """The shape of floating-point values that are in the JSON for certain; None for any other output."""
    parameters = output.parameters
    plain = parameters is None or (type(parameters) is dict and "binary_data_size" not in parameters)
    return tensors.sizes(output.shape) if plain and output.datatype in tensors.FLOATS else None


def _decoded(data: bytes, tail: bytes) -> Prediction | Invalid:
    doc = document.load(data)
    if isinstance(doc, Invalid):
        return doc
    return document.failure(doc) or _outputs(doc, tail)


def _outputs(doc: Any, tail: bytes) -> Prediction | Invalid:
    """The tensors of a decoded reply; `tail` holds the raw ones, in order."""
    outputs = doc.get("outputs") if isinstance(doc, Mapping) else None
    if not isinstance(outputs, list) or not outputs:
        return Invalid("shape", "the reply has no `outputs`")
    fields: dict[str, Tensor] = {}
    at = 0
    for output in outputs:
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(name, str) or name in fields:
            return Invalid("shape", f"output {len(fields)} has no name of its own")
        size = tensors.binary_size(output)
        if size is None:
            found = tensors.from_json(name, output)
        elif at + size > len(tail):
            return Invalid("shape", f"output {name!r}: the binary data is cut short")
        else:
            found = tensors.from_bytes(name, output, tail[at : at + size])
            at += size
        if isinstance(found, Invalid):
            return found
        fields[name] = found
    if at != len(tail):
        return Invalid("shape", f"{len(tail) - at} bytes after the last output")
    return Prediction(fields)
