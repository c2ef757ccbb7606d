"""Decisions come out again from the facts they were taken on, and one that was not taken on them does not."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from crossfade import ledger
from crossfade.ledger import Entry
from crossfade.rim.dossier import gather
from crossfade.rim.engine.elsewhere.postgresql import PostgreSQL
from crossfade.rim.exporting import export
from crossfade.rim.lake import Lake
from crossfade.rim.otherwise import CannotCompare, otherwise
from crossfade.rim.record import ExportedRecord, LiveRecord
from crossfade.rim.replaying import replay, same
from crossfade.rim.sealing import Sealer
from crossfade.rim.store import Store
from crossfade.rim.verifying import check
from crossfade.spec.parse import parse
from crossfade.state import Phase
from crossfade.view.dossier import dossier

from .engine.postgres_kit import INITDB, MISSING, postgres
from .facts_made import START
from .recorded import NAME, make


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A rollout that was promoted and one that was rolled back; nobody may change them."""
    folders = {"good": tmp_path_factory.mktemp("good"), "bad": tmp_path_factory.mktemp("bad")}
    assert make(folders["good"], wrong=0.1) is Phase.PROMOTED
    assert make(folders["bad"], wrong=0.9) is Phase.ROLLED_BACK
    return folders


@pytest.mark.parametrize("which", ["good", "bad"])
def test_every_decision_comes_out_again_here_and_from_an_export_alone(
    recorded: dict[str, Path], which: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(recorded[which], data)
    record = LiveRecord(data, NAME)
    assert check(record).intact
    here = replay(record)
    assert len(here.looked) >= (4 if which == "good" else 2)
    assert here.differing == []
    export(record, tmp_path / "out", at=0.0)
    record.close()
    # Nothing but the folder is left.
    shutil.rmtree(data)
    carried = tmp_path / "elsewhere"
    (tmp_path / "out").rename(carried)
    there = ExportedRecord(carried, NAME)
    assert check(there).intact
    assert [one.to_json() for one in replay(there).looked] == [one.to_json() for one in here.looked]


@pytest.mark.skipif(INITDB is None, reason=MISSING)
@pytest.mark.timeout(300)
def test_another_engine_comes_to_the_same_decisions(recorded: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(recorded["bad"], tmp_path, dirs_exist_ok=True)
    record = LiveRecord(tmp_path, NAME)
    with postgres() as where:
        backend = PostgreSQL(where)
        again = replay(record, backend=backend)
        backend.close()
    record.close()
    assert len([one for one in again.looked if one.files]) >= 1
    assert again.differing == []


def test_facts_that_came_later_do_not_change_what_was_decided(recorded: dict[str, Path], tmp_path: Path) -> None:
    from crossfade.rim.journal import Journal

    from .facts_made import exposed

    shutil.copytree(recorded["good"], tmp_path, dirs_exist_ok=True)
    late = [exposed(10**6 + n, unit=f"late{n}", at=START + 1.0, failed=True, arm="v2") for n in range(500)]
    Journal(tmp_path, "w1").append(late)
    lake = Lake(tmp_path)
    lake.compact_journals()
    lake.optimize(small_files=1)
    lake.close()
    record = LiveRecord(tmp_path, NAME)
    found = check(record)
    assert found.intact, found.reason
    assert found.uncovered > 0
    assert replay(record).differing == []
    record.close()


def rewrite(data: Path, n: int, **changes: object) -> None:
    """What somebody does who has no key but can count: change an entry and every hash after it."""
    with sqlite3.connect(data / "state.db") as connection:
        texts = [text for (text,) in connection.execute("SELECT entry FROM ledger ORDER BY n")]
        last: Entry | None = None
        for place, text in enumerate(texts, start=1):
            told = {k: v for k, v in json.loads(text).items() if k not in ("schema", "n", "previous", "hash")}
            if place == n:
                told.update(changes)
            last = ledger.append(last, ledger.Body(**told))
            said = ledger.canonical(last.to_json()).decode()
            connection.execute("UPDATE ledger SET entry = ? WHERE n = ?", (said, place))


def test_a_decision_that_the_facts_do_not_give_is_found_though_every_hash_was_written_anew(
    recorded: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(recorded["bad"], tmp_path, dirs_exist_ok=True)
    record = LiveRecord(tmp_path, NAME)
    entry = check(record).read[-1]
    record.close()
    wrong = [{**line, "estimate": -0.25} if line["metric"] == "wrong" else line for line in entry.evidence]
    rewrite(tmp_path, entry.n, evidence=wrong)
    record = LiveRecord(tmp_path, NAME)
    found, again = check(record), replay(record)
    record.close()
    assert found.intact
    assert any("written both anew" in text for text in found.to_json()["not_shown"])
    (only,) = again.differing
    assert only.n == entry.n
    assert "recorded -0.25" in " ".join(only.differences)


def test_a_sentence_that_the_evidence_does_not_give_is_found(recorded: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(recorded["good"], tmp_path, dirs_exist_ok=True)
    rewrite(tmp_path, 3, sentence="All was well.")
    record = LiveRecord(tmp_path, NAME)
    (only,) = replay(record).differing
    record.close()
    assert "recorded 'All was well.'" in only.differences[0]


def test_facts_that_are_gone_make_a_decision_one_that_cannot_be_recomputed(
    recorded: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(recorded["bad"], tmp_path, dirs_exist_ok=True)
    next((tmp_path / "lake" / "exposed").glob("*.parquet")).unlink()
    record = LiveRecord(tmp_path, NAME)
    assert check(record).reason.startswith("a sealed file is missing")
    differing = replay(record).differing
    record.close()
    assert differing
    assert "cannot be recomputed" in differing[-1].differences[0]


def test_a_torn_file_is_told_by_replay_and_dossier_and_ends_neither(recorded: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(recorded["bad"], tmp_path, dirs_exist_ok=True)
    file = next((tmp_path / "lake" / "exposed").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:50])
    record = LiveRecord(tmp_path, NAME)
    record.found = []
    differing = replay(record).differing
    told = dossier(gather(record, now=START + 3600.0))
    record.close()
    assert "a file of facts cannot be read" in differing[-1].differences[0]
    assert "\n" not in differing[-1].differences[0]
    assert "THE RECORD DOES NOT HOLD" in next(line["text"] for line in told["summary"] if line["part"] == "integrity")


def test_facts_deleted_in_their_time_leave_decisions_that_are_told_apart(
    recorded: dict[str, Path], tmp_path: Path
) -> None:
    """Beyond keep_facts a decision is aged out, not reproduced; before, its facts were taken away."""
    for days, lawful in ((200.0, True), (20.0, False)):
        data, now = tmp_path / str(lawful), START + days * 86_400.0
        shutil.copytree(recorded["bad"], data)
        store, lake = Store(data), Lake(data)
        sealer = Sealer(store, lake, now=now)
        lake.retire(now, {}, announce=lambda: sealer.retention(now, {}, now))  # noqa: B023
        sealer.seal("periodic", now + 1)
        lake.vacuum(keep_hours=0.0, announce=lambda doomed: sealer.removal(doomed, now + 2))  # noqa: B023
        store.close()
        lake.close()
        record = LiveRecord(data, NAME)
        found, again = check(record), replay(record)
        by_rule = [one.n for one in again.looked if not one.by_hand]
        assert found.intact is lawful, found.reason
        if lawful:
            export(record, tmp_path / "out", at=now)
            told = again.to_json()
            assert (told["differing"], told["aged_out"]) == ([], len(by_rule))
            assert told["reproduced"] == told["decisions"] - len(by_rule)
            assert all("aged out, as recorded" in str(one.aged_out) for one in again.aged_out)
            assert found.without_facts == by_rule
            assert "can be shown no more" in " ".join(found.to_json()["not_shown"])
            there = ExportedRecord(tmp_path / "out", NAME)
            assert check(there).without_facts == by_rule
            assert replay(there).to_json()["aged_out"] == len(by_rule)
        else:
            assert "removed too early" in found.reason
            assert [one.n for one in again.differing] == by_rule
        record.close()


def test_numbers_are_the_same_up_to_the_order_of_a_sum() -> None:
    assert same({"a": [1.0, 3]}, {"a": [1.0 + 1e-12, 3]})
    for one, other in ((1.0, 1.001), (None, 0.0), ([1], [1, 2]), ({"a": 1}, {"b": 1}), (True, 2.0), ("a", "b")):
        assert not same(one, other)


def test_the_same_policy_would_have_made_every_move_and_a_stricter_one_parts_from_it(
    recorded: dict[str, Path],
) -> None:
    record = LiveRecord(recorded["good"], NAME)
    (text,) = record.told.specs.values()
    same_again = otherwise(record, parse(text), looks=6)
    assert same_again.decided is None
    moves = [entry.n for entry in check(record).read if entry.move]
    assert list(same_again.agreed) == moves
    patient = otherwise(record, parse(text.replace("hold_for: 10s", "hold_for: 1h")), looks=6)
    assert patient.decided is not None
    assert patient.decided.move is None
    assert list(patient.agreed) == moves[:1]
    assert "hold" in str(patient.to_json()["differs"]["sentence"]).lower() or patient.decided.rule == "wait"
    for was, becomes, why in (
        ("steps: [20%, 50%]", "steps: [10%, 50%]", "other shares"),
        ("name: v2", "name: v9", "challengers"),
        ("  - canary: {steps: [20%, 50%], hold_for: 10s}\n", "", "stage 1 is ab"),
    ):
        with pytest.raises(CannotCompare, match=why):
            otherwise(record, parse(text.replace(was, becomes)))
    record.close()
