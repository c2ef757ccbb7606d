"""A unit that is forgotten is nowhere on the disk, and everything that was counted, decided and proved stands."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crossfade.rim import forgetting, signing, upkeep
from crossfade.rim.checked import Checked
from crossfade.rim.controller import Controller
from crossfade.rim.engine import Engine
from crossfade.rim.exporting import export
from crossfade.rim.forgetting import Forgetting, Forgotten, answered, ask
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.record import ExportedRecord, LiveRecord
from crossfade.rim.replaying import replay
from crossfade.rim.sealing import Sealer
from crossfade.rim.store import Store, StoreError
from crossfade.rim.verifying import check
from crossfade.state import Move, Phase

from . import tampering
from .facts_made import START, exposed
from .on_disk import found
from .recorded import NAME, make
from .test_verifying import new_key, once

UNIT, DECISION, OUTCOME = "u333", "d333", "o333"
LATER = START + 1_000.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A promoted rollout whose small files were put together; its decisions stand on the small ones."""
    folder = tmp_path_factory.mktemp("made") / "data"
    assert make(folder, wrong=0.2) is Phase.PROMOTED
    store, lake = Store(folder), Lake(folder)
    assert lake.optimize(small_files=1)
    Sealer(store, lake, now=LATER).seal("periodic", LATER)
    lake.close()
    store.close()
    return folder


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


def forget(data: Path, unit: str = UNIT, **more: object) -> Forgotten:
    """What `crossfade forget` does where nobody serves."""
    request = ask(data, unit, [], actor="ana", reason="ticket 7", at=LATER)
    store, lake = Store(data), Lake(data)
    try:
        assert Forgetting(store, lake, Sealer(store, lake, now=LATER), clock=lambda: LATER).turn(settle=0.0)
    finally:
        lake.close()
        store.close()
    done = answered(request)
    assert done is not None
    return done


def checked(data: Path) -> Checked:
    record = LiveRecord(data, NAME)
    try:
        result = check(record)
        again = replay(record)
        assert again.looked
        assert not again.differing, [one.differences for one in again.differing]
        return result
    finally:
        record.close()


def test_nothing_on_the_disk_names_it_and_everything_is_reproduced(data: Path) -> None:
    before = checked(data)
    assert before.intact
    assert set(found(data, UNIT, f'"{DECISION}"', f"'{OUTCOME}'")) >= {UNIT}
    lake = Lake(data)
    counts = {kind: lake.table(kind).num_rows for kind in ("exposed", "outcome")}
    lake.close()
    done = forget(data)
    assert done.facts[NAME] >= 1
    assert done.files >= 2
    after = checked(data)
    assert after.intact, after.reason
    assert after.forgotten == done.files
    assert after.rewritten == before.rewritten > 0, "what was put together is still held against what it was made of"
    for name in (UNIT, DECISION, OUTCOME):
        assert found(data, f"'{name}'", f'"{name}"') == {}, name
    assert found(data, UNIT) == {}
    lake = Lake(data)
    assert {kind: lake.table(kind).num_rows for kind in counts} == counts
    units = lake.table("exposed").column("unit").to_pylist()
    (stone,) = [unit for unit in units if unit.startswith("forgotten-")]
    (row,) = [row for row in lake.table("exposed").to_pylist() if row["unit"] == stone]
    told = [one for one in lake.table("outcome").to_pylist() if one["decision_id"] == row["decision_id"]]
    assert len(told) == 1, "its outcomes still join its exposures"
    lake.close()


def test_the_ledger_says_that_it_was_done_and_not_to_whom(data: Path) -> None:
    done = forget(data)
    store = Store(data)
    entry = store.entries(NAME)[-1]
    assert (entry.rule, entry.move, entry.actor) == ("forgotten", None, "ana")
    assert "ticket 7" in entry.sentence
    assert entry.about is not None
    assert entry.about["erased"]["seal"]["n"] == done.seal
    assert entry.from_position == entry.to_position
    seal = json.loads(store.seals()[int(done.seal or 0) - 1])
    assert seal["why"] == "forgotten"
    changed = [new for files in seal["replaced"].values() for new in files.values()]
    assert len(changed) == done.files
    assert all(new["was"] != new["sha256"] for new in changed)
    assert UNIT not in json.dumps(seal)
    assert not list((data / "forget").iterdir())
    store.close()


def test_again_it_finds_nothing_and_writes_nothing(data: Path) -> None:
    forget(data)
    store = Store(data)
    entries, seals = len(store.entries(NAME)), len(store.seals())
    again = forget(data)
    assert (again.facts, again.files, again.seal) == ({}, 0, None)
    assert len(store.entries(NAME)) == entries
    assert len(store.seals()) == seals
    store.close()
    assert checked(data).intact


def test_two_units_one_after_the_other(data: Path) -> None:
    first, second = forget(data), forget(data, "u401")
    assert first.files
    assert second.files
    assert found(data, UNIT, "u401") == {}
    assert checked(data).intact


KILLED = """
import os, signal, sys
from pathlib import Path
from crossfade.rim import examples, forgetting, lake_place
from crossfade.rim.lake import Lake
from crossfade.rim.sealing import Sealer
from crossfade.rim.store import Store, StoreError
from deltalake import DeltaTable

left = int(sys.argv[2])

def dying(owner, name):
    real = getattr(owner, name)
    def step(*given, **more):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **more)
    setattr(owner, name, step)

for owner, name in ((lake_place.Place, "write"), (lake_place.Place, "remove"), (Store, "seal"), (Store, "note"),
                    (DeltaTable, "create_checkpoint"), (examples, "forget"), (forgetting, "_scrub")):
    dying(owner, name)
store, lake = Store(Path(sys.argv[1])), Lake(Path(sys.argv[1]))
forgetting.Forgetting(store, lake, Sealer(store, lake, now=1.0)).turn(settle=0.0)
"""


def _kill_at(data: Path, step: int) -> bool:
    """Whether it died at that step, or was done before."""
    ran = subprocess.run([sys.executable, "-c", KILLED, str(data), str(step)], capture_output=True, check=False)
    assert ran.returncode in (0, -signal.SIGKILL), ran.stderr.decode()
    return ran.returncode != 0


def _dies_and_goes_on(made: Path, folder: Path, step: int) -> bool:
    data = Path(shutil.copytree(made, folder / f"data-{step}"))
    request = ask(data, UNIT, [], actor="ana", reason="ticket 7", at=LATER)
    died = _kill_at(data, step)
    if died:
        # The controller that comes next finishes it, before it looks at anything.
        controller = Controller(data, clock=lambda: LATER + 5.0)
        controller._upkeep.forgetting.turn(settle=0.0)
        controller.turn()
        controller.close()
    done = answered(request)
    assert done is not None
    assert done.files >= 2
    assert found(data, UNIT) == {}
    result = checked(data)
    assert result.intact, (step, result.reason)
    notes = [entry for entry in Store(data).entries(NAME) if entry.rule == "forgotten"]
    assert len(notes) == 1, "told once, however often it was begun"
    shutil.rmtree(data)
    return died


def test_killed_in_the_middle_it_is_gone_on_with(made: Path, tmp_path: Path) -> None:
    for step in (2, 9, 14):
        assert _dies_and_goes_on(made, tmp_path, step)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_killed_at_every_step(made: Path, tmp_path: Path) -> None:
    step = 1
    while _dies_and_goes_on(made, tmp_path, step):
        step += 1
    assert step > 15


def test_the_controller_does_it_while_the_rollout_runs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "SETTLE", 0.0)
    monkeypatch.setattr(Forgetting.turn, "__kwdefaults__", {"settle": 0.0})
    now = LATER
    controller = Controller(data, clock=lambda: now)
    controller.turn()
    request = ask(data, UNIT, [], actor="ana", reason="ticket 7", at=now)
    store, journal = Store(data), Journal(data, "w0")
    for number in range(90_000, 90_010):
        now += 1.0
        journal.append([exposed(number, at=now, unit=f"u{number}", rollout=NAME, mode="promote", stage=2)])
        controller.turn()
    assert answered(request) is not None
    stored = store.get(NAME)
    live = controller._engine.measure(stored.rollout, stored.position, now)
    anew = Engine(Lake(data)).measure(stored.rollout, stored.position, now)
    assert live.progress == anew.progress
    controller.close()
    store.close()
    assert found(data, UNIT) == {}
    assert checked(data).intact


def test_files_that_decisions_stand_on_outlive_a_vacuum(data: Path) -> None:
    forget(data)
    store, lake = Store(data), Lake(data)
    tidy = upkeep.Upkeep(store, lake, now=LATER)
    for kind in ("exposed", "outcome"):
        for file in (lake.path / kind).glob("*.parquet"):
            os.utime(file, (1.0, 1.0))
    tidy.vacuum(LATER)
    lake.close()
    store.close()
    assert checked(data).intact


def test_an_export_made_after_is_whole(data: Path, tmp_path: Path) -> None:
    forget(data)
    record = LiveRecord(data, NAME)
    export(record, tmp_path / "out", at=LATER)
    record.close()
    elsewhere = ExportedRecord(tmp_path / "out", NAME)
    assert check(elsewhere).intact
    assert not replay(elsewhere).differing
    assert found(tmp_path / "out", UNIT) == {}


def test_a_rewriting_that_no_seal_tells_of_is_found(data: Path) -> None:
    forget(data)
    rng = random.Random(1)
    files = sorted((data / "lake").glob("*/*.parquet"))
    for _ in range(25):
        file = rng.choice(files)
        with tampering.restored(file):
            how = tampering.touch_file(file, rng)
            record = LiveRecord(data, NAME)
            assert not check(record).intact, how
            record.close()


@pytest.mark.parametrize("chain", ["ledger", "seals"])
def test_a_chain_that_was_changed_after_is_found(data: Path, chain: str) -> None:
    forget(data)
    head = LiveRecord(data, NAME).told.seals[-1]
    rng, lines = random.Random(2), tampering.rows(data, chain)
    for _ in range(25):
        way = rng.choice(tampering.CHAINS)
        changed = way(list(lines), rng)
        if chain == "seals" and changed[:-1] == lines[:-1] and way is tampering.rehash:
            # Nothing comes after the last seal, and no decision stands on it: only a signature tells (see below).
            assert changed[-1] != head
            continue
        tampering.write_rows(data, chain, changed, NAME)
        assert not _holds(data), way.__name__
    tampering.write_rows(data, chain, lines, NAME)
    assert checked(data).intact


def _holds(data: Path, key: str | None = None) -> bool:
    try:
        record = LiveRecord(data, NAME)
    except StoreError:
        return False
    try:
        return check(record, key=key).intact
    finally:
        record.close()


def test_nobody_without_the_key_can_claim_that_a_unit_was_forgotten(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows changed, and a seal written that says they were forgotten: every hash right, the signature missing."""
    private = new_key(tmp_path)
    monkeypatch.setenv(signing.VARIABLE, str(private))
    data = tmp_path / "signed"
    make(data, wrong=0.2, ticks=4)
    key = signing.public(private)
    assert _holds(data, key)
    forget(data)
    assert _holds(data, key)
    monkeypatch.delenv(signing.VARIABLE)
    forget(data, "u401")
    assert not _holds(data, key)


def _aged_and_forgotten(folder: Path) -> tuple[Path, Path, str]:
    """A signed record out of which a unit and the facts beyond their time were taken, its export, and the key."""
    private = new_key(folder)
    data = folder / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(signing.VARIABLE, str(private))
        make(data, wrong=0.2)
        forget(data)
        store, lake = Store(data), Lake(data)
        store.act(NAME, Move.ROLLBACK, actor="ana", rule="manual", sentence="Enough.", at=LATER)
        tidy = upkeep.Upkeep(store, lake, now=LATER)
        patch.setattr(upkeep.Upkeep, "_cut", lambda *_: START + 12.0)
        assert tidy.retire(LATER + 1.0)
        tidy._sealer.seal("periodic", LATER + 2.0)
        # What decisions stand on goes in its time alone.
        late = LATER + 185 * 86_400.0
        lake.vacuum(keep_hours=0.0, announce=lambda doomed: tidy._sealer.removal(doomed, late))
        lake.close()
        store.close()
        record = LiveRecord(data, NAME)
        export(record, folder / "out", at=LATER)
        record.close()
    return data, folder / "out", signing.public(private)


def _tampered(folder: Path, times: int) -> None:
    data, out, key = _aged_and_forgotten(folder)
    record = LiveRecord(data, NAME)
    result = check(record, key=key)
    record.close()
    assert result.intact, result.reason
    assert result.aged_out
    assert result.forgotten
    assert result.removed
    assert check(ExportedRecord(out, NAME), key=key).intact
    rng = random.Random(5)
    for _ in range(times):
        once(out, key, rng)


def test_changes_to_a_record_with_facts_forgotten_and_aged_out_are_found(tmp_path: Path) -> None:
    _tampered(tmp_path, 30)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_two_hundred_changes_to_such_a_record_are_found(tmp_path: Path) -> None:
    _tampered(tmp_path, 200)


@pytest.mark.parametrize(
    ("unit", "reason", "said"),
    [
        ("", "ticket 7", "name the unit"),
        ("ana@example.org", "", "needs a reason"),
        ("ana@example.org", "asked by Ana@example.org", "must not name the unit"),
    ],
)
def test_what_no_ledger_should_hold_is_refused(tmp_path: Path, unit: str, reason: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ask(tmp_path, unit, [], actor="ben", reason=reason, at=0.0)
    assert not list(tmp_path.iterdir())
