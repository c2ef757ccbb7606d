"""Ids seen: recognised in rows and in files of any age, by any process, whatever was merged, forgotten or killed."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from crossfade.rim import batches, seen
from crossfade.rim.batches import JournalError
from crossfade.rim.inbox import Accepted, OutcomeInbox

from .facts_made import outcome


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "YOUNG", 50)


def files(data: Path) -> list[Path]:
    return sorted((data / "journal/outcomes.seen").glob("*.ids"))


def test_every_id_is_known_once_whatever_the_order_and_the_number_of_writers(tmp_path: Path) -> None:
    rng = random.Random(7)
    inboxes = [OutcomeInbox(tmp_path) for _ in range(3)]
    known: set[str] = set()
    for _ in range(400):
        batch = [f"o{rng.randrange(6000)}" for _ in range(rng.randrange(1, 40))]
        expected = len(set(batch) - known)
        found = rng.choice(inboxes).accept([outcome(key) for key in batch])
        assert found == Accepted(accepted=expected, duplicates=len(batch) - expected)
        known |= set(batch)
    # Four files of a size become one, so that there are never many.
    assert 1 <= len(files(tmp_path)) <= 12
    for inbox in inboxes:
        inbox.close()
    again = OutcomeInbox(tmp_path)
    assert again.accept([outcome(key) for key in sorted(known)]).duplicates == len(known)
    assert again.accept([outcome(key, value=2.0) for key in sorted(known)]).conflicts == tuple(range(len(known)))
    again.close()


def test_runs_are_forgotten_by_age(tmp_path: Path) -> None:
    inbox = OutcomeInbox(tmp_path)
    for n in range(60):
        inbox.accept([outcome(f"old{n}", received_at=100.0)])
    for n in range(10):
        inbox.accept([outcome(f"new{n}", received_at=200.0)])
    assert len(files(tmp_path)) == 1
    assert inbox.forget(150.0) == 60
    assert files(tmp_path) == []
    assert inbox.accept([outcome("old0", received_at=300.0), outcome("new3", received_at=300.0)]).accepted == 1
    inbox.close()


def test_ids_kept_by_an_earlier_version_are_taken_over(tmp_path: Path) -> None:
    connection = batches.connect(tmp_path / "journal/outcomes.db")
    connection.execute("CREATE TABLE seen (outcome_id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID")
    connection.executemany("INSERT INTO seen VALUES (?, ?)", [(f"o{n}", 100.0) for n in range(170)])
    connection.close()
    inbox = OutcomeInbox(tmp_path)
    # What was said under them is not known any more, so nothing contradicts it.
    told = [outcome(f"o{n}", value=float(n)) for n in range(180)]
    assert inbox.accept(told) == Accepted(accepted=10, duplicates=170)
    inbox.close()
    again = OutcomeInbox(tmp_path)
    assert again.accept(told).duplicates == 180
    again.close()


def test_a_lost_file_is_told_and_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    inbox = OutcomeInbox(tmp_path)
    inbox.accept([outcome(f"o{n}") for n in range(60)])
    inbox.accept([outcome("o60")])
    inbox.close()
    [file] = files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    again = OutcomeInbox(tmp_path)
    with pytest.raises(JournalError, match="put it back from a copy"):
        again.accept([outcome("o1")])
    file.write_bytes(whole)
    assert again.accept([outcome("o1")]).duplicates == 1
    again.close()


def test_a_merge_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = OutcomeInbox(tmp_path)

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(seen, "_sync_folder", full)
    assert inbox.accept([outcome(f"o{n}") for n in range(60)]).accepted == 60
    assert inbox.accept([outcome(f"o{n}") for n in range(60)]).duplicates == 60
    monkeypatch.undo()
    monkeypatch.setattr(seen, "YOUNG", 50)
    assert inbox.accept([outcome(f"o{n}") for n in range(61)]) == Accepted(accepted=1, duplicates=60)
    inbox.close()
    with sqlite3.connect(tmp_path / "journal/outcomes.db") as connection:
        named = [row[0] for row in connection.execute("SELECT file FROM seen_runs WHERE file IS NOT NULL")]
    assert len(named) == 1
