"""Work under way is shown to a person who waits, on standard error alone, and to nobody else."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from crossfade.cli import common, progress
from crossfade.cli.progress import working
from crossfade.rim.record import LiveRecord
from crossfade.rim.replaying import replay
from crossfade.rim.verifying import check
from rim.recorded import NAME, make


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    from rich.console import Console

    shown = io.StringIO()
    monkeypatch.setattr(progress, "watched", lambda: True)
    drawn = Console(file=shown, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    monkeypatch.setattr(common, "console", lambda *, stderr: drawn)
    return shown


def waited(shown: io.StringIO, wanted: str) -> None:
    until = time.monotonic() + 60.0
    while wanted not in shown.getvalue():
        assert time.monotonic() < until, shown.getvalue()
        time.sleep(0.02)


def test_what_is_counted_is_told_with_its_total(terminal: io.StringIO) -> None:
    with working("Rehearsing", total=40, after=0.0) as at_work:
        waited(terminal, "Rehearsing (0 of 40)")
        assert list(at_work.each(range(3))) == [0, 1, 2]
        waited(terminal, "Rehearsing (3 of 40)")
    # It leaves the screen as it was: the line is cleared.
    assert terminal.getvalue().endswith("\x1b[2K")


def test_without_a_total_it_counts(terminal: io.StringIO) -> None:
    with working("Importing", unit="rows", after=0.0) as at_work:
        waited(terminal, "Importing")
        at_work.forward(1200)
        waited(terminal, "Importing: 1,200 rows")


def test_work_that_learns_its_total_on_the_way_tells_it(terminal: io.StringIO) -> None:
    with working("Checking", after=0.0) as at_work:
        waited(terminal, "Checking")
        at_work.upto(3, 12)
        waited(terminal, "Checking (3 of 12)")


def test_a_check_and_a_replay_tell_how_far_they_are(tmp_path: Path) -> None:
    make(tmp_path, wrong=0.9, ticks=8)
    record, told = LiveRecord(tmp_path, NAME), list[tuple[int, int]]()
    found = check(record, progress=lambda done, total: told.append((done, total)))
    assert told == [(n, found.files) for n in range(found.files)]
    told.clear()
    decisions = replay(record, progress=lambda done, total: told.append((done, total))).to_json()["decisions"]
    record.close()
    assert told == [(n + 1, decisions) for n in range(decisions)]


def test_quick_work_and_work_that_fails_leave_nothing_behind(terminal: io.StringIO) -> None:
    with pytest.raises(ZeroDivisionError), working("Dividing", after=30.0):
        raise ZeroDivisionError
    assert terminal.getvalue() == ""


def test_nothing_is_said_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with working("Counting", unit="rows", after=0.0) as at_work:
        at_work.forward(7)
        time.sleep(0.1)
    assert at_work.done == 7
    assert capsys.readouterr() == ("", "")
