"""`crossfade outcomes import`: every form of source, straight and through the API, once each, and resumable."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from crossfade.cli import importing
from crossfade.facts import Outcome
from crossfade.rim import batches
from crossfade.rim.inbox import OutcomeInbox

from .conftest import Crossfade

AT = 1_700_000_000.0
UNITS = ("--set", "rollout=ranker-v2", "--set", "name=revenue", "--column", "unit=customer", "--column", "at=when")


def kept(data: Path) -> list[Outcome]:
    connection = batches.connect(data / "journal/outcomes.db")
    found = [fact for row in batches.rows(connection, 0, 10**9) for fact in row.facts]
    connection.close()
    return [fact for fact in found if isinstance(fact, Outcome)]


def sheet(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text("\n".join(["customer,value,when,note", *lines]) + "\n")
    return path


def test_a_sheet_is_imported_once_however_often(crossfade: Crossfade, data: Path, tmp_path: Path) -> None:
    path = sheet(tmp_path, f'ana,19.9,{AT},"two\nlines"', f"bo,0,{AT},", f"bo,0,{AT},the same event again")
    told = crossfade("outcomes", "import", str(path), *UNITS, "--data", str(data))
    assert (told.code, told.out) == (0, "3 rows: 2 outcomes kept, 1 known already, 0 rejected\n")
    again = crossfade("outcomes", "import", str(path), *UNITS, "--data", str(data), "--json")
    record = json.loads(again.out)
    assert (record["rows"], record["accepted"], record["duplicates"]) == (3, 0, 3)
    first, second = kept(data)
    assert (first.rollout, first.unit, first.name, first.value, first.at) == ("ranker-v2", "ana", "revenue", 19.9, AT)
    assert second.value == 0.0


def test_a_column_says_what_a_row_corrects(crossfade: Crossfade, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "refunds.csv"
    path.write_text(f"order,customer,value,when,of\n1,ana,19.9,{AT},\n2,ana,0,{AT},1\n3,ana,,{AT},1\n")
    more = ("--column", "outcome_id=order", "--column", "corrects=of")
    told = crossfade("outcomes", "import", str(path), *UNITS, *more, "--data", str(data))
    assert (told.code, told.out.splitlines()[0]) == (
        1,
        "3 rows: 2 outcomes kept, 0 known already, 1 rejected",
    )
    assert [(fact.outcome_id, fact.value, fact.corrects) for fact in kept(data)] == [("1", 19.9, ""), ("2", 0.0, "1")]


def test_what_is_wrong_with_a_row_is_noted_with_its_line(crossfade: Crossfade, data: Path, tmp_path: Path) -> None:
    path = sheet(
        tmp_path,
        f"ana,1,{AT},",
        f"bo,many,{AT},",
        'cy,1,"not\na time",',
        f"di,,{AT},",
        "ed,1",
        f",1,{AT},",
        f"fi,1,{AT},",
        "gu,1,,",
    )
    told = crossfade("outcomes", "import", str(path), *UNITS, "--data", str(data))
    assert told.code == 1
    assert "8 rows: 2 outcomes kept, 0 known already, 6 rejected" in told.out
    noted = [json.loads(line) for line in (tmp_path / "orders.csv.rejects.ndjson").read_text().splitlines()]
    said = {line["row"]: line["problem"] for line in noted}
    assert said[3] == "value: 'many' is not a number"
    assert said[4].startswith("at: Invalid isoformat")
    assert "value is empty" in said[6]
    assert "2 cells where the heading has 4" in said[7]
    assert "belongs to nothing" in said[8]
    assert "at is empty" in said[10]
    assert noted[0]["columns"]["customer"] == "bo"


def test_lines_parquet_and_delta_say_the_same(crossfade: Crossfade, data: Path, tmp_path: Path) -> None:
    when = [datetime.fromtimestamp(AT + n, UTC) for n in range(5)]
    table = pa.table(
        {
            "customer": pa.array([7, 8, 9, 10, 11]),
            "value": pa.array([Decimal(f"{n}.50") for n in range(5)]),
            "when": pa.array(when, pa.timestamp("us", "UTC")),
        }
    )
    lines = tmp_path / "orders.ndjson.gz"
    with gzip.open(lines, "wt") as out:
        for n in range(5):
            out.write(json.dumps({"customer": 7 + n, "value": n + 0.5, "when": when[n].isoformat()}) + "\n\n")
        out.write("[1]\n{\n")
    parquet, delta = tmp_path / "orders.parquet", tmp_path / "orders"
    pq.write_table(table, parquet)
    write_deltalake(delta, table.slice(0, 3), partition_by=["customer"])
    write_deltalake(delta, table.slice(3), mode="append")
    first = json.loads(crossfade("outcomes", "import", str(lines), *UNITS, "--data", str(data), "--json").out)
    assert (first["accepted"], first["rejected"]) == (5, 2)
    assert "12" in (tmp_path / "orders.ndjson.gz.rejects.ndjson").read_text()
    for source in (parquet, delta):
        record = json.loads(crossfade("outcomes", "import", str(source), *UNITS, "--data", str(data), "--json").out)
        assert (record["rows"], record["accepted"], record["duplicates"]) == (5, 0, 5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--column", "unit=custmer"), "did you mean customer?"),
        (("--column", "unitt=customer"), "did you mean unit?"),
        (("--set", "name"), "FIELD=VALUE"),
        (("--column", "at=when"), "nothing says which outcome"),
        (("--set", "name=x"), "nothing says when"),
        (("--set", "name=x", "--column", "at=when"), "whose outcomes"),
        ((*UNITS, "--set", "at=1"), "both a column and a value"),
        ((*UNITS, "--timezone", "Mars"), "--timezone"),
        ((*UNITS, "--format", "xls"), "allowed: csv"),
        ((*UNITS, "--to", "ftp://x"), "not the URL of a control port"),
    ],
)
def test_wrong_use_is_told_before_anything_is_reported(
    crossfade: Crossfade, data: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    told = crossfade("outcomes", "import", str(sheet(tmp_path)), *options, "--data", str(data))
    assert told.code == 2
    assert said in told.err
    assert "Traceback" not in told.err


def test_a_source_that_is_none(crossfade: Crossfade, data: Path, tmp_path: Path) -> None:
    (tmp_path / "x.xls").write_text("")
    (tmp_path / "bad.parquet").write_text("no")
    for name, said in (("y.csv", "there is no"), ("x.xls", "--format"), ("", "_delta_log"), ("bad.parquet", "parquet")):
        told = crossfade("outcomes", "import", str(tmp_path / name), *UNITS, "--data", str(data))
        assert (told.code, said in told.err) == (2, True)


def test_times_without_an_offset_need_one(crossfade: Crossfade, data: Path, tmp_path: Path) -> None:
    path = sheet(tmp_path, "ana,1,2024-01-01 12:00:00,")
    assert crossfade("outcomes", "import", str(path), *UNITS, "--data", str(data)).code == 1
    assert "--timezone" in (tmp_path / "orders.csv.rejects.ndjson").read_text()
    zoned = crossfade("outcomes", "import", str(path), *UNITS, "--data", str(data), "--timezone", "Europe/Berlin")
    assert zoned.code == 0
    assert kept(data)[0].at == datetime(2024, 1, 1, 11, tzinfo=UTC).timestamp()


def test_an_import_that_was_cut_off_goes_on_where_it_stopped(
    crossfade: Crossfade, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sheet(tmp_path, *(f"c{n},1,{AT + n}," for n in range(100)))
    note = tmp_path / "note.json"
    options = (*UNITS, "--data", str(data), "--batch", "10", "--resume", str(note), "--json")
    real, calls = importing.ToFolder.carry, iter(range(100))

    def breaks(self: importing.ToFolder, items: list[dict]) -> importing.Answer:
        if next(calls) == 4:
            raise importing.Undelivered("the disk is full")
        return real(self, items)

    monkeypatch.setattr(importing.ToFolder, "carry", breaks)
    told = crossfade("outcomes", "import", str(path), *options)
    assert (told.code, json.loads(told.out)["error"]) == (1, "the disk is full")
    assert len(kept(data)) == 40
    monkeypatch.undo()
    record = json.loads(crossfade("outcomes", "import", str(path), *options).out)
    # Nothing was offered twice, and the totals are those of the whole.
    assert (record["rows"], record["accepted"], record["duplicates"]) == (100, 100, 0)
    assert record["resumed_after"] == 41
    path.write_text(path.read_text() + f"c100,1,{AT},\n")
    other = crossfade("outcomes", "import", str(path), *options)
    assert (other.code, "has changed" in other.out) == (2, True)


SERVER = """
import sys
from pathlib import Path
import uvicorn
from crossfade.console.app import create_app
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.store import Store
data = Path(sys.argv[1])
app = create_app(Store(data), OutcomeInbox(data), data, token=None)
server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
import asyncio
async def main():
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await task
asyncio.run(main())
"""


@pytest.fixture
def port(data: Path) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(data)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_through_the_api_it_is_the_same(crossfade: Crossfade, data: Path, tmp_path: Path, port: str) -> None:
    rows = [f"c{n},{n},{AT + n}," for n in range(250)]
    path = sheet(tmp_path, *rows, f"x,1e300,{AT},")
    told = crossfade("outcomes", "import", str(path), *UNITS, "--to", port, "--batch", "100", "--json")
    record = json.loads(told.out)
    assert (record["accepted"], record["rejected"]) == (250, 1)
    noted = json.loads((tmp_path / "orders.csv.rejects.ndjson").read_text())
    assert (noted["row"], "between -1e15 and 1e15" in noted["problem"]) == (252, True)
    straight = json.loads(crossfade("outcomes", "import", str(path), *UNITS, "--data", str(data), "--json").out)
    assert (straight["accepted"], straight["duplicates"], straight["rejected"]) == (0, 250, 1)
    inbox = OutcomeInbox(data)
    inbox.close()
    assert len(kept(data)) == 250


def test_a_port_that_stays_silent_is_given_up(
    crossfade: Crossfade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing.ToPort.__init__, "__kwdefaults__", {"patience": 0.2})
    told = crossfade("outcomes", "import", str(sheet(tmp_path, f"a,1,{AT},")), *UNITS, "--to", "http://127.0.0.1:9")
    assert told.code == 1
    assert "cannot reach" in told.err
    assert "counts nothing twice" in told.err
