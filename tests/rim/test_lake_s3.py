"""The lake in an object store: the same promises as in a folder, against a real S3 server of its own process."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake, LakeError
from crossfade.rim.lake_place import Place, settle

from .facts_made import exposed, outcome
from .on_disk import found
from .recorded import NAME, make
from .s3_kit import NO_S3, WITHOUT, environment, made, s3
from .test_forgetting import UNIT, checked, forget

pytestmark = pytest.mark.skipif(NO_S3, reason=WITHOUT)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3() as url:
        yield url


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    return f"{made(server, tmp_path.name)}/prod/crossfade"


def test_facts_are_kept_compacted_deleted_and_read_as_in_a_folder(bucket: str, tmp_path: Path) -> None:
    settle(tmp_path, bucket + "/")
    settle(tmp_path, bucket)
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    for n in range(6):
        journal.append([exposed(n, rollout="r1"), outcome(f"o{n}", decision_id=f"d{n}")])
        assert lake.compact_journals() == {"exposed": 1, "outcome": 1}
    before = lake.versions()
    told = lake.digests(before)
    assert not list((tmp_path / "lake").glob("*/_delta_log"))
    assert sorted(lake.table("exposed")["decision_id"].to_pylist()) == [f"d{n}" for n in range(6)]
    assert len(lake.added("exposed", 4, before["exposed"]) or ()) == before["exposed"] - 4
    assert lake.optimize(small_files=4)["exposed"] == 6
    assert len(lake.files("exposed")) == 1
    lake.close()

    other = Lake(tmp_path)
    assert other.digests(before, again=True) == told
    assert other.retire(exposed(3).at, {}) == {"exposed": 3, "outcome": 6}
    other.vacuum(keep_hours=0, named={kind: [version] for kind, version in before.items()})
    assert other.digests(before, again=True) == told
    assert other.table("exposed").num_rows == 3
    other.close()


def test_a_journal_is_moved_once_though_the_compactor_is_another(bucket: str, tmp_path: Path) -> None:
    settle(tmp_path, bucket)
    journal = Journal(tmp_path, "w0")
    for n in range(4):
        journal.append([exposed(n)])
        lake = Lake(tmp_path)
        assert lake.compact_journals() == {"exposed": 1}
        lake.close()
    assert Lake(tmp_path).table("exposed").num_rows == 4


def test_a_changed_object_is_found_though_a_copy_is_at_hand(bucket: str, tmp_path: Path, server: str) -> None:
    settle(tmp_path, bucket)
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    journal.append([exposed(1)])
    lake.compact_journals()
    versions = lake.versions()
    told = lake.digests(versions)
    [copy] = map(Path, lake.files("exposed"))
    whole = bytearray(copy.read_bytes())
    whole[len(whole) // 2] ^= 1
    boto3 = pytest.importorskip("boto3")
    name, _, prefix = bucket.removeprefix("s3://").partition("/")
    client = boto3.client("s3", endpoint_url=server)
    client.put_object(Bucket=name, Key=f"{prefix}/exposed/{copy.name}", Body=bytes(whole))
    assert lake.digests(versions, again=True) != told
    lake.close()


def test_what_cannot_be_a_lake_is_refused_before_anything_is_written(bucket: str, tmp_path: Path) -> None:
    for url in ("bucket/prefix", "ftp://bucket", "s3://", "s3://a b"):
        with pytest.raises(LakeError, match="s3://BUCKET/PREFIX"):
            settle(tmp_path, url)
    with pytest.raises(LakeError, match="see that the bucket exists"):
        settle(tmp_path, "s3://no-such-bucket/x")
    assert not (tmp_path / "lake" / "location").exists()
    settle(tmp_path, bucket)
    with pytest.raises(LakeError, match="one data folder has one lake"):
        settle(tmp_path, f"{bucket}/elsewhere")


def test_a_folder_with_facts_stays_where_it_is(tmp_path: Path) -> None:
    Journal(tmp_path, "w0").append([exposed(1)])
    lake = Lake(tmp_path)
    lake.compact_journals()
    with pytest.raises(LakeError, match="already"):
        settle(tmp_path, "s3://bucket/prefix")
    lake.close()
    assert json.dumps(Lake(tmp_path).versions()) == '{"exposed": 1}'


def test_a_unit_is_forgotten_in_an_object_store_too(bucket: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    settle(data, bucket)
    make(data, wrong=0.2, ticks=4)
    assert checked(data).intact
    done = forget(data)
    assert done.facts[NAME] >= 1
    after = checked(data)
    assert after.intact, after.reason
    assert after.forgotten == done.files
    assert found(data, UNIT) == {}, "no copy of it is left on this disk"
    place = Place(data)
    for kind in ("exposed", "outcome"):
        for name in place.names(kind):
            content = place.read(kind, name)
            told = repr(pq.read_table(io.BytesIO(content)).to_pylist()) if name.endswith(".parquet") else str(content)
            assert f"'{UNIT}'" not in told, name
            assert f'"{UNIT}"' not in told, name
