"""Pseudonyms: one vector file for every language, and routes that record them."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.pseudonyms import pseudonym
from crossfade.live.routes import champion_only, recorded
from rim.gateway_kit import route

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "pseudonyms.json").read_text(encoding="utf-8"))["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["unit"])[:12])
def test_golden_vectors(vector: dict[str, Any]) -> None:
    assert pseudonym(vector["key"].encode(), vector["unit"]) == vector["pseudonym"]


@given(st.binary(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_different_units_stay_different_units(key: bytes, one: str, other: str) -> None:
    units = [unit.encode(errors="replace").decode() for unit in (one, other)]
    assert (pseudonym(key, units[0]) == pseudonym(key, units[1])) is (units[0] == units[1])


@given(st.binary(min_size=1, max_size=200), st.text(min_size=1).filter(lambda text: text.isascii()))
def test_it_is_what_the_library_calls_hmac(key: bytes, unit: str) -> None:
    assert pseudonym(key, unit) == hmac.digest(key, unit.encode(), "sha256").hex()[:32]


def test_no_unit_has_no_pseudonym() -> None:
    assert pseudonym(b"key", "") == ""


def test_a_route_records_a_pseudonym_or_nothing_and_does_not_tell_its_key() -> None:
    plain = route("http://a", "http://b")
    keyed = route("http://a", "http://b", pseudonyms=True, key=b"a key that nobody may see")
    assert recorded(plain, "ana") == "ana"
    assert recorded(keyed, "ana") == pseudonym(keyed.key, "ana")
    assert recorded(champion_only(keyed), "ana") == recorded(keyed, "ana")
    assert recorded(route("http://a", "http://b", pseudonyms=True), "ana") == ""
    assert "nobody may see" not in repr(keyed)
