"""Keys of pseudonyms: from the environment or a file, held to what they were, told to nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossfade.live.pseudonyms import pseudonym
from crossfade.rim.pseudonym_keys import KeyProblem, Keys
from crossfade.rim.secrets import SecretError, secret
from view.sample import ROLLOUT

KEY = "5f" * 32
NAMED = replace(ROLLOUT, pseudonyms="env:UNIT_KEY")


def test_a_key_from_the_environment_and_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIT_KEY", f"  {KEY}\n")
    (tmp_path / "unit.key").write_text(KEY + "\n")
    assert Keys(tmp_path).of(NAMED) == KEY.encode()
    assert Keys(tmp_path).of(replace(NAMED, pseudonyms=f"file:{tmp_path}/unit.key")) == KEY.encode()
    assert Keys(tmp_path).recorded(NAMED, "ana") == pseudonym(KEY.encode(), "ana") != "ana"
    assert Keys(tmp_path).recorded(NAMED, "") == ""


def test_without_pseudonyms_there_is_no_key(tmp_path: Path) -> None:
    assert Keys(tmp_path).of(ROLLOUT) == b""
    assert Keys(tmp_path).recorded(ROLLOUT, "ana") == "ana"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNIT_KEY", raising=False)
    with pytest.raises(KeyProblem, match=r"UNIT_KEY is not set; .*openssl rand -hex 32"):
        Keys(tmp_path).of(NAMED)
    with pytest.raises(KeyProblem, match=r"nowhere\.key cannot be read \(No such file"):
        Keys(tmp_path).of(replace(NAMED, pseudonyms=f"file:{tmp_path}/nowhere.key"))


def test_a_key_that_could_be_guessed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIT_KEY", "secret")
    with pytest.raises(KeyProblem, match="has 6 characters; it needs 32"):
        Keys(tmp_path).of(NAMED)


def test_another_key_is_refused_and_the_first_one_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIT_KEY", KEY)
    Keys(tmp_path).check([NAMED])
    monkeypatch.setenv("UNIT_KEY", "a1" * 32)
    with pytest.raises(KeyProblem, match="Bring the former key back") as told:
        Keys(tmp_path).check([ROLLOUT, NAMED])
    assert "a1a1" not in str(told.value)
    monkeypatch.setenv("UNIT_KEY", KEY)
    Keys(tmp_path).check([NAMED])
    kept = "".join(path.read_text() for path in (tmp_path / "keys").iterdir())
    assert KEY not in kept
    assert "a1a1" not in kept


def test_an_empty_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(SecretError, match="is empty"):
        secret(f"file:{tmp_path}/empty")
