"""The digest of a spec: fixed by published rules, so that another program can recompute it."""

from __future__ import annotations

import hashlib

import pytest

from crossfade.spec.digest import digest
from crossfade.spec.parse import SpecProblems, parse
from spec.examples import DESIGN, changed


def test_it_is_the_sha256_of_the_content_as_canonical_json() -> None:
    canonical = b'{"a":[1,0.5,"5%",true,null],"b":{"c":"no","d":"2024-01-01"}}'
    text = "# comment\nb: {d: 2024-01-01, c: no}\na:\n  - 1.0\n  - 0.5\n  - 5%\n  - true\n  - ~\n"
    assert digest(text) == hashlib.sha256(canonical).hexdigest()


def test_the_order_of_stages_and_steps_is_content() -> None:
    assert digest("a: [1, 2]") != digest("a: [2, 1]")


@pytest.mark.parametrize("number", [str(2**53), str(2**60), str(-(2**60)), "1e300", ".inf", "-.inf", ".nan"])
def test_every_number_has_a_digest(number: str) -> None:
    assert len(digest(f"a: {number}")) == 64


def test_large_neighbours_differ() -> None:
    assert digest(f"a: {2**60}") != digest(f"a: {2**60 + 1}")


def test_any_change_of_meaning_is_another_revision() -> None:
    assert parse(DESIGN).revision != parse(changed(DESIGN, ("alpha: 5%", "alpha: 4%"))).revision


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2", "", "a: !x 1"])
def test_what_is_no_document_has_no_digest(text: str) -> None:
    with pytest.raises(SpecProblems):
        digest(text)
