"""One request as it came from a client, and what is read from it, each once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
import xxhash

from crossfade.rim.http_text import CHUNKED, endpoint, request_head, request_headers, target_for
from crossfade.rim.upload import Upload
from crossfade.spec.model import Arm

_json = msgspec.json.Decoder()


class Request:
    """A complete request. Bytes are kept as they came; everything else is computed when asked for."""

    __slots__ = (
        "_document",
        "_held",
        "_lines",
        "_lower",
        "_parsed",
        "body",
        "framed",
        "headers",
        "keep_alive",
        "method",
        "modern",
        "target",
        "upload",
    )

    def __init__(
        self,
        *,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        framed: bool,
        modern: bool,
        keep_alive: bool,
        upload: Upload | None = None,
        held: object = None,
    ) -> None:
        self.method = method
        self.target = target
        """Path and query."""
        self.headers = headers
        self.body = body
        self.framed = framed
        """The request said that it has a body, be it empty."""
        self.modern = modern
        """HTTP/1.1, so that the reply may be chunked."""
        self.keep_alive = keep_alive
        self.upload = upload
        """The body where it is still arriving; `body` is empty then."""
        self._held = held
        self._lines: bytes | None = None
        self._lower: dict[str, str] | None = None
        self._document: Any = None
        self._parsed = False

    @property
    def path(self) -> str:
        """The path as routes are matched: no query, percent-escapes undone, so that no spelling evades its route."""
        return path_of(self.target)

    def lowered(self) -> Mapping[str, str]:
        """Lower-case header names to values; of a repeated header the last."""
        if self._lower is None:
            self._lower = {name.decode("latin-1").lower(): _text(value) for name, value in self.headers}
        return self._lower

    def header(self, name: str) -> Mapping[str, str]:
        """What `lowered` says of one header alone."""
        wanted = name.lower()
        raw = wanted.encode()
        size = len(raw)
        found = {}
        for key, value in self.headers:
            if len(key) == size and key.lower() == raw:
                found[wanted] = _text(value)
        return found

    def document(self) -> Any:
        """The body as JSON; None when it is none."""
        if not self._parsed:
            self._parsed = True
            try:
                self._document = _json.decode(self.body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._document = None
        return self._document

    def digest(self) -> str:
        """A fingerprint of what was asked."""
        return f"{xxhash.xxh3_64_intdigest(self.body, xxhash.xxh3_64_intdigest(self.target)):016x}"

    def bytes_for(self, arm: Arm) -> tuple[bytes, ...]:
        """The request as this arm gets it, in one piece where it is small."""
        if self._lines is None:
            self._lines = request_headers(self.headers)
        length: int | None
        if self.upload is not None:
            length = CHUNKED if self.upload.length is None else self.upload.length
        else:
            length = len(self.body) if self.framed else None
        head = request_head(self.method, target_for(self.target, arm.model), endpoint(arm.url), self._lines, length)
        if not self.body:
            return (head,)
        return (head + self.body,) if len(self.body) < 65536 else (head, self.body)


def path_of(target: bytes) -> str:
    """The path of a request target, escapes undone."""
    path = target.partition(b"?")[0]
    return _text(unquote_to_bytes(path)) if b"%" in path else path.decode("latin-1")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
