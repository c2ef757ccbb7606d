"""One request as it came from a client, and what is read from it, each once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec
import xxhash

from crossfade.live import model_list, model_names, model_paths, readiness
from crossfade.live.protocols.open_inference import HEADER_LENGTH
from crossfade.rim.endpoints import endpoint
from crossfade.rim.http_text import CHUNKED, request_head, request_headers
from crossfade.rim.upload import Upload
from crossfade.spec.model import Arm, Protocol

_json = msgspec.json.Decoder()
_syntax = msgspec.json.Decoder(msgspec.Raw)
_TELLS_TYPE: Final = frozenset((b"content-type", HEADER_LENGTH.encode()))
_TELLS_LENGTHS: Final = frozenset(map(len, _TELLS_TYPE))
_JSON_TYPE: Final = b"Content-Type: application/json\r\n"

Edit = readiness.Affirming | model_names.Restoring | model_list.Listing

_NO_NAMES: Final[Mapping[str, str]] = {}


class Request:
    """A complete request. Bytes are kept as they came; everything else is computed when asked for."""

    __slots__ = (
        "_document",
        "_held",
        "_lines",
        "_lower",
        "_parsed",
        "_renamed",
        "asking",
        "body",
        "framed",
        "headers",
        "keep_alive",
        "method",
        "modern",
        "protocol",
        "public_names",
        "rewrite",
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
        self.protocol: Protocol | None = None
        """What its route says the body is written in; None outside every route."""
        self.public_names: Mapping[str, str] = _NO_NAMES
        """What models are called here by their own names, for a request that lists them."""
        self.rewrite: Callable[[Arm, tuple[bytes, ...]], tuple[bytes, ...]] | None = None
        """Has the last word on the bytes for an arm, where somebody traces this request."""
        self.asking: tuple[bytes, bytes] | None = None
        """Target and body that models are asked with in place of the client's, for a page of a merged list."""
        self._lines: bytes | None = None
        self._renamed: dict[str, model_names.Renamed | None] = {}
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

    def header(self, name: str) -> str:
        """What `lowered` says of one header alone; empty where there is none."""
        size = len(name)
        found = ""
        for key, value in self.headers:
            if len(key) == size and key.lower() == name.lower().encode():
                found = _text(value)
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

    def ask(self, asking: tuple[bytes, bytes] | None) -> None:
        """From here on models are asked this; None: what the client asked."""
        self.asking = asking
        self._renamed = {}

    def bytes_for(self, arm: Arm, mark: str = "") -> tuple[bytes, ...]:
        """The request as this arm gets it, in one piece where it is small; `mark` names a header sent as `true`."""
        lines = self._lines
        if lines is None:
            lines = self._lines = request_headers(self.headers) + (b"" if self._typed() else _JSON_TYPE)
        target, body = self.asking or (self.target, self.body)
        sent = self._named_for(arm)
        if sent is not None:
            target, body = sent.target, sent.body
            if sent.key:
                # The name is put back in the reply, which therefore must come in a form that can be read as it passes.
                lines = self._lines_without(b"accept-encoding", mark.encode())
        if mark:
            if sent is None or not sent.key:
                # A client's own header of that name must not stand beside ours, nor in its place.
                lines = self._lines_without(mark.encode(), b"")
            lines += mark.encode() + b": true\r\n"
        length: int | None
        if self.upload is not None:
            length = CHUNKED if self.upload.length is None else self.upload.length
        else:
            length = len(body) if self.framed else None
        head = request_head(self.method, target, endpoint(arm.url), lines, length)
        pieces = (head,) if not body else (head + body,) if len(body) < 65536 else (head, body)
        return pieces if self.rewrite is None else self.rewrite(arm, pieces)

    def _lines_without(self, one: bytes, other: bytes) -> bytes:
        kept = ((name, value) for name, value in self.headers if name.lower() not in (one, other))
        return request_headers(kept) + (b"" if self._typed() else _JSON_TYPE)

    def edits_for(self, arm: Arm) -> tuple[Edit, ...]:
        """What is to be put right in this arm's reply; nothing for most."""
        edits: list[Edit] = []
        if self.method == "GET":
            said = readiness.affirmation(self.method, self.path)
            if said:
                edits.append(readiness.Affirming(said))
            if self.public_names:
                edits.append(model_list.Listing(self.public_names))
        sent = self._named_for(arm)
        if sent is not None and sent.key:
            edits.append(model_names.Restoring(sent.key, sent.public))
        return tuple(edits)

    def _named_for(self, arm: Arm) -> model_names.Renamed | None:
        model = arm.model
        if model is None:
            return None
        if model not in self._renamed:
            self._renamed[model] = self._asking_for(model)
        return self._renamed[model]

    def _asking_for(self, model: str) -> model_names.Renamed | None:
        if self.public_names:
            # What the list says of one model; the reply's name is put right with those of lists.
            target = model_paths.listed_as(self.target, model)
            return None if target is None else model_names.Renamed(target, self.body, b"", b"")
        target, body = self.asking or (self.target, self.body)
        return model_names.renamed(self.protocol, self.method, target, body, model)

    def _typed(self) -> bool:
        """Whether the request says what its body is. Some clients say nothing of JSON, which some servers refuse."""
        if not self.body:
            return True
        for name, _ in self.headers:
            if len(name) in _TELLS_LENGTHS and name.lower() in _TELLS_TYPE:
                return True
        try:
            _syntax.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return True
        return False


def path_of(target: bytes) -> str:
    """The path of a request target, escapes undone."""
    path = target.partition(b"?")[0]
    return _text(unquote_to_bytes(path)) if path.find(b"%") >= 0 else path.decode("latin-1")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
