"""Files that an earlier version wrote are read beside those of today."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crossfade.rim.engine.session import Session, reading
from crossfade.rim.lake_columns import columns
from rim.facts_made import shown


@pytest.mark.parametrize("which", [("old",), ("new",), ("old", "new"), ("new", "old")])
def test_columns_that_came_later_are_null_in_older_files(tmp_path: Path, which: tuple[str, ...]) -> None:
    whole = columns("shown", [shown(1, credits=(250_000, -1), arm="v2")])
    pq.write_table(whole, tmp_path / "new")
    pq.write_table(whole.drop_columns(["credits", "arm"]), tmp_path / "old")
    session = Session(1)
    found = session.connection.execute(reading("shown", [str(tmp_path / name) for name in which])).fetchall()
    names = [column[0] for column in session.connection.description or ()]
    session.close()
    told = {tuple(row[names.index("credits")] or ()) for row in found}
    arms = {row[names.index("arm")] for row in found}
    assert len(found) == len(which)
    assert told == {() if name == "old" else (250_000, -1) for name in which}
    assert arms == {None if name == "old" else "v2" for name in which}
