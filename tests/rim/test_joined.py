"""Joining recorded replies: whatever the order or the damage, each id is paired once and nothing is lost unsaid."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossfade.rim.joined import Joined

ids = st.lists(st.integers(0, 12), max_size=25)


def write(path: Path, names: Iterable[Any]) -> Path:
    lines = (json.dumps({"id": name, "response": {"n": at}}) for at, name in enumerate(names))
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def pairs(joined: Joined) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, replies in joined:
        assert name not in found
        found[name] = [None if one is None else json.loads(one.body)["n"] for one in replies]
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ids, ids, ids, st.sampled_from([0, 700, 10**6]))
def test_any_files_are_joined_like_tables(
    tmp_path: Path, a: list[int], b: list[int], c: list[int], waiting: int
) -> None:
    files = [write(tmp_path / name, some) for name, some in (("a", a), ("b", b), ("c", c))]
    joined = Joined(files, waiting=waiting)
    firsts = [{str(name): some.index(name) for name in some} for some in (a, b, c)]
    both = firsts[0].keys() & firsts[1].keys()
    assert pairs(joined) == {name: [first.get(name) for first in firsts] for name in both}
    for source, some, first in zip(joined.sources, (a, b, c), firsts, strict=True):
        assert source.lines == len(some)
        assert source.unmatched == len(first.keys() - both)
        assert source.duplicates == len(some) - len(first)


def test_files_in_other_order_are_joined_through_scratch_files(tmp_path: Path) -> None:
    names = [f"request-{n}" for n in range(3000)]
    shuffled = random.Random(7).sample(names, len(names))
    joined = Joined([write(tmp_path / "a", names), write(tmp_path / "b", shuffled)], waiting=20_000)
    found = pairs(joined)
    assert joined.spilled
    assert found == {name: [at, shuffled.index(name)] for at, name in enumerate(names)}


def test_files_in_one_order_need_none(tmp_path: Path) -> None:
    names = range(3000)
    joined = Joined([write(tmp_path / "a", names), write(tmp_path / "b", names)], waiting=20_000)
    assert len(pairs(joined)) == 3000
    assert not joined.spilled


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[1]", "expected an object with `id` and `response`, found a list"),
        ('{"response": 1}', "no `id`"),
        ('{"id": {}, "response": 1}', "`id` is an object"),
        ('{"id": true, "response": 1}', "`id` is true or false"),
        ('{"id": 1}', "no `response`"),
        ('{"id": 1, "response"', "not JSON"),
        ("\x00\x01", "not JSON"),
        ("[" * 5000, "not JSON"),
    ],
)
def test_a_bad_line_is_counted_and_told_with_its_place(tmp_path: Path, line: str, problem: str) -> None:
    good = '{"id": "x", "response": {"n": 0}}\n'
    (tmp_path / "a").write_text(f"{good}\n{line}\n")
    joined = Joined([tmp_path / "a", write(tmp_path / "b", ["x"])])
    assert list(pairs(joined)) == ["x"]
    (told,) = joined.sources[0].told
    assert str(told).startswith(f"{tmp_path / 'a'}:3: {problem}")
    assert joined.sources[0].bad == 1


def test_numbers_and_texts_name_the_same_request(tmp_path: Path) -> None:
    assert list(pairs(Joined([write(tmp_path / "a", [1]), write(tmp_path / "b", ["1"])]))) == ["1"]


def test_a_recorded_failure_is_a_reply_that_failed(tmp_path: Path) -> None:
    (tmp_path / "b").write_text('{"id": 1, "error": "timeout"}\n')
    ((_, (_, failed)),) = Joined([write(tmp_path / "a", [1]), tmp_path / "b"])
    assert failed is not None
    assert (failed.body, failed.error) == (b"", "timeout")


def test_python_s_nan_is_read(tmp_path: Path) -> None:
    (tmp_path / "b").write_text('{"id": 1, "response": {"n": NaN}}\n')
    ((_, (_, reply)),) = Joined([write(tmp_path / "a", [1]), tmp_path / "b"])
    assert reply is not None
    assert reply.body == b'{"n": NaN}'


def test_gzip_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(write(tmp_path / "a", ["x", "y"]).read_bytes()))
    pq.write_table(pa.table({"id": ["y", "x"], "response": ['{"n": 0}', '{"n": 1}']}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"id": ["y", "x"], "response": [{"n": 5}, {"n": 6}]}), tmp_path / "c.parquet")
    joined = Joined([tmp_path / "a.jsonl.gz", tmp_path / "b.parquet", tmp_path / "c.parquet"])
    assert pairs(joined) == {"x": [0, 1, 6], "y": [1, 0, 5]}


def test_a_file_cut_short_says_so(tmp_path: Path) -> None:
    whole = gzip.compress(write(tmp_path / "a", range(500)).read_bytes())
    (tmp_path / "a.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    joined = Joined([tmp_path / "a.gz", tmp_path / "b.parquet"])
    assert pairs(joined) == {}
    assert [source.bad for source in joined.sources] == [1, 1]
