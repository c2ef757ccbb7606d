"""What a data folder holds is its owner's alone, and a link put in the way of a secret is not followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from crossfade.rim.store import Store
from crossfade.rim.supervisor import prepare, write_token
from crossfade.rim.tokens import TokenProblem, Tokens


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def generous() -> object:
    """An account whose files others may read unless it is said otherwise."""
    before = os.umask(0o002)
    yield
    os.umask(before)


def test_a_folder_that_we_make_is_closed_to_others(tmp_path: Path) -> None:
    prepare(tmp_path / "served")
    Store(tmp_path / "looked").close()
    assert [mode(tmp_path / name) for name in ("served", "looked")] == [0o700, 0o700]
    (tmp_path / "shared").mkdir(mode=0o750)
    prepare(tmp_path / "shared")
    assert mode(tmp_path / "shared") == 0o750, "what its owner has opened stays open"


def test_secrets_are_their_owners_in_an_open_folder_too(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    prepare(tmp_path)
    token = write_token(tmp_path)
    tokens = Tokens(tmp_path)
    secret = tokens.add("ana", ["operator"], at=0.0, by="test")
    assert [mode(path) for path in (tmp_path / "run" / "token", tokens.path, tokens.log)] == [0o600] * 3
    assert secret not in tokens.path.read_text() + tokens.log.read_text()
    assert write_token(tmp_path) == token


def test_links_in_the_way_of_secrets_are_not_followed(tmp_path: Path) -> None:
    prepare(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "run" / "token").symlink_to(elsewhere)
    with pytest.raises(OSError, match="run/token"):
        write_token(tmp_path)
    (tmp_path / "run" / "tokens.tmp").symlink_to(elsewhere)
    Tokens(tmp_path).add("ana", ["viewer"], at=0.0, by="test")
    (tmp_path / "run" / "tokens.lock").unlink()
    (tmp_path / "run" / "tokens.lock").symlink_to(elsewhere)
    with pytest.raises(TokenProblem):
        Tokens(tmp_path).add("ben", ["viewer"], at=0.0, by="test")
    assert not elsewhere.exists()
