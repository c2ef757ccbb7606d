"""The usual Open Inference reply as typed records: one pass decodes and checks it."""

from __future__ import annotations

from typing import Any

import msgspec


class Output(msgspec.Struct, gc=False):
    """A flat tensor of numbers."""

    name: str
    shape: list[Any]
    datatype: str
    data: list[float]
    parameters: Any = None


class Reply(msgspec.Struct, gc=False):
    """The reply; an error is any value of either name."""

    outputs: list[Output]
    error: Any = None
    error_code: Any = None


class Outlined(msgspec.Struct, gc=False):
    """A tensor whose values are left as they came."""

    name: str
    shape: list[Any]
    datatype: str
    data: msgspec.Raw
    parameters: Any = None


class Outline(msgspec.Struct, gc=False):
    """The reply without its values."""

    outputs: list[Outlined]
    error: Any = None
    error_code: Any = None


decode = msgspec.json.Decoder(Reply).decode
"""Raises msgspec.DecodeError for any other reply."""

outline = msgspec.json.Decoder(Outline).decode
"""The same."""
