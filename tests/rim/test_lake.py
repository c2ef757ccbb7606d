"""The lake: every journal row in the tables exactly once, whatever dies when, readable by anybody."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from crossfade.facts import KINDS, Dropped, Fact, Fault, Lease
from crossfade.rim import batches
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import SCHEMAS, Lake, LakeError, columns
from crossfade.rim.lake_sources import DELETE_ROWS

from .facts_made import compared, exposed, outcome, shown


def decisions(lake: Lake) -> Counter[str]:
    return Counter(lake.table("exposed").column("decision_id").to_pylist())


def one_of_each() -> list[Fact]:
    return [
        exposed(1, segments=("de", "")),
        compared(2, fields=("$.a", "$.b"), noise_differs=None),
        compared(3, noise_differs=False),
        shown(4),
        outcome("o", item="a"),
        Dropped(rollout="r1", at=1.0, worker="w0", reason="queue", count=3),
        Lease(at=1.0, worker="w0", held=False),
        Fault(at=1.0, worker="w0", rollout="", what="journal", detail="full"),
    ]


def test_every_kind_comes_back_as_it_was_written(tmp_path: Path) -> None:
    facts = one_of_each()
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    journal.append(facts)
    assert lake.compact_journals() == {
        "exposed": 1,
        "compared": 2,
        "shown": 1,
        "outcome": 1,
        "dropped": 1,
        "lease": 1,
        "fault": 1,
    }
    found: list[Fact] = []
    for kind, name in KINDS.items():
        for row in lake.table(name).to_pylist():
            found.append(kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}))
    assert found == facts
    lake.close()


def test_the_columns_are_the_fields_of_the_facts() -> None:
    for kind, name in KINDS.items():
        assert SCHEMAS[name].names == [field.name for field in msgspec.structs.fields(kind)]
        assert not any(pa.types.is_null(column.type) for column in SCHEMAS[name])
    assert columns("compared", [compared(1)]).schema == SCHEMAS["compared"]


def test_several_workers_are_drained_in_one_commit_a_kind(tmp_path: Path) -> None:
    for worker in range(3):
        Journal(tmp_path, f"w{worker}").append([exposed(worker)])
    lake = Lake(tmp_path)
    assert lake.compact_journals() == {"exposed": 3}
    assert lake.compact_journals() == {}
    assert lake.versions() == {"exposed": 1}
    late = Journal(tmp_path, "w9")
    late.append([exposed(9)])
    assert lake.compact_journals() == {"exposed": 1}
    assert sum(decisions(lake).values()) == 4
    lake.close()


def test_accepted_outcomes_arrive_like_any_worker(tmp_path: Path) -> None:
    inbox, lake = OutcomeInbox(tmp_path), Lake(tmp_path)
    inbox.accept([outcome("a"), outcome("b")])
    inbox.accept([outcome("a")])
    assert lake.compact_journals() == {"outcome": 2}
    lake.close()
    inbox.close()


def test_a_new_compactor_goes_on_where_the_tables_say(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0")
    for n in range(10):
        journal.append([exposed(n), outcome(f"o{n}")] if n % 3 else [exposed(n)])
        if n % 2:
            lake = Lake(tmp_path)
            lake.compact_journals()
            lake.close()
    lake = Lake(tmp_path)
    lake.compact_journals()
    assert decisions(lake) == Counter(f"d{n}" for n in range(10))
    assert lake.table("outcome").num_rows == 6
    lake.close()


def test_a_death_between_two_tables_repeats_neither(tmp_path: Path) -> None:
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    journal.append([exposed(1), outcome("o1")])
    real = lake._tables.commit

    def dies_before_outcomes(kind: str, facts: pa.Table, upto: Any, asked: Any) -> int:
        if kind == "outcome":
            raise KeyboardInterrupt
        return real(kind, facts, upto, asked)

    lake._tables.commit = dies_before_outcomes  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        lake.compact_journals()
    lake.close()
    again = Lake(tmp_path)
    assert again.compact_journals() == {"outcome": 1}
    assert (again.table("exposed").num_rows, again.table("outcome").num_rows) == (1, 1)
    again.close()


def test_moved_rows_leave_the_journal(tmp_path: Path) -> None:
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    for n in range(DELETE_ROWS + 10):
        journal.append([exposed(n)])
    lake.compact_journals()
    connection = batches.connect(journal.path)
    assert list(batches.rows(connection, 0, 10**9)) == []
    journal.append([exposed(1000)])
    assert lake.compact_journals() == {"exposed": 1}
    connection.close()
    lake.close()


def test_a_journal_that_was_thrown_away_does_not_hide_its_successor(tmp_path: Path) -> None:
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    for n in range(5):
        journal.append([exposed(n)])
    lake.compact_journals()
    journal.close()
    lake.close()
    for file in (tmp_path / "journal").iterdir():
        file.unlink()
    Journal(tmp_path, "w0").append([exposed(99)])
    again = Lake(tmp_path)
    assert again.compact_journals() == {"exposed": 1}
    again.close()


def test_only_one_compacts_and_others_read(tmp_path: Path) -> None:
    Journal(tmp_path, "w0").append([exposed(1)])
    lake, reader = Lake(tmp_path), Lake(tmp_path)
    lake.compact_journals()
    with pytest.raises(LakeError, match="another process"):
        reader.compact_journals()
    assert reader.versions() == lake.versions()
    Journal(tmp_path, "w1").append([exposed(2)])
    lake.compact_journals()
    assert reader.table("exposed").num_rows == 2
    lake.close()
    assert reader.compact_journals() == {}
    reader.close()


def test_small_files_are_rewritten_and_versions_stay_readable(tmp_path: Path) -> None:
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    for n in range(12):
        journal.append([exposed(n)])
        lake.compact_journals()
    before = lake.versions()
    assert len(lake.files("exposed")) == 12
    assert lake.optimize(small_files=10) == {"exposed": 12}
    assert lake.optimize(small_files=10) == {}
    assert len(lake.files("exposed")) == 1
    assert decisions(lake) == Counter(f"d{n}" for n in range(12))
    assert len(lake.files("exposed", before["exposed"])) == 12
    assert lake.added("exposed", before["exposed"], lake.versions()["exposed"]) == []
    assert len(lake.added("exposed", 4, before["exposed"]) or ()) == 8
    journal.append([exposed(99)])
    assert lake.compact_journals() == {"exposed": 1}
    lake.close()


def test_any_engine_reads_the_tables_without_our_code(tmp_path: Path) -> None:
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    for n in range(3):
        journal.append([exposed(n, segments=("de", "x")), outcome(f"o{n}", decision_id=f"d{n}")])
        lake.compact_journals()
    lake.close()
    assert DeltaTable(tmp_path / "lake/exposed").to_pyarrow_table().num_rows == 3
    sql = "SELECT count(*) FROM read_parquet(?) e JOIN read_parquet(?) o USING (decision_id) WHERE e.segments[1] = 'de'"
    files = [DeltaTable(tmp_path / "lake" / kind).file_uris() for kind in ("exposed", "outcome")]
    assert duckdb.connect().execute(sql, files).fetchone() == (3,)


def test_a_reader_without_our_code_sees_whole_commits_while_they_go_on(tmp_path: Path) -> None:
    """Every commit brings ten facts: a snapshot with part of them would show."""
    polars = pytest.importorskip("polars")
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    journal.append([exposed(n, revision="0") for n in range(10)])
    lake.compact_journals()
    stop, seen = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            table = polars.read_delta(str(tmp_path / "lake/exposed"))
            counts = table.group_by("revision").len()["len"].to_list()
            seen.append((table.height, counts))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for n in range(1, 40):
            journal.append([exposed(n * 10 + k, revision=str(n)) for k in range(10)])
            lake.compact_journals()
            if n % 10 == 9:
                lake.optimize(small_files=4)
    finally:
        stop.set()
        reader.join()
    lake.close()
    assert len({height for height, _ in seen}) > 3
    assert [height for height, _ in seen] == sorted(height for height, _ in seen)
    assert all(count == 10 for _, counts in seen for count in counts)
    version = DeltaTable(tmp_path / "lake/exposed").version()
    assert polars.read_delta(str(tmp_path / "lake/exposed"), version=version)["decision_id"].n_unique() == 400
    assert polars.read_delta(str(tmp_path / "lake/exposed"), version=1).height == 10


def test_tables_of_an_earlier_version_get_the_columns_of_this_one(tmp_path: Path) -> None:
    """Yesterday's table and files, from before the last column was added, read and continued."""
    names = [name for name in SCHEMAS["exposed"].names if name != "segments"]
    write_deltalake(tmp_path / "lake/exposed", columns("exposed", [exposed(1)]).select(names))
    lake, journal = Lake(tmp_path), Journal(tmp_path, "w0")
    journal.append([exposed(2, segments=("de",))])
    assert lake.compact_journals() == {"exposed": 1}
    lake.optimize(small_files=1)
    found = lake.table("exposed")
    assert dict(zip(found["decision_id"].to_pylist(), found["segments"].to_pylist(), strict=True)) == {
        "d1": None,
        "d2": ["de"],
    }
    lake.close()


COMPACTOR = """
import os, sys
from pathlib import Path
from typing import Any
from crossfade.rim import lake as lakes
from crossfade.rim import lake_sources
lake_sources.DELETE_ROWS = 1
lake = lakes.Lake(Path(sys.argv[1]))
os.write(1, b"ready\\n")
while True:
    lake.compact_journals()
    lake.optimize(small_files=6)
"""


def _kill_compactors(tmp_path: Path, kills: int) -> None:
    rng = random.Random(5)
    journal = Journal(tmp_path, "w0")
    other = Journal(tmp_path, "w1")
    n = 0
    for _ in range(kills):
        compactor = subprocess.Popen([sys.executable, "-c", COMPACTOR, str(tmp_path)], stdout=subprocess.PIPE)
        assert compactor.stdout is not None
        compactor.stdout.readline()
        deadline = time.monotonic() + rng.uniform(0.1, 0.5)
        while time.monotonic() < deadline:
            journal.append([exposed(n), outcome(f"o{n}")])
            other.append([exposed(n + 1)])
            n += 2
        compactor.send_signal(signal.SIGKILL)
        compactor.wait()
        compactor.stdout.close()
    lake = Lake(tmp_path)
    while lake.compact_journals():
        pass
    assert decisions(lake) == Counter(f"d{i}" for i in range(n))
    outcomes = Counter(lake.table("outcome").column("outcome_id").to_pylist())
    assert outcomes == Counter(f"o{i}" for i in range(0, n, 2))
    lake.close()


def test_a_killed_compactor_neither_loses_nor_repeats(tmp_path: Path) -> None:
    _kill_compactors(tmp_path, 3)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_many_killed_compactors_neither_lose_nor_repeat(tmp_path: Path) -> None:
    _kill_compactors(tmp_path, 40)


def test_files_have_the_same_names_however_the_folder_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    journal, lake = Journal(data, "w0"), Lake(data)
    for number in range(2):
        journal.append([exposed(number)])
        lake.compact_journals()
    (tmp_path / "link").symlink_to(data)
    monkeypatch.chdir(tmp_path)
    for written in ("data", "./data", "link", "data/../link"):
        other = Lake(Path(written))
        assert other.names("exposed") == lake.names("exposed")
        assert other.names("exposed", 1) == lake.names("exposed", 1) != lake.names("exposed")
        assert all((data / "lake" / "exposed" / name).is_file() for name in other.names("exposed"))
