"""Files in TREC format: read as trec_eval reads them, and refused with file and line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.sim.trec import TrecError, read_qrels, read_run


def test_judgments_by_topic(tmp_path: Path) -> None:
    file = tmp_path / "qrels"
    file.write_bytes(b"\xef\xbb\xbf1 0 a 2\r\n\n1\t0\tb\t0\n2 Q0 a -2\n")
    assert read_qrels(file) == {"1": {"a": 2, "b": 0}, "2": {"a": -2}}


def test_rankings_go_by_score_and_ties_by_name_whatever_the_rank_says(tmp_path: Path) -> None:
    file = tmp_path / "run"
    file.write_text("1 Q0 a 1 0.5 x\n1 Q0 b 2 9 x\n1 Q0 c 3 0.5 x\n2 Q0 a 1 -1e3 x\n")
    assert read_run(file) == {"1": ["b", "c", "a"], "2": ["a"]}


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (read_qrels, "1 0 a 1\n1 0 b\n", ":2: found 3 fields; expected 4"),
        (read_qrels, "1 0 a good\n", ":1: found the grade 'good'"),
        (read_qrels, "1 0 a 1\n\n1 0 a 2\n", ":3: topic 1 judges a a second time"),
        (read_qrels, "\n", "found no judgments"),
        (read_run, "1 Q0 a 1 2.0 x\n1 Q0 b 2 nan x\n", ":2: found the score 'nan'"),
        (read_run, "1 Q0 a 1 high x\n", ":1: found the score 'high'"),
        (read_run, "1 Q0 a 1 2 x\n1 Q0 a 2 1 x\n", ":2: topic 1 ranks a a second time"),
        (read_run, "1 0 a 1\n", ":1: found 4 fields; expected 6"),
        (read_run, "", "found no ranking"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, read: Callable[[Path], object], text: str, said: str
) -> None:
    file = tmp_path / "file.txt"
    file.write_text(text)
    with pytest.raises(TrecError) as told:
        read(file)
    assert str(file) in str(told.value)
    assert said in str(told.value)
    assert told.value.what_to_do


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TrecError, match="there is no file"):
        read_run(tmp_path / "absent")
    with pytest.raises(TrecError, match="is a directory"):
        read_qrels(tmp_path)
    (tmp_path / "latin").write_bytes("1 0 a 1\n1 0 \xe4 1\n".encode("latin-1"))
    with pytest.raises(TrecError, match=r"latin:2: found the byte 0xE4"):
        read_qrels(tmp_path / "latin")


@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "file"
    file.write_bytes(content)
    for read in (read_qrels, read_run):
        with suppress(TrecError):
            assert read(file)
