"""The head of a reply, and what all words between an exchange and its runner share."""

from __future__ import annotations

from typing import final

Headers = tuple[tuple[bytes, bytes], ...]
"""Name and value as they came over the wire, in order."""


class Word:
    """Never changed once made. Plain classes with positional arguments rather than records: several are made for each
    request, and compiled they cost next to nothing."""

    __slots__: tuple[str, ...] = ()

    def __repr__(self) -> str:
        told = (f"{name}={getattr(self, name)!r}" for name in dir(self) if not name.startswith("_"))
        return f"{type(self).__name__}({', '.join(told)})"


@final
class Head(Word):
    """Status line and headers of a reply."""

    __slots__ = ("headers", "reason", "status")

    def __init__(self, status: int, reason: bytes, headers: Headers) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Head):
            return NotImplemented
        return (self.status, self.reason, self.headers) == (other.status, other.reason, other.headers)

    def __hash__(self) -> int:
        return hash((self.status, self.reason, self.headers))

    def __reduce__(self) -> tuple[type[Head], tuple[int, bytes, Headers]]:
        return Head, (self.status, self.reason, self.headers)

    def lowered(self) -> dict[str, str]:
        """Lower-case names to values; of a repeated header the last."""
        return {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in self.headers}
