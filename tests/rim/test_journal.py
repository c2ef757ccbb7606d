"""The journal and its recorder: acknowledged means on disk, recorded means it survives a kill."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from crossfade.facts import Exposed, Fact, Fault
from crossfade.rim import batches
from crossfade.rim.journal import Journal, JournalError
from crossfade.rim.recorder import Recorder

from .facts_made import exposed


def read(path: Path) -> list[Fact]:
    connection = batches.connect(path)
    found = [fact for row in batches.rows(connection, 0, 10**9) for fact in row.facts]
    connection.close()
    return found


def ids(facts: Sequence[Fact]) -> list[str]:
    return [fact.decision_id for fact in facts if isinstance(fact, Exposed)]


def test_what_is_appended_comes_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0")
    written = [exposed(n, segments=("de", "")) for n in range(50)]
    journal.append(written[:1])
    journal.append([])
    journal.append(written[1:])
    assert read(journal.path) == written
    journal.close()


def test_row_ids_grow_across_deletions(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0")
    journal.append([exposed(0)])
    connection = batches.connect(journal.path)
    connection.execute("DELETE FROM batches")
    journal.append([exposed(1)])
    assert [row.id for row in batches.rows(connection, 0, 10)] == [2]
    connection.close()
    journal.close()


def test_a_damaged_batch_is_an_error_and_not_a_guess(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0")
    journal.append([exposed(n) for n in range(100)])
    connection = batches.connect(journal.path)
    connection.execute("UPDATE batches SET blob = substr(blob, 1, length(blob) / 2)")
    with pytest.raises(JournalError, match="batch 1"):
        list(batches.rows(connection, 0, 1000))
    connection.close()
    journal.close()


def test_the_recorder_writes_everything_within_a_moment(tmp_path: Path) -> None:
    recorder = Recorder(Journal(tmp_path, "w0"))
    facts = [exposed(n) for n in range(3000)]
    for fact in facts:
        recorder.record(fact)
    assert recorder.flush()
    assert recorder.healthy
    assert read(tmp_path / "journal/w0.db") == facts
    recorder.record(exposed(3000))
    recorder.close()
    assert len(read(tmp_path / "journal/w0.db")) == 3001


@pytest.fixture
def small_disk() -> Iterator[Callable[[int | None], None]]:
    """Lets files grow up to a size only; the system refuses each write beyond it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit(None)


def test_a_full_disk_turns_the_recorder_unhealthy_and_back(
    tmp_path: Path, small_disk: Callable[[int | None], None]
) -> None:
    recorder = Recorder(Journal(tmp_path, "w0"), backlog=500)
    recorder.record(exposed(0))
    assert recorder.flush()
    small_disk(100_000)
    for n in range(1, 401):
        recorder.record(exposed(n, reason=os.urandom(500).hex()))
    assert _until(lambda: not recorder.healthy)
    assert "w0.db" in recorder.failure
    for n in range(401, 1201):
        recorder.record(exposed(n))
    assert recorder.dropped > 0
    small_disk(None)
    assert _until(lambda: recorder.healthy)
    assert recorder.flush()
    recorder.close()
    found = read(tmp_path / "journal/w0.db")
    kept = ids(found)
    assert len(kept) == len(set(kept)) == 1201 - recorder.dropped
    (fault,) = [fact for fact in found if isinstance(fact, Fault)]
    assert fault.count == recorder.dropped


def test_an_outage_is_told_even_when_nothing_was_lost(tmp_path: Path, small_disk: Callable[[int | None], None]) -> None:
    recorder = Recorder(Journal(tmp_path, "w0"))
    recorder.record(exposed(0))
    assert recorder.flush()
    small_disk(100_000)
    for n in range(1, 401):
        recorder.record(exposed(n, reason=os.urandom(500).hex()))
    assert _until(lambda: not recorder.healthy)
    small_disk(None)
    assert _until(lambda: recorder.healthy)
    recorder.close()
    found = read(tmp_path / "journal/w0.db")
    assert len(ids(found)) == 401
    (fault,) = [fact for fact in found if isinstance(fact, Fault)]
    assert (fault.what, fault.count) == ("journal", 1)
    assert "no fact was lost" in fault.detail


def test_a_journal_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    with pytest.raises(JournalError, match=r"w0\.db"):
        Journal(tmp_path, "w0").append([exposed(0)])


def test_a_recorder_that_cannot_write_from_the_start_waits_until_it_can(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    recorder = Recorder(Journal(tmp_path, "w0"))
    assert not recorder.healthy
    recorder.record(exposed(0))
    (tmp_path / "journal").unlink()
    assert _until(lambda: recorder.healthy)
    assert recorder.flush()
    recorder.close()
    assert ids(read(tmp_path / "journal/w0.db")) == ["d0"]


def test_of_two_recorders_of_one_name_the_second_waits(tmp_path: Path) -> None:
    recorder = Recorder(Journal(tmp_path, "w0"))
    second = Recorder(Journal(tmp_path, "w0"))
    assert not second.healthy
    assert "same name" in second.failure
    recorder.close()
    assert _until(lambda: second.healthy)
    second.close()


def _until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.01)
    return False


APPENDER = """
import sys
from pathlib import Path
from crossfade.rim.journal import Journal
from rim.facts_made import exposed
journal = Journal(Path(sys.argv[1]), "w0")
n = int(sys.argv[2])
while True:
    journal.append([exposed(i) for i in range(n, n + 50)])
    n += 50
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
"""

RECORDER = """
import os, sys
from pathlib import Path
from crossfade.rim.journal import Journal
from crossfade.rim.recorder import Recorder
from rim.facts_made import exposed
recorder = Recorder(Journal(Path(sys.argv[1]), "w0"))
n = int(sys.argv[2])
while True:
    recorder.record(exposed(n))
    n += 1
    os.write(1, f"{n}\\n".encode())
"""


def _kill_after(program: str, data: Path, start: int, seconds: float) -> int:
    """Run a writer, kill it, and give the last number that it acknowledged."""
    root = Path(__file__).parents[1]
    writer = subprocess.Popen([sys.executable, "-c", program, str(data), str(start)], stdout=subprocess.PIPE, cwd=root)
    assert writer.stdout is not None
    said = writer.stdout.readline()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        said = writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read()
    writer.wait()
    writer.stdout.close()
    lines = (said + rest).split(b"\n")[:-1]
    return int(lines[-1])


def _kill_appenders(tmp_path: Path, kills: int) -> None:
    rng = random.Random(1)
    acknowledged: set[str] = set()
    next_ = 0
    for _ in range(kills):
        upto = _kill_after(APPENDER, tmp_path, next_, rng.uniform(0.02, 0.3))
        acknowledged.update(f"d{n}" for n in range(next_, upto))
        next_ = upto + 1000
    found = ids(read(tmp_path / "journal/w0.db"))
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)


def _kill_recorders(tmp_path: Path, kills: int) -> None:
    """Every fact whose `record` returned, and no other, is there exactly once after the next start."""
    rng = random.Random(2)
    acknowledged: set[str] = set()
    recovered = 0
    next_ = 0
    for _ in range(kills):
        upto = _kill_after(RECORDER, tmp_path, next_, rng.uniform(0.02, 0.3))
        acknowledged.update(f"d{n}" for n in range(next_, upto))
        next_ = upto + 1000
        if rng.random() < 0.5:
            recorder = Recorder(Journal(tmp_path, "w0"))
            recovered += recorder.recovered
            recorder.close()
    recorder = Recorder(Journal(tmp_path, "w0"))
    recovered += recorder.recovered
    recorder.close()
    found = ids(read(tmp_path / "journal/w0.db"))
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)
    assert len(found) - len(acknowledged) <= kills  # at most the fact in the middle of being said, per kill
    assert recovered > 0


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    _kill_appenders(tmp_path, 4)


def test_a_killed_recorder_loses_nothing_it_took(tmp_path: Path) -> None:
    _kill_recorders(tmp_path, 4)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_many_killed_writers_lose_nothing(tmp_path: Path) -> None:
    _kill_appenders(tmp_path / "appended", 40)
    _kill_recorders(tmp_path / "recorded", 40)


def test_the_file_is_plain_sqlite(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0")
    journal.append([exposed(0)])
    with sqlite3.connect(journal.path) as raw:
        assert raw.execute("SELECT count(*), sum(facts) FROM batches").fetchone() == (1, 1)
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()
    journal.close()
