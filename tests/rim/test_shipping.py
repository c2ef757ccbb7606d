"""Facts of other hosts: each reaches the tables once, whoever sends it again and whoever moves it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from crossfade.rim import batches, parcels
from crossfade.rim.batches import JournalError
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.lake_place import Place, settle
from crossfade.rim.receiving import Received
from crossfade.rim.shipping import Shipper

from .facts_made import exposed
from .s3_kit import NO_S3, WITHOUT, environment, made, s3

pytestmark = pytest.mark.skipif(NO_S3, reason=WITHOUT)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3() as url:
        yield url


@pytest.fixture
def hosts(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Data folders of five hosts that share a lake: three have gateways, two controllers."""
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    bucket = made(server, tmp_path.name)
    folders = [tmp_path / name for name in ("g0", "g1", "g2", "c0", "c1")]
    for folder in folders:
        settle(folder, f"{bucket}/crossfade")
    return folders


class Deciding:
    """What a controller does with facts."""

    def __init__(self, data: Path) -> None:
        self.received, self.lake = Received(data), Lake(data)

    def turn(self) -> None:
        self.received.turn()
        self.lake.compact_journals()
        self.received.done(self.lake.moved)

    def close(self) -> None:
        self.received.close()
        self.lake.close()


def lying(data: Path) -> list[str]:
    return Place(data).names(parcels.PLACE)


def told(data: Path) -> list[str]:
    lake = Lake(data)
    found = lake.table("exposed")["decision_id"].to_pylist()
    lake.close()
    return sorted(found)


def test_facts_of_other_hosts_reach_the_tables_and_leave_nothing_behind(hosts: list[Path]) -> None:
    deciding = Deciding(hosts[3])
    for n, host in enumerate(hosts[:3]):
        journal, shipper = Journal(host, f"h{n}-gateway-0"), Shipper(host)
        for one in range(4):
            journal.append([exposed(10 * n + one)])
        assert shipper.turn() == 4
        assert shipper.turn() == 0
        assert not batches.raw(batches.connect(journal.path), 0, 1)
    assert len(lying(hosts[3])) == 3
    deciding.turn()
    assert lying(hosts[3]) == []
    deciding.turn()
    deciding.close()
    assert told(hosts[3]) == sorted(f"d{10 * n + one}" for n in range(3) for one in range(4))


@pytest.mark.parametrize("seed", range(2))
def test_each_fact_is_there_once_whoever_dies_and_whoever_leads(hosts: list[Path], seed: int) -> None:
    """Senders die between sending and forgetting; controllers die anywhere and take turns."""
    rng = random.Random(seed)
    count = 0
    for _ in range(12):
        for n, host in enumerate(hosts[:2]):
            journal = Journal(host, f"h{n}-gateway-0")
            for _ in range(rng.randint(0, 3)):
                journal.append([exposed(count)])
                count += 1
            if rng.random() < 0.6:
                _send(host, dies=rng.random() < 0.5)
        leads = Deciding(hosts[rng.choice([3, 4])])
        for step in (leads.received.turn, leads.lake.compact_journals, partial(leads.received.done, leads.lake.moved)):
            if rng.random() < 0.2:
                break
            step()
        leads.close()
    for host in hosts[:2]:
        _send(host, dies=False)
    for host in hosts[3:]:
        last = Deciding(host)
        last.turn()
        last.turn()
        last.close()
    assert told(hosts[4]) == sorted(f"d{n}" for n in range(count))
    assert lying(hosts[3]) == []


def _send(host: Path, *, dies: bool) -> None:
    """One that dies has sent what is there, and still has it."""
    shipper = Shipper(host)
    kept = {path: batches.raw(batches.connect(path), 0, 10**9) for path in batches.journals(host)} if dies else {}
    shipper.turn()
    shipper.close()
    for path, rows in kept.items():
        connection = batches.connect(path)
        connection.executemany(
            "INSERT INTO batches (id, facts, packed, blob) VALUES (?, ?, ?, ?)",
            [(row.id, row.facts, row.packed, row.blob) for row in rows],
        )
        connection.close()


def test_a_journal_that_has_piled_up_goes_in_parts(hosts: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossfade.rim.shipping.MOST_BYTES", 300)
    journal = Journal(hosts[0], "h0-gateway-0")
    for n in range(20):
        journal.append([exposed(n)])
    assert Shipper(hosts[0]).turn() == 20
    assert 3 < len(lying(hosts[3])) < 20
    deciding = Deciding(hosts[3])
    deciding.turn()
    deciding.close()
    assert len(told(hosts[3])) == 20


def test_a_parcel_that_was_damaged_is_said_and_not_guessed(hosts: list[Path]) -> None:
    Journal(hosts[0], "h0-gateway-0").append([exposed(1)])
    Shipper(hosts[0]).turn()
    place = Place(hosts[3])
    [name] = lying(hosts[3])
    content = bytearray(place.read(parcels.PLACE, name))
    content[len(content) // 2] ^= 1
    place.write(parcels.PLACE, name, bytes(content))
    deciding = Deciding(hosts[3])
    with pytest.raises(JournalError, match="damaged on its way"):
        deciding.turn()
    deciding.close()
    assert lying(hosts[3]) == [name]


def test_what_is_sent_is_what_lay_there() -> None:
    rows = [batches.Raw(n, n % 3, n % 2, bytes(range(n))) for n in range(40)]
    assert parcels.unpacked("x", parcels.packed(rows)) == rows
    one = parcels.Parcel("h-gateway-0-abc", 3, 17)
    assert parcels.parcel(one.name) == one
    assert parcels.parcel("h/readme.txt") is None
