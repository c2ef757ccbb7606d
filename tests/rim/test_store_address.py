"""Where the store's address is read, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.rim.revisions import StoreError
from crossfade.rim.store_address import VARIABLE, VARIABLE_FILE, server

ADDRESS = "postgresql://crossfade:secret@db/crossfade"


def test_a_file_may_hold_it_and_the_variable_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert server() is None
    (tmp_path / "store").write_text(f"{ADDRESS}\n")
    monkeypatch.setenv(VARIABLE_FILE, str(tmp_path / "store"))
    assert server() == ADDRESS
    monkeypatch.setenv(VARIABLE, "postgres://other/one")
    assert server() == "postgresql://other/one"


@pytest.mark.parametrize("content", [None, "", "mysql://root:secret@db/x", b"\xff\xfe"])
def test_a_file_without_one_is_an_error_that_tells_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | bytes | None
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    file = tmp_path / "store"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv(VARIABLE_FILE, str(file))
    with pytest.raises(StoreError) as refused:
        server()
    assert "secret" not in str(refused.value)
    assert VARIABLE in str(refused.value)
