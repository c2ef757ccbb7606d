"""The ledger: what it chains, it can check; what it cannot say, it refuses."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.ledger import GENESIS, Body, Entry, Head, append, canonical, plain, verify

HERE = {"phase": "running", "stage": 0, "step": 0}


def body(n: int = 0, **changes: object) -> Body:
    said = Body(
        at=1.7e9 + n,
        rollout="ranker",
        revision="abc",
        kind="decision",
        rule="cleared",
        move="advance",
        actor="rule",
        sentence=f"Step {n} is cleared.",
        from_position=HERE if n else None,
        to_position=HERE,
        evidence=({"metric": "errors", "estimate": 0.1 * n, "reason": ""},),
        facts={"exposed": n},
    )
    return replace(said, **changes)  # type: ignore[arg-type]


def chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    for n in range(length):
        entries.append(append(entries[-1] if entries else None, body(n)))
    return entries


def test_entries_are_numbered_and_linked() -> None:
    first, second = chain(2)
    assert (first.n, first.previous) == (1, GENESIS)
    assert (second.n, second.previous) == (2, first.hash)
    assert verify([first, second]).intact


def test_an_empty_ledger_is_intact() -> None:
    assert verify([]) == verify(iter(()))
    assert verify([]).intact


def test_entries_cut_off_at_the_end_are_found_by_who_knows_where_it_ends() -> None:
    entries = chain(4)
    head = Head(4, entries[-1].to_position)
    assert verify(entries, head).intact
    assert verify([], Head(0, None)).intact
    for kept in (3, 0):
        found = verify(entries[:kept], head)
        assert (found.intact, found.first_broken) == (False, kept + 1)
    assert not verify(entries[:2], Head(2, {"phase": "promoted"})).intact
    assert verify(entries, Head(3, entries[2].to_position)).first_broken == 4


def test_records_come_back_from_json_unchanged() -> None:
    for entry in chain(3):
        text = canonical(entry.to_json())
        assert Entry.from_json(json.loads(text)) == entry


def test_the_hash_is_a_known_one() -> None:
    """The chain is a public format: whoever changes how it is computed breaks every ledger there is."""
    assert chain(1)[0].hash == "6435343204686af5e924b03dee913a7ae941b94f32af2ae4cbac11054bd0bb2e"


@pytest.mark.parametrize("gone", range(4))
def test_a_missing_entry_is_found(gone: int) -> None:
    entries = chain(5)
    del entries[gone]
    found = verify(entries)
    assert not found.intact
    assert found.first_broken == gone + 1


def test_swapped_entries_are_found() -> None:
    entries = chain(4)
    entries[1], entries[2] = entries[2], entries[1]
    assert verify(entries).first_broken == 2


def test_a_rewritten_tail_is_found_unless_every_hash_after_it_is_rewritten_too() -> None:
    entries = chain(4)
    entries[1] = append(entries[0], body(1, sentence="Nothing happened."))
    assert verify(entries).first_broken == 3


def test_an_entry_of_another_rollout_does_not_fit() -> None:
    first = append(None, body(0))
    assert verify([first, append(first, body(1, rollout="other"))]).first_broken == 2


def test_positions_must_join() -> None:
    first = append(None, body(0))
    elsewhere = {**HERE, "step": 2}
    assert verify([first, append(first, body(1, from_position=elsewhere))]).first_broken == 2


@given(st.data())
def test_any_flipped_byte_is_found_at_its_entry(data: st.DataObject) -> None:
    entries = chain(3)
    place = data.draw(st.integers(0, 2))
    text = bytearray(canonical(entries[place].to_json()))
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        changed = Entry.from_json(json.loads(bytes(text)))
    except (ValueError, TypeError, KeyError):
        return  # not even an entry any more: whoever reads it is told so
    if changed == entries[place]:
        return  # the schema's name, which readers do not keep
    entries[place] = changed
    found = verify(entries)
    assert not found.intact
    assert found.first_broken == place + 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=10,
    )
)
def test_whatever_is_recorded_can_be_hashed_and_read_again(value: object) -> None:
    evidence = ({"value": value},)
    try:
        entry = append(None, body(0, evidence=evidence))
    except UnicodeEncodeError:
        return
    again = Entry.from_json(json.loads(canonical(entry.to_json())))
    assert verify([again]).intact


def test_plain_keeps_numbers_and_says_none_for_what_is_not_one() -> None:
    assert plain({"a": math.nan, "b": math.inf, "c": np.float64(0.5), "d": np.int64(3), "e": (1, True)}) == {
        "a": None,
        "b": None,
        "c": 0.5,
        "d": 3,
        "e": [1, True],
    }


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        plain(object())
