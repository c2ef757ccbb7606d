"""JSON documents and the lists in them: whatever is not the list leaves as it came."""

from __future__ import annotations

import gzip
import json
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live import paths
from crossfade.live.protocols import document
from crossfade.live.protocols.base import Invalid
from crossfade.spec.model import Ranking

ITEMS = Ranking(items="$.items", id="$.id")
BODY = b'{"took": 1.10, "big": 123456789012345678901, "items": [{"id": 1, "s": 0.10}, {"id":"b","x":[ 1 ]}], "n": null}'


def test_items_are_ids_with_their_bytes():
    found = document.items(BODY, ITEMS)
    assert [name for name, _ in found] == ["1", "b"]
    assert [bytes(item) for _, item in found] == [b'{"id": 1, "s": 0.10}', b'{"id":"b","x":[ 1 ]}']


def test_what_is_not_the_list_is_kept_digit_for_digit():
    one, two = (item for _, item in document.items(BODY, ITEMS))
    other = document.items(b'{"items":[{"id":"c","t":1e0}]}', ITEMS)[0][1]
    assert document.merged(BODY, ITEMS, [two, other, one]) == (
        b'{"took":1.10,"big":123456789012345678901,'
        b'"items":[{"id":"b","x":[ 1 ]},{"id":"c","t":1e0},{"id": 1, "s": 0.10}],"n":null}'
    )


@pytest.mark.parametrize(
    ("body", "ranking", "ids"),
    [
        (b'["a",2,"c"]', Ranking(items="$"), ["a", "2", "c"]),
        (b'{"predictions":[[3,1,2]]}', Ranking(items="$.predictions[0]"), ["3", "1", "2"]),
        (b'{"hits":{"hits":[{"_id":"x"},{"_id":"y"}]}}', Ranking(items="$.hits.hits", id="$._id"), ["x", "y"]),
        (b'{"r":[{"d":{"k":[7]}}]}', Ranking(items="$.r", id="$.d.k[0]"), ["7"]),
        (b'{"items":[]}', ITEMS, []),
    ],
)
def test_lists_lie_where_the_spec_says(body, ranking, ids):
    found = document.items(body, ranking)
    assert [name for name, _ in found] == ids
    merged = document.merged(body, ranking, [item for _, item in reversed(found)])
    assert [name for name, _ in document.items(merged, ranking)] == ids[::-1]


@pytest.mark.parametrize(
    ("body", "reason", "said"),
    [
        (b'{"results":[]}', "shape", "no $.items"),
        (b'{"items":{"id":1}}', "shape", "not a list"),
        (b'{"items":null}', "shape", "not a list"),
        (b"[]", "shape", "$.items"),
        (b'{"items":[{"id":1},{"name":2}]}', "shape", "item 1 of $.items has no usable id at $.id"),
        (b'{"items":[{"id":null}]}', "shape", "item 0"),
        (b'{"items":[{"id":{}}]}', "shape", "item 0"),
        (b'{"items":[{"id":""}]}', "shape", "item 0"),
        (b'{"items":[3]}', "shape", "item 0"),
        (b'{"items":[{"id":1,"s":NaN}]}', "nan", "NaN"),
        (b'{"items":[{"id":1,"s":1e999}]}', "nan", "too large"),
        (b'{"items":[', "broken", ""),
        (b"", "broken", "empty"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(body, reason, said):
    found = document.items(body, ITEMS)
    assert isinstance(found, Invalid)
    assert found.reason == reason
    assert said in found.detail
    assert document.merged(body, ITEMS, []) is body or reason != "broken"


@pytest.mark.parametrize("body", [b"", b"no json", b'{"results":[]}', b'{"items":7}', b"[]", b'{"items":"abc"}'])
def test_a_reply_without_the_list_comes_back_as_it_is(body):
    assert document.merged(body, ITEMS, [msgspec.Raw(b"1")]) is body


@pytest.mark.parametrize(
    ("coding", "squeeze"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_replies_are_read(coding, squeeze):
    assert document.plain({"content-encoding": coding.upper()}, squeeze(BODY)) == BODY
    short = document.plain({"content-encoding": coding}, squeeze(BODY)[:-9])
    assert isinstance(short, Invalid)
    assert isinstance(document.plain({"content-encoding": coding}, BODY), Invalid)


def test_a_compression_bomb_is_cut_off():
    bomb = gzip.compress(bytes(document.MOST_INFLATED + 1))
    found = document.plain({"content-encoding": "gzip"}, bomb)
    assert isinstance(found, Invalid)
    assert len(bomb) < document.MOST_INFLATED / 500


def test_an_unknown_coding_is_named():
    found = document.plain({"content-encoding": "br"}, b"\x0b")
    assert isinstance(found, Invalid)
    assert "'br'" in found.detail


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text(max_size=5), json_values, max_size=4),
    st.lists(
        st.tuples(st.integers() | st.text(st.characters(categories=("L",)), min_size=1, max_size=5), json_values),
        max_size=6,
    ),
    st.sampled_from((["items"], ["a", "b"], ["x y", 1], [])),
    st.randoms(use_true_random=False),
)
def test_reordering_changes_the_order_and_nothing_else(around, ranked, way, chance):
    """Checked with the standard library's decoder, which had no part in the merging."""
    listed = [{"id": name, "rest": rest} for name, rest in ranked]
    doc = listed
    for part in reversed(way):
        doc = [0, doc] if isinstance(part, int) else {**around, part: doc}
    ranking = Ranking(items=paths.join(way), id="$.id")
    body = json.dumps(doc).encode()
    found = document.items(body, ranking)
    assert [name for name, _ in found] == [str(name) for name, _ in ranked]
    order = list(range(len(found)))
    chance.shuffle(order)
    merged = document.merged(body, ranking, [found[index][1] for index in order])
    expected = paths.compile(ranking.items).set(doc, [listed[index] for index in order])
    assert json.loads(merged) == json.loads(json.dumps(expected))


ADS = Ranking(items="$.hits.hits", id="$._id", pinned="$.ad")
SEARCH = (
    b'{"took":3,"_shards":{"total":1},"hits":{"total":{"value":9},"max_score":1.50,"hits":['
    b'{"_id":"a","_score":1.50},{"_id":"ad-1","ad":true},{"_id":"b","_score":0.70,"_explanation":{"value":0.70}},'
    b'{"_id":"c","ad":0},{"_id":"ad-2","ad":"sold"}]}}'
)


def test_pinned_items_are_not_ranked_and_keep_their_slots():
    found = document.items(SEARCH, ADS)
    assert [name for name, _ in found] == ["a", "b", "c"]
    assert document.pinned(SEARCH, ADS) == {"ad-1", "ad-2"}
    a, b, c = (item for _, item in found)
    merged = document.merged(SEARCH, ADS, [c, b, a])
    listed = [item["_id"] for item in json.loads(merged)["hits"]["hits"]]
    assert listed == ["c", "ad-1", "b", "a", "ad-2"]
    assert merged.startswith(b'{"took":3,"_shards":{"total":1},"hits":{"total":{"value":9},"max_score":1.50,')
    assert b'{"_id":"b","_score":0.70,"_explanation":{"value":0.70}}' in merged
    assert document.merged(SEARCH, ADS, [a, b, c]) == SEARCH


@given(st.lists(st.booleans(), max_size=12), st.integers(0, 14))
def test_what_is_pinned_stays_where_it_was(flags, count):
    body = msgspec.json.encode({"items": [{"id": f"i{n}", "ad": flag} for n, flag in enumerate(flags)]})
    ranking = Ranking(items="$.items", id="$.id", pinned="$.ad")
    others = [msgspec.Raw(b'{"id":"o%d"}' % n) for n in range(count)]
    merged = [item["id"] for item in json.loads(document.merged(body, ranking, others))["items"]]
    assert sorted(merged) == sorted([f"o{n}" for n in range(count)] + [f"i{n}" for n, flag in enumerate(flags) if flag])
    assert [name for name in merged if name[0] == "o"] == [f"o{n}" for n in range(count)]
    for slot, flag in enumerate(flags):
        if flag and slot < len(merged) and merged[slot] != f"i{slot}":
            assert all(name[0] == "i" for name in merged[slot:]), "only where the list is too short for it"


def test_a_reply_without_a_list_has_nothing_pinned():
    for body in (b"", b"{}", b'{"hits":{"hits":1}}', b"[", b"NaN"):
        assert document.pinned(body, ADS) == frozenset()
    assert document.pinned(SEARCH, Ranking(items="$.hits.hits", id="$._id")) == frozenset()
