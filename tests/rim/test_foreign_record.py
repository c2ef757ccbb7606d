"""Who checks an exported folder trusts nobody: no name, column or spec in it makes the machine do anything else."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossfade.rim.exporting import export
from crossfade.rim.lake import LakeError
from crossfade.rim.record import ExportedRecord, LiveRecord
from crossfade.rim.replaying import Facts, chains, measured
from crossfade.rim.store import StoreError
from crossfade.rim.verifying import _lost
from crossfade.spec.parse import parse
from crossfade.state import Position

from .recorded import NAME, SPEC, make


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export as it is carried to somebody else."""
    folder = tmp_path_factory.mktemp("foreign")
    make(folder / "data", wrong=0.4, ticks=3, a_tick=20)
    record = LiveRecord(folder / "data", NAME)
    export(record, folder / "out", at=0.0)
    record.close()
    return folder / "out"


def test_a_column_cannot_write_our_statements(out: Path, tmp_path: Path) -> None:
    folder, written = tmp_path / "out", tmp_path / "written"
    shutil.copytree(out, folder)
    column = f"""unit" FROM (SELECT 1 AS "unit")); COPY (SELECT 1) TO '{written}'; SELECT count(*) FROM (SELECT "unit"""
    (folder / "facts" / "exposed").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"unit": ["u"], column: ["x"]}), folder / "facts" / "exposed" / "evil.parquet")
    assert _lost(ExportedRecord(folder, NAME), "exposed", ["evil.parquet"], ["evil.parquet"]) == 0
    assert not written.exists()


@pytest.mark.parametrize("name", ["../../../secret", "{secret}", "link", "pipe"])
def test_a_name_leads_nowhere_else(out: Path, tmp_path: Path, name: str) -> None:
    folder, secret = tmp_path / "out", tmp_path / "secret"
    shutil.copytree(out, folder)
    secret.write_text("of the auditor")
    tables = folder / "facts" / "exposed"
    tables.mkdir(parents=True, exist_ok=True)
    (tables / "link").symlink_to(secret)
    os.mkfifo(tables / "pipe")
    with pytest.raises(LakeError, match="was not opened"):
        ExportedRecord(folder, NAME).read("exposed", name.format(secret=secret))


def test_code_that_a_spec_names_runs_only_when_it_is_asked_for(out: Path) -> None:
    plain = parse(SPEC)
    scoring = replace(plain, metrics=(replace(plain.metrics[0], score="os:popen"), *plain.metrics[1:]))
    foreign, trusted = ExportedRecord(out, NAME), ExportedRecord(out, NAME, runs_code=True)
    for record in (foreign, trusted):
        facts = Facts(record, chains(record)[1])
        facts.last()
        measured(facts, plain, Position(), 2e9, 1)
        if record is foreign:
            with pytest.raises(StoreError, match=r"scores by os:popen, .* was not run; .* --run-code"):
                measured(facts, scoring, Position(), 2e9, 1)
        else:
            measured(facts, scoring, Position(), 2e9, 1)
