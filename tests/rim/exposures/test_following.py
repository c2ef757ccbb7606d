"""A log that is followed gives each whole line once, however it is written, rotated, cut and read again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from crossfade.rim.exposures import following
from crossfade.rim.exposures.following import Follower


class Log(RuleBasedStateMachine):
    """Somebody writes and rotates a log; somebody reads it, and dies now and then before or after the note."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.log, self.note = self.folder / "access.log", self.folder / "note.json"
        self.written: list[bytes] = []
        self.kept: list[bytes] = []
        self.count = self.turns = 0
        self.torn = b""
        self.file = self.log.open("ab", buffering=0)
        self.follower = Follower(self.log, self.note)
        # What was rotated away before anybody began to follow is nobody's promise.
        self.read()

    @rule(lines=st.integers(0, 4), cut=st.integers(0, 6))
    def write(self, lines: int, cut: int) -> None:
        for _ in range(lines):
            self.count += 1
            line = b"line %d" % self.count
            self.written.append(line)
            self.file.write((line + b"\n")[len(self.torn) :])
            self.torn = b""
        if cut and not self.torn:
            self.torn = (b"line %d" % (self.count + 1))[:cut]
            self.file.write(self.torn)

    @rule()
    def rotate(self) -> None:
        if self.torn:
            self.write(1, 0)
        self.file.close()
        self.turns += 1
        # Whoever rotates twice within one tick of the file system's clock says nothing of which came first.
        os.utime(self.log, ns=(self.turns, self.turns))
        self.log.rename(self.folder / f"access.log.{self.turns}")
        self.file = self.log.open("ab", buffering=0)

    @rule()
    def read(self) -> None:
        while lines := self.follower.lines():
            self.kept += lines
            self.follower.done()

    @rule()
    def die_before_the_note(self) -> None:
        before = len(self.kept)
        self.follower.lines()
        self.follower.close()
        assert len(self.kept) == before
        self.follower = Follower(self.log, self.note)

    def teardown(self) -> None:
        if not hasattr(self, "follower"):
            return
        if self.torn:
            self.write(1, 0)
        self.read()
        assert self.kept == self.written
        self.follower.close()
        self.file.close()


TestLog = Log.TestCase
TestLog.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


def test_a_log_that_is_copied_and_cut_begins_anew(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"one\ntwo\n")
    follower = Follower(log, tmp_path / "note")
    assert follower.lines() == [b"one", b"two"]
    follower.done()
    log.write_bytes(b"x\n")
    assert follower.lines() == [b"x"]
    follower.close()


def test_a_line_that_no_log_has_is_counted_and_what_follows_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LARGEST_LINE", 100)
    monkeypatch.setattr(following, "AT_ONCE", 64)
    log = tmp_path / "access.log"
    follower, found = Follower(log, tmp_path / "note"), []
    log.write_bytes(b"one\n" + b"x" * 1000 + b"\ntwo\n")
    for _ in range(40):
        found += follower.lines()
    assert (found, follower.lost) == ([b"one", b"two"], 1)
    follower.close()


def test_a_log_is_found_again_by_whatever_name_it_has(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"one\n")
    follower = Follower(log, tmp_path / "note")
    assert follower.lines() == [b"one"]
    follower.done()
    follower.close()
    with log.open("ab") as file:
        file.write(b"two\n")
    log.rename(tmp_path / "access.log.old")
    log.write_bytes(b"three\n")
    follower = Follower(log, tmp_path / "note")
    assert follower.lines() + follower.lines() == [b"two", b"three"]
    follower.close()


def test_a_log_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "access.log", tmp_path / "note")
    assert follower.lines() == []
    (tmp_path / "access.log").write_bytes(b"one\n")
    assert follower.lines() == [b"one"]
    follower.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([b"a", b"bb\n", b"\n", b"ccc\ndd"]), max_size=8))
def test_lines_are_whole(parts: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        follower, found = Follower(log, Path(folder) / "note"), []
        for part in parts:
            with log.open("ab") as file:
                file.write(part)
            found += follower.lines()
        whole = b"".join(parts).rpartition(b"\n")[0]
        assert found == [line for line in whole.split(b"\n") if line.strip()]
        follower.close()
