"""Golden vectors of assignment: the gateway, the client and any other language must give these buckets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xxhash

from crossfade.live.assign import bucket

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "assignment.json").read_text(encoding="utf-8"))["vectors"]


def test_the_hash_is_the_published_one():
    assert xxhash.xxh3_64_intdigest(b"") == 0x2D06800538D394C2, "XXH3's own check value for no input and seed 0"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: ascii(f"{v['salt'][:12]}:{v['unit'][:12]}")[1:-1])
def test_a_bucket_is_the_recorded_one(vector):
    assert bucket(vector["salt"], vector["unit"]) == vector["bucket"]
    assert int(vector["digest"], 16) / 2**64 == vector["bucket"]


def test_the_vectors_cover_what_goes_wrong():
    units = [vector["unit"] for vector in VECTORS]
    salts = [vector["salt"] for vector in VECTORS]
    assert any(not unit.isascii() for unit in units)
    assert any(not salt.isascii() for salt in salts)
    assert any(len(unit) > 240 for unit in units), "XXH3 takes another path beyond 240 bytes"
    assert "" in salts
    assert len({(v["salt"], v["unit"]) for v in VECTORS}) == len(VECTORS) >= 80
    # The one known ambiguity of joining by a colon, kept on record: a salt is a rollout's name and has no colon.
    by_pair = {(v["salt"], v["unit"]): v["bucket"] for v in VECTORS}
    assert by_pair["a:b", "c"] == by_pair["a", "b:c"]
