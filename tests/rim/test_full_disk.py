"""A disk that is really full: a file system of a few megabytes under the whole data folder."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crossfade.facts import Outcome
from crossfade.rim.batches import JournalError
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake, LakeError
from crossfade.rim.recorder import Recorder

from .facts_made import exposed, outcome

NEEDED = "A SMALL FILE SYSTEM CANNOT BE MOUNTED HERE (it takes root): nothing is tried on a disk that is full"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A file system of its own, and how it becomes larger."""
    place = tmp_path / "disk"
    place.mkdir()

    def mounted(*options: str) -> bool:
        given = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
        return subprocess.run(given, capture_output=True, check=False).returncode == 0

    if os.geteuid() != 0 or not mounted("size=6m"):
        pytest.skip(NEEDED)
    try:
        yield (
            place,
            lambda size: (
                subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True, capture_output=True)
                and None
            ),
        )
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def _grow(place: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True, capture_output=True)


def test_a_worker_that_started_on_a_full_disk_writes_once_there_is_room(
    disk: tuple[Path, Callable[[str], None]],
) -> None:
    data, grow = disk
    recorder = Recorder(Journal(data, "w0"))
    recorder.record(exposed(0))
    assert not recorder.flush(0.5), "the tail alone wants more than there is"
    assert "No space left" in recorder.failure
    grow("64m")
    assert _until(lambda: recorder.healthy)
    assert recorder.flush()
    recorder.close()


def _until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20.0
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def test_a_full_disk_loses_nothing_acknowledged_and_counts_nothing_twice(
    disk: tuple[Path, Callable[[str], None]],
) -> None:
    data, grow = disk
    grow("24m")
    lake, inbox, recorder = Lake(data), OutcomeInbox(data), Recorder(Journal(data, "w0"))
    acknowledged: list[str] = []

    def accept(number: int) -> None:
        told = [outcome(f"o{number}-{n}", decision_id="d0", item=os.urandom(40).hex()) for n in range(50)]
        inbox.accept(told)
        acknowledged.extend(fact.outcome_id for fact in told if isinstance(fact, Outcome))

    recorder.record(exposed(0))
    accept(0)
    lake.compact_journals()
    sent = refused = stuck = 0
    until = time.monotonic() + 60.0
    while (recorder.healthy or not refused or not stuck) and time.monotonic() < until:
        for _ in range(50):
            sent += 1
            recorder.record(exposed(sent, reason=os.urandom(4000).hex()))
        recorder.flush(0.1)
        try:
            accept(sent)
        except JournalError as error:
            refused += "full" in str(error)
        try:
            lake.compact_journals()
        except (LakeError, JournalError):
            stuck += 1
    assert not recorder.healthy, "new exposure has stopped"
    assert refused, "what could not be kept was not acknowledged"
    assert stuck, "and the compactor said so, and went on"

    grow("256m")
    assert _until(lambda: recorder.healthy)
    accept(sent + 1)
    assert recorder.flush()
    recorder.close()
    lake.close()
    lake = Lake(data)
    while lake.compact_journals():
        pass
    found = Counter(lake.table("exposed").column("decision_id").to_pylist())
    assert found == Counter(f"d{n}" for n in range(sent + 1))
    reports = Counter(lake.table("outcome").column("outcome_id").to_pylist())
    assert max(reports.values()) == 1
    assert set(acknowledged) <= set(reports)
    assert lake.table("fault").num_rows == 1
    lake.close()
    inbox.close()
