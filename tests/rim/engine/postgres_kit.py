"""A real PostgreSQL in a folder of its own, for as long as a test needs it."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_PLACES = [os.environ.get("PATH", ""), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)]
INITDB, PG_CTL = (shutil.which(name, path=":".join(_PLACES)) for name in ("initdb", "pg_ctl"))
MISSING = "POSTGRESQL IS NOT INSTALLED: nothing is compared with it. As root (Debian): apt-get install postgresql"


def _unprivileged() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid():
        return []
    return ["setpriv", "--reuid=nobody", f"--regid={pwd.getpwnam('nobody').pw_gid}", "--clear-groups"]


@contextmanager
def postgres(host: str = "127.0.0.1", inside: Sequence[str] = ()) -> Iterator[str]:
    """A server; gives what to connect with. `inside`: what its commands begin with, so that another host runs it."""
    assert INITDB is not None, MISSING
    assert PG_CTL is not None, MISSING
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    # Not in a folder of pytest's: those are closed to other users again whenever another run of pytest begins.
    with tempfile.TemporaryDirectory(prefix="crossfade-postgres-") as place:
        if not os.getuid():
            shutil.chown(place, "nobody")
        yield from _served(Path(place), host, port, inside)


def schema(where: str) -> str:
    """A new schema of a server that runs: the address of a store of its own."""
    import psycopg

    name = f"s{secrets.token_hex(6)}"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        info = connection.info
        return f"postgresql://{info.user}@{info.host}:{info.port}/{info.dbname}?options=-csearch_path%3D{name}"


def restart(where: str, inside: Sequence[str] = ()) -> None:
    """Stop a server, which breaks its connections, and start it again."""
    import psycopg

    with psycopg.connect(where, autocommit=True) as connection:
        (data,) = connection.execute("SHOW data_directory").fetchone() or ("",)
    command = [*inside, *_unprivileged(), str(PG_CTL), "-D", data, "-w", "-t", "60", "-m", "fast"]
    subprocess.run([*command, "-l", f"{data}.log", "restart"], check=True, capture_output=True, cwd="/")


def _served(folder: Path, host: str, port: int, inside: Sequence[str]) -> Iterator[str]:
    data, log = folder / "pg", folder / "pg.log"
    who = [*inside, *_unprivileged()]
    # Nothing of it has to survive, so that nothing waits for the disk.
    options = f"-p {port} -c listen_addresses={host} -c unix_socket_directories= -c fsync=off"
    try:
        subprocess.run(
            [*who, INITDB, "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")
        subprocess.run(
            [*who, PG_CTL, "-D", data, "-l", log, "-w", "-t", "60", "-o", options, "start"],
            check=True,
            capture_output=True,
            cwd="/",
        )
    except subprocess.CalledProcessError as error:
        raise AssertionError(f"PostgreSQL did not start: {error.stderr.decode()} {log.read_text()}") from error
    try:
        yield f"host={host} port={port} user=test dbname=postgres"
    finally:
        command = [*who, PG_CTL, "-D", data, "-m", "immediate", "stop"]
        stopped = subprocess.run(command, check=False, capture_output=True, cwd="/")
        assert not stopped.returncode, f"PostgreSQL was not there to be stopped: {stopped.stderr.decode()} {_tail(log)}"


def _tail(log: Path) -> str:
    return log.read_text()[-2000:] if log.exists() else f"and {log} is gone"
