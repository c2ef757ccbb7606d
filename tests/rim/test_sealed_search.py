"""What was found among groups that nobody declared is under a seal: changed it is found, missing it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossfade.rim.checked import Checked
from crossfade.rim.exporting import export
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.record import ExportedRecord, LiveRecord
from crossfade.rim.sealing import Sealer
from crossfade.rim.searching import kept
from crossfade.rim.store import Store
from crossfade.rim.verifying import check
from crossfade.spec.parse import parse
from crossfade.state import Move

from .facts_made import START, exposed
from .recorded import NAME, SPEC


def seal(data: Path, n: int) -> None:
    """A fact comes in, and is sealed."""
    journal, lake, store = Journal(data, f"w{n}"), Lake(data), Store(data)
    journal.append([exposed(n)])
    journal.close()
    lake.compact_journals()
    assert Sealer(store, lake, now=START).seal("periodic", START + n) is not None
    lake.close()
    store.close()


def checked(data: Path) -> Checked:
    record = LiveRecord(data, NAME)
    try:
        return check(record)
    finally:
        record.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    store = Store(folder)
    store.add(SPEC, parse(SPEC), START)
    store.act(NAME, Move.START, actor="ana", rule="manual", sentence="Started.", at=START)
    store.close()
    return folder


def test_a_seal_tells_what_the_search_found(data: Path, tmp_path: Path) -> None:
    seal(data, 1)
    assert (checked(data).search, checked(data).intact) == ("", True)
    kept.keep(data, NAME, {"found": [], "n": 1})
    kept.keep(data, f"{NAME}.b", {"found": [], "n": 7})
    told = checked(data)
    assert (told.search, told.intact) == ("unsealed", True)
    assert any("no seal tells of what was found" in one for one in told.to_json()["not_shown"])
    for n in (2, 3):
        kept.keep(data, NAME, {"found": [], "n": n})
        seal(data, n)
    # Only what the last seal names is kept, and the search goes on beside it.
    assert len(list((data / "found" / "sealed").glob("*.json"))) == 2
    kept.keep(data, NAME, {"found": [], "n": 4})
    assert (checked(data).search, checked(data).intact) == ("sealed", True)
    record = LiveRecord(data, NAME)
    assert record.found == {"found": [], "n": 3}
    export(record, tmp_path / "out", at=START)
    record.close()
    there = tmp_path / "out"
    assert check(ExportedRecord(there)).search == "sealed"
    content = json.loads((there / "found.json").read_bytes())
    (there / "found.json").write_text(json.dumps({**content, "n": 30}))
    broken = check(ExportedRecord(there))
    assert (broken.intact, broken.first_broken) == (False, "found.json")
    assert "is not what seal 3 says" in broken.reason
    (there / "found.json").write_text("{")
    assert not check(ExportedRecord(there)).intact
    (there / "found.json").unlink()
    gone = check(ExportedRecord(there))
    assert (gone.intact, gone.search) == (True, "missing")
    assert any("though a seal names it" in one for one in gone.to_json()["not_shown"])


def test_what_was_set_aside_cannot_be_changed_unseen(data: Path) -> None:
    kept.keep(data, NAME, {"found": [], "n": 1})
    seal(data, 1)
    (file,) = (data / "found" / "sealed").glob("*.json")
    file.write_bytes(file.read_bytes().replace(b"1", b"2"))
    assert checked(data).first_broken == "found.json"
