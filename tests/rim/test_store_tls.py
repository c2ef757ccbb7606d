"""A PostgreSQL that speaks TLS alone and asks for certificates: the address says how, and libpq does it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from crossfade.rim.glance_server import ServerGlance
from crossfade.rim.store import Store, StoreError
from crossfade.rim.store_address import VARIABLE
from crossfade.spec.parse import parse
from rim.engine.postgres_kit import INITDB, MISSING, postgres, schema
from rim.test_gateway_http_tls import Authority
from rim.test_store import SPEC
from rim.test_store_server import soon

pytestmark = pytest.mark.skipif(INITDB is None, reason=MISSING)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def address(ours: Authority) -> Iterator[str]:
    """A store there; without a word on TLS."""
    with postgres() as where:
        found = schema(where)
        with psycopg.connect(where, autocommit=True) as asking:
            folder = Path(asking.execute("SHOW data_directory").fetchone()[0])  # type: ignore[index]
            for name, source in (("server.pem", ours.cert), ("server.key", ours.key), ("root.pem", ours.ca)):
                shutil.copy(source, folder / name)
                (folder / name).chmod(0o600)
                shutil.chown(folder / name, folder.stat().st_uid)
            for setting, value in (
                ("ssl_cert_file", "server.pem"),
                ("ssl_key_file", "server.key"),
                ("ssl_ca_file", "root.pem"),
                ("ssl", "on"),
            ):
                asking.execute(f"ALTER SYSTEM SET {setting} = '{value}'".encode())
            (folder / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n")
            asking.execute("SELECT pg_reload_conf()")
        soon(lambda: _refused(where), within=30.0)
        yield found


def _refused(where: str) -> bool:
    """Whether the server has taken up that nobody gets in without TLS."""
    try:
        psycopg.connect(where).close()
    except psycopg.OperationalError:
        return True
    return False


def test_the_store_is_reached_by_verified_tls_with_a_certificate_of_ours(
    ours: Authority, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = f"{address}&sslmode=verify-full&sslrootcert={ours.ca}"
    os.chmod(ours.key, 0o600)
    shown = f"{verified}&sslcert={ours.cert}&sslkey={ours.key}"
    monkeypatch.setenv(VARIABLE, shown)
    store = Store(tmp_path)
    store.add(SPEC, parse(SPEC), 100.0)
    with store._place.reading() as connection:
        row = connection.exec_driver_sql("SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()").one()
    assert tuple(row) == (True, "/CN=gateway")
    store.close()
    glance = ServerGlance(shown, tmp_path)
    assert [seen.rollout.name for seen in glance.rollouts()] == ["r1"]
    glance.close()
    (tmp_path / "theirs").mkdir()
    theirs = Authority(tmp_path / "theirs")
    os.chmod(theirs.key, 0o600)
    for wrong, words in (
        (f"{address}&sslmode=disable", "no encryption|no pg_hba.conf entry"),
        (verified, "valid client certificate|certificate required"),
        (shown.replace(ours.ca, theirs.ca), "certificate verify failed|signature failure"),
        (f"{verified}&sslcert={theirs.cert}&sslkey={theirs.key}", "certificate|alert|closed the connection"),
        (shown.replace(ours.ca, "/nowhere.pem"), "/nowhere.pem.*does not exist"),
    ):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(StoreError, match=words):
            Store(tmp_path)
