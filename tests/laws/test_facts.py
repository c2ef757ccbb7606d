"""Laws of facts: what is written can be read, by this version and by any later one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.facts import (
    KINDS,
    Compared,
    Dropped,
    Exposed,
    Fact,
    Fault,
    Lease,
    Outcome,
    Shown,
    by_kind,
    decode,
    encode,
)

YESTERDAY = Path(__file__).parents[1] / "golden" / "facts-v1.bin"
"""Bytes written by version 1. Never regenerate this file: journals in the field hold the same bytes."""

GOLDEN: list[Fact] = [
    Exposed(
        rollout="ranker-v2",
        revision="sha256:ab12",
        decision_id="0192f0c1-7e7c-7abc-8def-0123456789ab",
        at=1760000000.125,
        unit="user-7",
        arm="v2",
        served_by="v1",
        mode="canary",
        stage=1,
        step=2,
        weight=0.2,
        status=200,
        failed=True,
        reason="timeout",
        latency_ms=250.0,
        total_ms=263.5,
        size=4096,
        segments=("DE", ""),
    ),
    Compared(
        rollout="ranker-v2",
        revision="sha256:ab12",
        decision_id="d2",
        at=1760000001.0,
        unit="Ünït-✓",
        arm="v2",
        stage=0,
        champion_failed=False,
        challenger_failed=False,
        reason="",
        differs=True,
        noise_differs=None,
        champion_ms=11.5,
        challenger_ms=12.25,
        fields=("predict", "$.items[*].score"),
        segments=("FR", "ios"),
    ),
    Compared(
        rollout="ranker-v2",
        revision="sha256:ab12",
        decision_id="d3",
        at=1760000002.0,
        unit="",
        arm="v2",
        stage=0,
        champion_failed=False,
        challenger_failed=True,
        reason="nan",
        differs=False,
        noise_differs=False,
        champion_ms=0.5,
        challenger_ms=30000.0,
    ),
    Shown(
        rollout="ranker-v2",
        revision="sha256:ab12",
        decision_id="d4",
        at=1760000003.0,
        unit="user-8",
        stage=2,
        method="team-draft",
        items=("b", "a", "c"),
        owners=("v2", "v1", ""),
        excluded="",
        segments=(),
    ),
    Outcome(
        outcome_id="o1",
        rollout="",
        decision_id="d4",
        unit="",
        name="click",
        value=1.0,
        item="b",
        at=1760000010.0,
        received_at=1760000011.5,
    ),
    Dropped(rollout="ranker-v2", at=1760000012.0, worker="w0", reason="full", count=17),
    Lease(at=1760000013.0, worker="w0", held=False),
    Fault(at=1760000014.0, worker="w1", rollout="ranker-v2", what="journal", detail="disk full", count=3),
]

SINCE_VERSION_1 = {
    Exposed: ("segments",),
    Compared: ("fields", "segments"),
    Shown: ("excluded", "segments"),
    Outcome: (),
    Dropped: (),
    Lease: (),
    Fault: ("count",),
}
"""The optional tail of each fact in version 1. A longer tail is welcome, anything else is a broken promise."""

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


def _exactly(kind: type) -> st.SearchStrategy:
    """A strategy for one kind that also fills the fields that have defaults."""
    types = {str: texts, float: st.floats(allow_nan=False), int: st.integers(-(2**63), 2**63 - 1), bool: st.booleans()}
    types |= {tuple[str, ...]: st.lists(texts, max_size=5).map(tuple), bool | None: st.none() | st.booleans()}
    types |= {tuple[int, ...]: st.lists(types[int], max_size=5).map(tuple), float | None: st.none() | types[float]}
    types |= {tuple[float, ...]: st.lists(st.floats(allow_nan=False), max_size=5).map(tuple)}
    return st.builds(kind, **{field.name: types[field.type] for field in _fields(kind)})


def _fields(kind: type) -> tuple:
    return msgspec.structs.fields(kind)


every_fact = st.one_of(*map(_exactly, KINDS))


@given(st.lists(every_fact, max_size=8))
def test_what_is_written_is_read(batch):
    assert decode(encode(batch)) == batch


@given(st.lists(every_fact, max_size=12))
def test_grouping_keeps_every_fact_and_its_order(batch):
    grouped = by_kind(batch)
    assert sorted(map(id, batch)) == sorted(id(fact) for group in grouped.values() for fact in group)
    for kind, group in grouped.items():
        assert group == [fact for fact in batch if KINDS[type(fact)] == kind]


def test_every_kind_of_fact_has_its_own_name_and_tag():
    assert len(set(KINDS.values())) == len(KINDS)
    tags = [kind.__struct_config__.tag for kind in KINDS]
    assert tags == ["e", "c", "s", "o", "d", "l", "f", "k"]


def test_yesterdays_bytes_are_read_today():
    assert decode(YESTERDAY.read_bytes()) == GOLDEN


@pytest.mark.parametrize("fact", GOLDEN, ids=lambda fact: f"{KINDS[type(fact)]}-{fact.at:.0f}")
def test_bytes_from_before_an_optional_field_give_its_default(fact):
    row = msgspec.msgpack.decode(encode([fact]))[0]
    tail = SINCE_VERSION_1[type(fact)]
    optional = [field.name for field in _fields(type(fact)) if not field.required]
    assert tuple(optional[: len(tail)]) == tail
    required = len(row) - len(optional)
    for kept in range(required, len(row)):
        (read,) = decode(msgspec.msgpack.encode([row[:kept]]))
        # The tag takes the first place in the row.
        for index, field in enumerate(_fields(type(fact)), start=1):
            expected = getattr(fact, field.name) if index < kept else field.default
            assert getattr(read, field.name) == expected


@pytest.mark.parametrize("kind", KINDS, ids=KINDS.get)
def test_a_field_may_be_added_at_the_end(kind):
    """A later version reads our bytes, and we read its bytes while workers of both versions run."""
    later = msgspec.defstruct(
        kind.__name__,
        [("added", str, "default")],
        bases=(kind,),
        tag=kind.__struct_config__.tag,
        frozen=True,
        array_like=True,
        kw_only=True,
    )
    ours = [fact for fact in GOLDEN if type(fact) is kind]
    theirs = msgspec.msgpack.decode(encode(ours), type=list[later])
    assert [fact.added for fact in theirs] == ["default"] * len(ours)
    for name in (field.name for field in _fields(kind)):
        assert [getattr(fact, name) for fact in theirs] == [getattr(fact, name) for fact in ours]
    assert decode(msgspec.msgpack.encode(theirs)) == ours


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_in_one_way(data):
    try:
        read = decode(data)
    except msgspec.DecodeError:
        return
    # Compared as bytes, because a NaN in them is not equal to itself.
    assert encode(decode(encode(read))) == encode(read)


def test_a_text_that_is_not_utf8_is_refused_in_that_way_too():
    with pytest.raises(msgspec.DecodeError, match="not UTF-8"):
        decode(encode([Lease(at=1.0, worker="w0", held=True)]).replace(b"w0", b"\xff\xfe"))


def test_a_fact_is_frozen():
    with pytest.raises(AttributeError):
        GOLDEN[0].unit = "somebody else"
