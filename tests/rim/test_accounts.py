"""The account log: tokens and log say the same, in the order in which it happened, and a change to either is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossfade.rim import accounts, signing, tokens
from crossfade.rim.dossier import gather
from crossfade.rim.exporting import export
from crossfade.rim.record import ExportedRecord, LiveRecord
from crossfade.rim.tokens import TokenProblem, Tokens
from crossfade.rim.verifying import check
from crossfade.view.dossier import dossier

from .facts_made import START
from .recorded import NAME, make
from .test_verifying import new_key


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("accounts")
    make(data, wrong=0.4, ticks=2, a_tick=40)
    return data


@pytest.fixture
def data(recorded: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(recorded, tmp_path / "data")
    return tmp_path / "data"


def given(data: Path) -> Tokens:
    held = Tokens(data)
    held.add("ana", ["approver"], at=START, by="root")
    held.add("ben", ["operator", "viewer"], at=START + 1.0, by="root")
    held.revoke("ana", at=START + 2.0, by="cy")
    return held


def verdict(data: Path) -> tuple[bool, str]:
    record = LiveRecord(data, NAME)
    found = check(record)
    record.close()
    return found.intact, found.reason


def test_who_was_given_a_token_and_from_whom_it_was_taken_is_an_entry(data: Path, tmp_path: Path) -> None:
    assert verdict(data) == (True, "")
    held = given(data)
    log = accounts.read_log(held.log)
    assert [(one.n, one.what, one.name, one.by) for one in log] == [
        (1, "added", "ana", "root"),
        (2, "added", "ben", "root"),
        (3, "revoked", "ana", "cy"),
    ]
    assert accounts.held(log) == {"ben": (held.all()[0].sha256, ("viewer", "operator"))}
    assert verdict(data) == (True, "")
    record = LiveRecord(data, NAME)
    export(record, tmp_path / "out", at=START)
    record.close()
    there = ExportedRecord(tmp_path / "out", NAME)
    assert check(there).to_json()["accounts"] == 3
    people = next(part for part in dossier(gather(there, now=START + 60.0))["parts"] if part["id"] == "people")
    rows = next(block["rows"] for block in people["blocks"] if "whose" in block.get("head", ()))
    assert [(row[2], row[4], row[5]) for row in rows] == [(one.name, one.what, one.by) for one in log]
    cut = (tmp_path / "out" / "accounts.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "out" / "accounts.jsonl").write_bytes(b"".join(cut[:2]))
    assert check(ExportedRecord(tmp_path / "out", NAME)).reason == "the account log ends at entry 2 of 3"


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("forge", "eve has a token of which the account log says nothing"),
        ("raise", "the token of ben is another one, or has other roles"),
        ("remove", "the token of ben is gone"),
        ("cut", "the account log ends at entry 2, and the tokens were written at entry 3"),
        ("drop", "entry 2 of the account log does not follow"),
        ("edit", "entry 2 of the account log was changed"),
        ("tear", "entry 3 of the account log was changed"),
        ("gone", "the account log ends at entry 0"),
        ("forget", "does not say how far the account log beside it goes"),
    ],
)
def test_what_was_changed_is_found(data: Path, what: str, reason: str) -> None:
    held = given(data)
    said, log = json.loads(held.path.read_text()), held.log.read_bytes().splitlines(keepends=True)
    match what:
        case "forge":
            said["tokens"].append({**said["tokens"][0], "name": "eve", "sha256": "0" * 64})
        case "raise":
            said["tokens"][0]["roles"].append("approver")
        case "remove":
            said["tokens"] = []
        case "forget":
            del said["log"]
        case "cut":
            log = log[:2]
        case "drop":
            log = [log[0], log[2]]
        case "edit":
            log[1] = log[1].replace(b"operator", b"approver")
        case "tear":
            log[2] = log[2][:-9]
        case "gone":
            log = []
    held.path.write_text(json.dumps(said))
    held.log.write_bytes(b"".join(log))
    intact, told = verdict(data)
    assert (intact, reason in told) == (False, True), told


def test_a_death_between_the_log_and_the_tokens_is_made_good(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(Exception):
        pass

    def killed(*_: object) -> None:
        raise Killed

    held = Tokens(data)
    for name in ("ana", "ben"):
        # The first of all, and one after it.
        with monkeypatch.context() as patch:
            patch.setattr(tokens, "_write", killed)
            with pytest.raises(Killed):
                held.add(name, ["viewer"], at=START, by="root")
        assert verdict(data) == (True, "")
        assert name not in {one.name for one in held.all()}
        held.add(name, ["viewer"], at=START + 1.0, by="root")
        assert verdict(data) == (True, "")
    assert [one.what for one in accounts.read_log(held.log)] == ["added", "undone", "added", "added", "undone", "added"]


def test_tokens_that_are_older_than_the_log_or_came_without_it_are_said_to_be_found(data: Path) -> None:
    held = given(data)
    said = json.loads(held.path.read_text())
    held.log.unlink()
    del said["log"]
    held.path.write_text(json.dumps(said))
    assert verdict(data) == (True, "")
    held.add("cy", ["viewer"], at=START, by="root")
    assert [(one.what, one.name) for one in accounts.read_log(held.log)] == [("found", "ben"), ("added", "cy")]
    said = json.loads(held.path.read_text())
    said["tokens"] = [{**said["tokens"][1], "name": "eve", "sha256": "0" * 64}, said["tokens"][0]]
    held.path.write_text(json.dumps(said))
    assert not verdict(data)[0]
    # Who came without an entry can be thrown out at once, and the log tells that they were there.
    held.revoke("eve", at=START, by="root")
    told = [(one.what, one.name) for one in accounts.read_log(held.log)]
    assert told[2:] == [("found", "eve"), ("lost", "cy"), ("revoked", "eve")]
    assert verdict(data) == (True, "")


def test_with_a_key_entries_are_signed_and_what_cannot_be_signed_is_not_done(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = new_key(tmp_path)
    monkeypatch.setenv(signing.VARIABLE, str(private))
    held = given(data)
    assert {one.signer for one in accounts.read_log(held.log)} == {signing.public(private)}
    assert verdict(data) == (True, "")
    monkeypatch.setenv(signing.VARIABLE, str(tmp_path / "nowhere.pem"))
    with pytest.raises(TokenProblem, match="cannot use the signing key"):
        held.add("eve", ["viewer"], at=START, by="root")
    assert {one.name for one in held.all()} == {"ben"}
