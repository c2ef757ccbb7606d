"""Pinned items of Python results: left where they are, as gateways leave them."""

from __future__ import annotations

from crossfade.client import values
from crossfade.spec.model import Ranking

ADS = Ranking(items="$.items", id="$.id", pinned="$.ad")


def test_pinned_items_are_not_ranked_and_keep_their_slots() -> None:
    result = {"items": [{"id": "ad", "ad": 1}, {"id": "a"}, {"id": "b"}], "n": 3}
    found = values.items(result, ADS)
    assert isinstance(found, list)
    assert [name for name, _ in found] == ["a", "b"]
    assert values.pinned(result, ADS) == {"ad"}
    merged = values.merged(result, ADS, [item for _, item in reversed(found)])
    assert merged == {"items": [{"id": "ad", "ad": 1}, {"id": "b"}, {"id": "a"}], "n": 3}
