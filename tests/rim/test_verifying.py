"""Whatever is done to a record is found, and nothing is found in one that nobody touched."""

from __future__ import annotations

import json
import random
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from crossfade.rim import sealing, signing, upkeep
from crossfade.rim.checked import Checked
from crossfade.rim.exporting import export
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.record import ExportedRecord, LiveRecord
from crossfade.rim.sealing import Sealer
from crossfade.rim.standing import NoData
from crossfade.rim.store import Store, StoreError, UnknownRollout
from crossfade.rim.verifying import check
from crossfade.spec.parse import parse
from crossfade.state import Move, Phase

from . import tampering
from .facts_made import exposed
from .recorded import NAME, SPEC, make


@dataclass(frozen=True)
class Signed:
    """A record that was signed: the data folder, an export of it, and the public key."""

    data: Path
    export: Path
    key: str
    private: Path


def new_key(folder: Path) -> Path:
    """A private key as openssl writes it."""
    key = Ed25519PrivateKey.generate()
    file = folder / "key.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """Made once; whoever changes it puts it back."""
    folder = tmp_path_factory.mktemp("signed")
    private = new_key(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(signing.VARIABLE, str(private))
        assert make(folder / "data", wrong=0.2) is Phase.PROMOTED
    record = LiveRecord(folder / "data", NAME)
    export(record, folder / "out", at=0.0)
    record.close()
    return Signed(folder / "data", folder / "out", signing.public(private), private)


def here(folder: Path, key: str | None = None) -> Checked:
    record = LiveRecord(folder, NAME)
    try:
        return check(record, key=key)
    finally:
        record.close()


def elsewhere(folder: Path, key: str | None = None) -> Checked | str:
    try:
        return check(ExportedRecord(folder, NAME), key=key)
    except StoreError as error:
        return str(error)


def tamper_export(folder: Path, rng: random.Random, ways: Sequence[tampering.Way]) -> tuple[str, Path]:
    """One random change to an export; what was done, and to which file."""
    chains = [folder / "ledger.jsonl", folder / "seals.jsonl"]
    facts = sorted(folder.glob("facts/*/*.parquet"))
    if rng.random() < 0.4:
        file = rng.choice(facts)
        return "", file
    return rng.choice(ways).__name__, rng.choice(chains)


def once(
    folder: Path,
    key: str | None,
    rng: random.Random,
    ways: Sequence[tampering.Way] = (*tampering.CHAINS, tampering.rehash_all),
) -> None:
    """Change an export in one random way, see that it is found, and put it back."""
    how, file = tamper_export(folder, rng, ways)
    with tampering.restored(file):
        if how:
            lines = file.read_bytes().removesuffix(b"\n").split(b"\n")
            changed = getattr(tampering, how)(lines, rng)
            file.write_bytes(b"".join(line + b"\n" for line in changed))
        else:
            how = tampering.touch_file(file, rng)
        found = elsewhere(folder, key)
        assert isinstance(found, str) or not found.intact, (how, file)
        if isinstance(found, Checked):
            assert found.reason
            assert found.first_broken is not None


def test_random_changes_to_an_export_are_all_found(signed: Signed) -> None:
    found = elsewhere(signed.export, signed.key)
    assert isinstance(found, Checked)
    assert (found.intact, found.signers, found.unsigned) == (True, [signed.key], 0), found.reason
    for seed in range(200):
        once(signed.export, signed.key, random.Random(seed))
    assert elsewhere(signed.export, signed.key) == found


@pytest.mark.full
def test_two_thousand_random_changes_to_an_export_are_all_found(signed: Signed) -> None:
    for seed in range(1000, 3000):
        once(signed.export, signed.key, random.Random(seed))


def change_data(folder: Path, rng: random.Random) -> tuple[str, Checked]:
    """One random change to a data folder, found or not."""
    kind = rng.choice(["ledger", "seals", "facts", "log"])
    if kind in ("ledger", "seals"):
        how = rng.choice([*tampering.CHAINS, tampering.rehash_all])
        lines = tampering.rows(folder, kind)
        tampering.write_rows(folder, kind, how(lines, rng), NAME)
        try:
            return f"{how.__name__} {kind}", here(folder, signing_key(folder))
        except StoreError as error:
            return str(error), Checked(intact=False)
        finally:
            tampering.write_rows(folder, kind, lines, NAME)
    pattern = "lake/*/*.parquet" if kind == "facts" else "lake/*/_delta_log/*.json"
    file = rng.choice(sorted(folder.glob(pattern)))
    with tampering.restored(file):
        if kind == "facts":
            how = tampering.touch_file(file, rng)
        else:
            how = f"flip {file.name}"
            file.write_bytes(tampering.flipped(file.read_bytes(), rng))
        return how, here(folder, signing_key(folder))


def signing_key(folder: Path) -> str:
    return signing.public(folder.parent / "key.pem")


@pytest.mark.parametrize("count", [40, pytest.param(400, marks=[pytest.mark.full, pytest.mark.timeout(900)])])
def test_random_changes_to_a_data_folder_are_all_found(signed: Signed, count: int) -> None:
    before = here(signed.data, signed.key)
    assert before.intact, before.reason
    assert before.uncovered == 0
    for seed in range(count):
        how, found = change_data(signed.data, random.Random(seed))
        assert not found.intact, how
    assert here(signed.data, signed.key).intact


def test_what_was_written_anew_from_end_to_end_shows_by_signature_or_by_a_hash_kept_elsewhere(
    signed: Signed, tmp_path: Path
) -> None:
    """And by nothing else: without either, verify says that it cannot show this."""
    make(tmp_path / "data", wrong=0.9)
    record = LiveRecord(tmp_path / "data", NAME)
    export(record, tmp_path / "out", at=0.0)
    record.close()
    untouched = check(ExportedRecord(tmp_path / "out"))
    file = tmp_path / "out" / "ledger.jsonl"
    lines = file.read_bytes().removesuffix(b"\n").split(b"\n")
    # The last entry's position stays, so that the head does not tell.
    changed = tampering.rehash_all(lines, random.Random(1))
    file.write_bytes(b"".join(line + b"\n" for line in changed))
    found = check(ExportedRecord(tmp_path / "out"))
    assert found.intact
    assert found.to_json()["not_shown"][0].startswith("not every record is signed")
    assert untouched.head is not None
    anchored = check(ExportedRecord(tmp_path / "out"), expect=untouched.head)
    assert not anchored.intact
    assert "written anew" in anchored.reason
    wanted = check(ExportedRecord(tmp_path / "out"), key=signed.key)
    assert (wanted.intact, wanted.first_broken) == (False, 1)


def test_another_key_is_not_the_one_that_is_trusted(signed: Signed, tmp_path: Path) -> None:
    found = elsewhere(signed.export, signing.public(new_key(tmp_path)))
    assert isinstance(found, Checked)
    assert (found.intact, found.first_broken) == (False, 1)
    assert "not by the key you trust" in found.reason


def test_a_key_that_is_none_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.pem").write_text("no key")
    monkeypatch.setenv(signing.VARIABLE, str(tmp_path / "key.pem"))
    with pytest.raises(StoreError, match="cannot use the signing key"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="cannot read the public key"):
        signing.public(tmp_path / "key.pem")


SIGNER = """
import sys
from cryptography.hazmat.primitives.serialization import load_pem_private_key
key = load_pem_private_key(open(sys.argv[1], "rb").read(), None)
print(key.sign(bytes.fromhex(sys.stdin.read())).hex())
"""


def test_a_command_may_sign_and_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    mine, other = new_key(tmp_path), new_key(tmp_path / "other")
    (tmp_path / "signer.py").write_text(SIGNER)
    for key in (mine, other):
        public = load_pem_private_key(key.read_bytes(), None).public_key()
        key.with_suffix(".pub").write_bytes(
            public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def use(command: str, key: Path) -> Store:
        monkeypatch.setenv(signing.COMMAND, command)
        monkeypatch.setenv(signing.VARIABLE, str(key.with_suffix(".pub")))
        return Store(tmp_path)

    command = f"{sys.executable} {tmp_path / 'signer.py'} {mine}"
    store = use(command, mine)
    store.add(SPEC, parse(SPEC), 0.0)
    assert here(tmp_path, signing.public(mine)).signers == [signing.public(mine)]
    for wrong, key, why in (
        (command, other, "no signature of the key"),
        ("false", mine, "ended with 1"),
        ("/no/such/signer", mine, "cannot be used"),
        ("echo hello", mine, "no signature"),
    ):
        with pytest.raises(StoreError, match=why):
            use(wrong, key).act(NAME, Move.START, actor="ana", rule="manual", sentence="Go.", at=1.0)
    # What could not be signed was not done.
    assert store.get(NAME).position.phase is Phase.PENDING
    monkeypatch.delenv(signing.VARIABLE)
    with pytest.raises(StoreError, match="name its public key"):
        Store(tmp_path)


def test_files_put_together_are_lawful_and_must_hold_every_fact(signed: Signed, tmp_path: Path) -> None:
    shutil.copytree(signed.data, tmp_path / "data")
    data = tmp_path / "data"
    store, lake = Store(data), Lake(data)
    lake.optimize(small_files=1)
    sealer = Sealer(store, lake, now=0.0)
    assert sealer.seal("periodic", 2e9) is not None
    found = here(data)
    assert found.intact, found.reason
    assert found.rewritten >= 2
    # Somebody who rewrites files and makes sure that nothing is missing, but for a value.
    version = lake.versions()["exposed"]
    (file,) = lake.files("exposed", version)
    tampering.edited(Path(file), random.Random(0))
    assert sealer.seal("periodic", 2e9 + 1) is not None
    assert here(data).first_broken is not None
    store.close()
    lake.close()


def test_facts_deleted_in_their_time_are_announced_and_those_that_vanish_are_found(
    signed: Signed, tmp_path: Path
) -> None:
    for announced in (True, False):
        data = tmp_path / str(announced)
        shutil.copytree(signed.data, data)
        store, lake = Store(data), Lake(data)
        sealer = Sealer(store, lake, now=2e9)
        announce = (lambda: sealer.retention(2e9, {}, 2e9)) if announced else (lambda: None)  # noqa: B023
        assert lake.retire(2e9, {}, announce=announce)
        sealer.seal("periodic", 2e9 + 1)
        if announced:
            lake.vacuum(keep_hours=0.0, announce=lambda doomed: sealer.removal(doomed, 2e9 + 2))  # noqa: B023
        found = here(data)
        assert found.intact is announced, found.reason
        if announced:
            assert found.removed > 0
        else:
            assert "no retention was announced" in found.reason
        store.close()
        lake.close()


def test_seals_that_no_decision_asks_for_become_rare(tmp_path: Path) -> None:
    store, lake, journal = Store(tmp_path), Lake(tmp_path), Journal(tmp_path, "w0")
    sealer = Sealer(store, lake, now=0.0)
    made = []
    for minute in range(1, 600):
        if minute % 10 == 0 or minute < 40:
            journal.append([exposed(minute)])
            lake.compact_journals()
        sealer.turn(minute * 60.0)
        made.append(len(store.seals()))
    assert made[18] == 19
    assert made[-1] < 100
    store.close()
    lake.close()


def test_a_spec_that_was_changed_is_found(signed: Signed) -> None:
    (file,) = (signed.export / "specs").glob("*.yaml")
    with tampering.restored(file):
        file.write_text(file.read_text().replace("10pp", "20pp"))
        found = elsewhere(signed.export)
        assert isinstance(found, Checked)
        assert "was changed: it is revision" in found.reason


def test_what_is_no_export_is_said_plainly(signed: Signed, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"has no export\.json"):
        ExportedRecord(tmp_path)
    shutil.copytree(signed.export, tmp_path, dirs_exist_ok=True)
    said = json.loads((tmp_path / "export.json").read_text())
    (tmp_path / "export.json").write_text(json.dumps({**said, "schema": "crossfade.export/9"}))
    with pytest.raises(StoreError, match="export/9"):
        ExportedRecord(tmp_path)


def test_a_record_that_is_being_written_holds_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With files put together, removed and sealed all the while."""
    monkeypatch.setattr(upkeep, "OPTIMIZE_EVERY", 10.0)
    monkeypatch.setattr(upkeep, "VACUUM_EVERY", 15.0)
    monkeypatch.setattr(upkeep, "KEEP_HOURS", 0.0)
    monkeypatch.setattr(sealing, "SOONEST", 5.0)
    tidy = Lake.optimize
    monkeypatch.setattr(Lake, "optimize", lambda lake: tidy(lake, small_files=3))
    # A challenger that is like the champion stays undecided to the last tick.
    writer = threading.Thread(target=make, args=(tmp_path,), kwargs={"wrong": 0.4, "ticks": 14, "a_tick": 30})
    writer.start()
    looked = []
    while writer.is_alive():
        time.sleep(0.1)
        try:
            looked.append(here(tmp_path))
        except (NoData, UnknownRollout):
            continue
    writer.join()
    looked.append(here(tmp_path))
    assert [found.reason for found in looked if not found.intact] == []
    assert len(looked) > 3
    assert looked[-1].rewritten + looked[-1].removed > 0
    assert looked[-1].uncovered == 0


def test_controllers_that_take_turns_make_one_chain(tmp_path: Path) -> None:
    """Each goes on from what the other said, though it remembers what it said itself."""
    store, journal = Store(tmp_path), Journal(tmp_path, "w0")
    store.add(SPEC, parse(SPEC), 0.0)
    lakes = [Lake(tmp_path), Lake(tmp_path)]
    sealers = [Sealer(store, lake, now=0.0) for lake in lakes]
    for turn in range(7):
        # Who compacts holds the lake; the other has given it up.
        journal.append([exposed(turn)])
        lake = Lake(tmp_path)
        lake.compact_journals()
        if turn % 3 == 2:
            lake.optimize(small_files=1)
        lake.close()
        assert sealers[turn % 2].seal("periodic", float(turn)) is not None
    sealers[0].removal({"exposed": sorted(here(tmp_path).sets[0]["exposed"])}, 8.0)
    sealers[1].retention(0.0, {}, 9.0)
    found = here(tmp_path)
    assert found.intact, found.reason
    assert (found.seals, found.removed) == (9, 1)
    store.close()
    for lake in lakes:
        lake.close()
