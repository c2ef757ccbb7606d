"""The tail: what was put and not cleared comes back once, whole, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossfade.rim.tail import Tail, TailError

HALF = 4096


def opened(path: Path, after: int = 0) -> Tail:
    return Tail(path, after=after, half=HALF)


def test_a_new_tail_has_nothing_left(tmp_path: Path) -> None:
    tail = opened(tmp_path / "w.tail")
    assert tail.left == []
    tail.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.just("commit"), st.just("turn")), max_size=60),
    stop=st.sampled_from(["before", "marked"]),
)
def test_exactly_what_is_not_committed_is_left(tmp_path: Path, steps: list[bytes | str], stop: str) -> None:
    path = tmp_path / "w.tail"
    path.unlink(missing_ok=True)
    tail = opened(path)
    tail.start()
    marked = 0
    current: list[bytes] = []
    pending: list[bytes] | None = None
    for step in steps:
        if isinstance(step, bytes):
            tail.put(step)
            current.append(step)
        elif step == "commit":
            marked = tail.turn()
            tail.clear()
            current, pending = [], None
        else:
            generation = tail.turn()
            if stop == "marked":  # the batch was committed, and the kill came before `clear`
                marked = generation
                pending = None
            else:
                pending = current
            current = []
            break
    tail.close()
    again = opened(path, after=marked)
    assert [facts for _, facts in again.left] == [part for part in (pending, current) if part]
    again.start()
    again.close()
    last = opened(path, after=marked)
    assert last.left == []
    last.close()


def test_a_torn_record_ends_the_half(tmp_path: Path) -> None:
    path = tmp_path / "w.tail"
    tail = opened(path)
    tail.start()
    for word in (b"first", b"second", b"third"):
        tail.put(word)
    tail.close()
    data = bytearray(path.read_bytes())
    data[data.index(b"second") + 2] ^= 0xFF
    path.write_bytes(data)
    again = opened(path)
    assert [facts for _, facts in again.left] == [[b"first"]]
    again.close()


def test_facts_of_an_earlier_turn_of_the_same_half_do_not_come_back(tmp_path: Path) -> None:
    path = tmp_path / "w.tail"
    tail = opened(path)
    tail.start()
    marked = 0
    for word in (b"aaaa", b"bbbb", b"cccc"):
        tail.put(word)
        tail.put(word)
        marked = tail.turn()
        tail.clear()
    tail.put(b"dddd")
    tail.close()
    again = opened(path, after=marked)
    assert [facts for _, facts in again.left] == [[b"dddd"]]
    again.close()


def test_what_does_not_fit_is_counted_and_harms_nothing(tmp_path: Path) -> None:
    tail = opened(tmp_path / "w.tail")
    tail.start()
    for _ in range(100):
        tail.put(b"x" * 100)
    assert tail.untailed > 0
    tail.close()
    again = opened(tmp_path / "w.tail")
    assert sum(len(facts) for _, facts in again.left) == 100 - tail.untailed
    again.close()


def test_one_process_uses_a_tail(tmp_path: Path) -> None:
    tail = opened(tmp_path / "w.tail")
    with pytest.raises(TailError, match="in use"):
        opened(tmp_path / "w.tail")
    tail.close()
