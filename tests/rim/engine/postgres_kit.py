"""A real PostgreSQL in a folder of its own, for as long as a test needs it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
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
def postgres(folder: Path) -> Iterator[str]:
    """A server; gives what to connect with."""
    assert INITDB is not None, MISSING
    assert PG_CTL is not None, MISSING
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    data, log = folder / "pg", folder / "pg.log"
    for path in (folder, *folder.parents):
        # pytest keeps its folders to their owner; another user has to pass through them.
        if path.owner() == pwd.getpwuid(os.getuid()).pw_name and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    if not os.getuid():
        data.mkdir()
        log.touch()
        for path in (data, log):
            shutil.chown(path, "nobody")
    who = _unprivileged()
    # Nothing of it has to survive, so that nothing waits for the disk.
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    try:
        subprocess.run(
            [*who, INITDB, "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        subprocess.run(
            [*who, PG_CTL, "-D", data, "-l", log, "-w", "-t", "60", "-o", options, "start"],
            check=True,
            capture_output=True,
            cwd="/",
        )
    except subprocess.CalledProcessError as error:
        raise AssertionError(f"PostgreSQL did not start: {error.stderr.decode()} {log.read_text()}") from error
    try:
        yield f"host=127.0.0.1 port={port} user=test dbname=postgres"
    finally:
        subprocess.run([*who, PG_CTL, "-D", data, "-m", "immediate", "stop"], check=True, capture_output=True, cwd="/")
