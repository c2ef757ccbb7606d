"""Plain JSON: any document; the members of an object are its fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossfade.live.paths import member
from crossfade.live.protocols import document
from crossfade.live.protocols.base import Headers, Invalid, Prediction
from crossfade.spec.model import Ranking


class Json:
    """Replies whose meaning only their owner knows."""

    name = "json"
    streams = False

    def prediction(self, headers: Headers, body: bytes) -> Prediction | Invalid:
        """One field a member of the top-level object, by path; `$` for any other document. Never raises."""
        data = document.plain(headers, body)
        doc = data if isinstance(data, Invalid) else document.load(data)
        if isinstance(doc, Invalid):
            return doc
        if isinstance(doc, dict):
            return Prediction({f"${member(name)}": value for name, value in doc.items()})
        return Prediction({"$": doc})

    def flaw(self, headers: Headers, body: bytes) -> Invalid | None:
        """Why the reply is unusable. Never raises."""
        found = self.prediction(headers, body)
        return found if isinstance(found, Invalid) else None

    def items(self, body: bytes, ranking: Ranking) -> list[tuple[str, Any]] | Invalid:
        """The ranked list as (id, undecoded item) pairs. Never raises."""
        return document.items(body, ranking)

    def merged(self, body: bytes, ranking: Ranking, items: Sequence[Any]) -> bytes:
        """The champion's reply with its list replaced; `body` itself when that cannot be done. Never raises."""
        return document.merged(body, ranking, items)
