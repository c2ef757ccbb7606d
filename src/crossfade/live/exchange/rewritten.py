"""Replies that leave with another body than they came with: a page cut out of a list, and the head that fits it."""

from __future__ import annotations

from dataclasses import replace

from crossfade.live.exchange.messages import Head
from crossfade.live.pages import Page
from crossfade.live.protocols.base import Invalid, Wire
from crossfade.spec.model import Ranking


def cut(wire: Wire, ranking: Ranking, body: bytes, page: Page) -> tuple[bytes, frozenset[str]]:
    """A page out of a reply's whole list, what is pinned included, and the ids that are on it."""
    whole = replace(ranking, pinned="")
    listed = wire.items(body, whole)
    if isinstance(listed, Invalid):
        return body, frozenset()
    wanted = listed[page.start : page.stop]
    if len(wanted) < len(listed):
        body = wire.merged(body, whole, [item for _, item in wanted])
    return body, frozenset([name for name, _ in wanted])


def resized(head: Head, size: int) -> Head:
    """The champion's head for a body that was written anew: its length fixed, its coding gone."""
    kept = tuple(
        (name, value)
        for name, value in head.headers
        if name.lower() not in (b"content-length", b"content-encoding", b"etag", b"content-md5", b"digest")
    )
    return Head(head.status, head.reason, (*kept, (b"Content-Length", str(size).encode())))
