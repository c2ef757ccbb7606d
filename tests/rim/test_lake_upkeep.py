"""Old facts go and needed ones stay; files stay few; versions that the ledger names stay readable."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.facts import Fault, Lease
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake, LakeError

from .facts_made import compared, exposed, outcome, shown

OLD, NEW, BEFORE = 1_000.0, 5_000.0, 4_000.0


def decisions(lake: Lake) -> set[str]:
    return set(lake.table("exposed").column("decision_id").to_pylist())


def test_old_facts_go_unless_their_rollout_still_needs_them(tmp_path: Path) -> None:
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    journal.append(
        [
            exposed(1, rollout="ended", at=OLD),
            exposed(2, rollout="it's running", at=OLD),
            exposed(3, rollout="ended", at=NEW),
            compared(1, rollout="ended", at=OLD),
            shown(1, rollout="ended", at=OLD),
            Lease(at=OLD, worker="w0", held=True),
            Fault(at=OLD, worker="w0", rollout="", what="journal", detail=""),
        ]
    )
    lake.compact_journals()
    assert lake.retire(BEFORE, {"it's running": OLD - 1.0}) == {"exposed": 1, "compared": 1, "shown": 1}
    assert decisions(lake) == {"d2", "d3"}
    assert lake.table("lease").num_rows == lake.table("fault").num_rows == 1
    version = lake.versions()["exposed"]
    assert lake.retire(BEFORE, {"it's running": OLD - 1.0}) == {}
    assert lake.versions()["exposed"] == version
    assert lake.retire(BEFORE, {}) == {"exposed": 1, "fault": 1}
    lake.close()


def test_outcomes_that_name_a_decision_stay_as_long_as_the_oldest_rollout_that_runs(tmp_path: Path) -> None:
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    journal.append(
        [
            outcome("a", decision_id="d1", received_at=OLD),
            outcome("b", decision_id="d2", received_at=OLD + 20.0),
            outcome("c", rollout="ended", unit="u", received_at=OLD + 20.0),
            outcome("d", rollout="running", unit="u", received_at=OLD + 20.0),
        ]
    )
    lake.compact_journals()
    assert lake.retire(BEFORE, {"running": OLD + 10.0}) == {"outcome": 2}
    assert set(lake.table("outcome").column("outcome_id").to_pylist()) == {"b", "d"}
    lake.close()


def test_a_deletion_brings_no_new_facts(tmp_path: Path) -> None:
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    journal.append([exposed(1, at=OLD), exposed(2, at=NEW)])
    lake.compact_journals()
    before = lake.versions()["exposed"]
    lake.retire(BEFORE, {})
    assert lake.added("exposed", before, lake.versions()["exposed"]) == []
    journal.append([exposed(3, at=NEW)])
    lake.compact_journals()
    assert len(lake.added("exposed", before, lake.versions()["exposed"]) or ()) == 1
    lake.close()


def test_files_and_log_stay_few_and_a_named_version_stays_readable(tmp_path: Path) -> None:
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    named = 110
    for n in range(230):
        journal.append([exposed(n)])
        lake.compact_journals()
        if n % 40 == 39:
            lake.optimize(small_files=8)
        if lake.versions()["exposed"] == named:
            told = lake.digests({"exposed": named})
            facts = decisions(lake)
    assert lake.vacuum(keep_hours=0, named={"exposed": [named]}) > 150
    folder = tmp_path / "lake" / "exposed"
    assert len(list(folder.glob("*.parquet"))) < 100
    log = [path for path in (folder / "_delta_log").iterdir() if path.suffix == ".json"]
    assert len(log) < 100
    lake.close()
    again = Lake(tmp_path)
    assert len(decisions(again)) == 230
    assert again.digests({"exposed": named}) == told
    import pyarrow.parquet as pq

    found = {d for file in again.files("exposed", named) for d in pq.read_table(file)["decision_id"].to_pylist()}
    assert found == facts
    assert again.added("exposed", 0, named) is None
    with pytest.raises(LakeError, match="at version 20"):
        again.digests({"exposed": 20})
    journal.append([exposed(999)])
    assert again.compact_journals() == {"exposed": 1}
    again.close()


def test_one_changed_byte_in_any_file_changes_the_digest(tmp_path: Path) -> None:
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    for n in range(3):
        journal.append([exposed(n), outcome(f"o{n}")])
        lake.compact_journals()
    versions = lake.versions()
    told = lake.digests(versions)
    assert set(told) == {"exposed", "outcome"}
    assert told["exposed"] != lake.digests({"exposed": versions["exposed"] - 1})["exposed"]
    checker = Lake(tmp_path)
    assert checker.digests(versions, again=True) == told
    for kind in told:
        for file in map(Path, lake.files(kind)):
            whole = file.read_bytes()
            for place in (0, len(whole) // 2, len(whole) - 1):
                file.write_bytes(whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :])
                assert lake.digests(versions) == told  # what was read before is not read again unasked
                assert {k for k, digest in checker.digests(versions, again=True).items() if digest != told[k]} == {kind}
            file.write_bytes(whole)
    Path(lake.files("outcome")[0]).unlink()
    with pytest.raises(LakeError, match="cannot read"):
        checker.digests(versions, again=True)
    lake.close()
    checker.close()
