"""Lists of models under the rollout's name, and every other reply as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crossfade.live.exchange.messages import Head
from crossfade.live.model_list import LIMIT, Listing

NAMES = {"org/m1": "chat", "org/m2": "chat"}
LIST = {"object": "list", "data": [{"id": "org/m1", "object": "model"}, {"id": "other"}, {"id": "org/m2"}], "x": 1}


def head(body: bytes, *more: tuple[bytes, bytes], status: int = 200) -> Head:
    return Head(status, b"OK", ((b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body)), *more))


def told(body: bytes, said: Head | None = None, pieces: int = 1) -> tuple[Head, bytes]:
    listing, out, first = Listing(NAMES), b"", None
    step = -(-len(body) // pieces) or 1
    parts = [body[at : at + step] for at in range(0, len(body), step)] or [b""]
    for at, part in enumerate(parts):
        taken = listing.take((said or head(body)) if at == 0 else None, part, at == len(parts) - 1)
        if taken is not None:
            first = taken[0] or first
            out += taken[1]
    assert first is not None
    return first, out


@pytest.mark.parametrize("pieces", [1, 7])
def test_own_names_become_the_public_one_once(pieces: int) -> None:
    said, body = told(json.dumps(LIST).encode(), pieces=pieces)
    assert json.loads(body) == LIST | {"data": [{"id": "chat", "object": "model"}, {"id": "other"}]}
    assert said.lowered()["content-length"] == str(len(body))


def test_a_revision_behind_the_name_goes_with_it() -> None:
    _, body = told(b'{"data":[{"id":"org/m1@main"}]}')
    assert json.loads(body) == {"data": [{"id": "chat"}]}


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b"{}", b'{"data":3}', b'{"data":[1]}', b'{"data":[{"id":7}]}', b'{"data":[{"id":"a"}]}']
)
def test_what_is_no_list_of_ours_passes_as_it_came(body: bytes) -> None:
    assert told(body) == (head(body), body)


@pytest.mark.parametrize(
    ("more", "status"), [(((b"Content-Encoding", b"gzip"),), 200), ((), 500)], ids=["compressed", "an error"]
)
def test_what_cannot_be_read_passes_as_it_came(more: Any, status: int) -> None:
    body = json.dumps(LIST).encode()
    said = head(body, *more, status=status)
    assert told(body, said, pieces=3) == (said, body)


def test_a_list_without_end_is_not_held() -> None:
    listing = Listing(NAMES)
    assert listing.take(head(b""), b" " * LIMIT, False) is None
    taken = listing.take(None, b"  ", False)
    assert taken is not None
    assert len(taken[1]) == LIMIT + 2
    assert listing.take(None, b"x", True) == (None, b"x")
