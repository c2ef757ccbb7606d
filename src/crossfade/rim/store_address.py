"""Which database holds the store of a data folder: a file in it, or a PostgreSQL that several hosts share."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from crossfade.rim.revisions import StoreError

VARIABLE = "CROSSFADE_STORE"
"""Names the server; no option, because others can read those in the list of processes."""

VARIABLE_FILE = "CROSSFADE_STORE_FILE"
"""Names a file that holds the address instead, such as a mounted secret or a credential of systemd."""

FILE = "state.db"
"""Where the store is below a data folder, where no server is named."""

_MISWRITTEN = re.compile(r"%(?![0-9A-Fa-f]{2})|[\x00-\x20\x7f]")

_SCHEMES = ("postgresql", "postgres")


def server() -> str | None:
    """The address of the server, None where the store is a file. Raises StoreError for what is no such address."""
    told = os.environ.get(VARIABLE, "").strip() or _in_file()
    if not told:
        return None
    scheme, apart, rest = told.partition("://")
    if scheme not in _SCHEMES or not apart:
        # What was given may hold a password, so it is not said again.
        raise StoreError(
            f"{VARIABLE} does not name a PostgreSQL: give postgresql://USER@HOST/DATABASE, with the password in"
            " PGPASSWORD or in the file that PGPASSFILE names, or leave it out to keep the store in the data folder"
        )
    address = f"postgresql://{rest}"
    try:
        spoken(address)
        if _MISWRITTEN.search(rest) or "@" in urlsplit(address).path:
            raise ValueError
    except ValueError:
        # What is wrong with it is not said, neither here nor by the library, which would quote it: it may be a part of
        # a password.
        raise StoreError(
            f"{VARIABLE} is no address that can be read: give postgresql://USER@HOST:PORT/DATABASE, with the password"
            " in PGPASSWORD or in the file that PGPASSFILE names; in the address, signs such as / @ : [ ] % of a"
            " user or a password are written as %2F %40 %3A %5B %5D %25, and spaces as %20"
        ) from None
    return address


def _in_file() -> str:
    named = os.environ.get(VARIABLE_FILE, "").strip()
    if not named:
        return ""
    try:
        told = Path(named).read_text().strip()
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{VARIABLE_FILE} names {named}, which cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    if not told:
        raise StoreError(f"{VARIABLE_FILE} names {named}, which is empty: it holds postgresql://USER@HOST/DATABASE")
    return told


def spoken(address: str) -> str:
    """The address as messages say it, without the password."""
    parts = urlsplit(address)
    port = f":{parts.port}" if parts.port else ""
    return f"the store at {parts.hostname or 'localhost'}{port}{parts.path}"


def there(data: Path) -> bool:
    """Whether there is a store to look at; a server is there until it is asked."""
    return server() is not None or (data / FILE).is_file()
