"""Which page a request asks for: whatever it says, and the same question under one fingerprint."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.interleave.balanced import balance_fairly
from crossfade.live.pages import Page, turned
from crossfade.spec.model import Pages, Parameter, Ranking

OFFSET, SIZE = Parameter(in_query=True, name="from"), Parameter(in_query=False, name="$.size")
RANKING = Ranking(items="$", pages=Pages(first=OFFSET, counted=False, start=0, limit=SIZE, size=10, deepest=100))

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["size", "q", "a"]), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=40), documents)
def test_nothing_that_a_stranger_sends_breaks_it(query: bytes, document: Any) -> None:
    turned(RANKING, "team-draft", b"/p?" + query, b"{}", lambda: document)
    turned(RANKING, "team-draft", b"/p?from=" + query, b"{}", lambda: document)


@given(st.integers(0, 80), st.integers(1, 20), st.text("abc", max_size=3))
def test_models_are_asked_for_all_up_to_the_pages_end(start: int, size: int, search: str) -> None:
    said = {"q": search, "size": size}
    target = f"/p?x=%20y&from={start}&z=1".encode()
    found = turned(RANKING, "team-draft", target, json.dumps(said).encode(), lambda: said)
    assert found is not None
    first = turned(RANKING, "team-draft", b"/p?x=%20y&z=1", json.dumps({"q": search, "size": 3}).encode(),
                   lambda: {"q": search, "size": 3})  # fmt: skip
    assert first is not None
    assert (first.page, first.digest) == (Page(0, 3, False, False), found.digest)
    if not start:
        assert (found.page, found.target) == (Page(0, size, False, False), target)
        return
    assert found.page == Page(start, start + size, True, False)
    assert found.target == b"/p?x=%20y&z=1&from=0"
    assert json.loads(found.body) == {"q": search, "size": start + size}
    deeper = turned(RANKING, "probabilistic", target, b"", lambda: said)
    assert deeper is not None
    assert json.loads(deeper.body)["size"] == 100


@given(st.lists(st.sampled_from("abcdefgh"), max_size=8), st.lists(st.sampled_from("abcdefgh"), max_size=8))
def test_balanced_lists_of_a_rollout_have_an_opposite_that_is_as_likely(a: list[str], b: list[str]) -> None:
    one, other = (balance_fairly(a, b, champion_leads=leads).owners for leads in (True, False))
    swapped = {"A": "B", "B": "A", "": ""}
    assert one == tuple(swapped[owner] for owner in other)
