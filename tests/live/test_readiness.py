"""A yes without a word gets its word; everything else stays as the model server said it."""

from __future__ import annotations

import json

import pytest

from crossfade.live.exchange.messages import Head
from crossfade.live.readiness import Affirming, affirmation

EMPTY = Head(200, b"OK", ((b"content-length", b"0"), (b"content-type", b"text/plain"), (b"x-model", b"one")))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v2/health/live", {"live": True}),
        ("/e/fraud/v2/health/ready", {"ready": True}),
        ("/v2/models/a/ready", {"name": "a", "ready": True}),
        ("/v2/models/a/versions/1/ready", {"name": "a", "ready": True}),
        ("/v2/health/other", None),
        ("/v2/models/a", None),
        ("/v1/models/a", None),
        ("/ready", None),
    ],
)
def test_what_a_yes_means(path: str, said: object) -> None:
    assert (json.loads(affirmation("GET", path)) if said else affirmation("GET", path)) == (said or b"")
    assert affirmation("POST", path) == b""


def test_an_empty_yes_is_filled_in() -> None:
    affirming = Affirming(b"{}")
    assert affirming.take(EMPTY, b"", False) is None
    assert affirming.take(None, b"", True) == (
        Head(200, b"OK", ((b"x-model", b"one"), (b"Content-Type", b"application/json"), (b"Content-Length", b"2"))),
        b"{}",
    )


@pytest.mark.parametrize("head", [EMPTY, Head(503, b"No", ())])
def test_what_is_said_is_not_changed(head: Head) -> None:
    body = b'{"live":true}' if head is EMPTY else b""
    assert Affirming(b"{}").take(head, body, True) == (head, body)
    slow = Affirming(b"{}")
    assert slow.take(head, b"", False) is None
    assert slow.take(None, b"no", False) == (head, b"no")
    assert slow.take(None, b"", True) == (None, b"")
