"""The account log of a data folder: who was given a token, with which roles, by whom, and when it was taken away.

A chain like a ledger, beside the tokens, because tokens belong to no rollout. It is written before a token is made or
taken away, and the file of tokens says how far it goes, so that neither can be changed without the other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crossfade.ledger import GENESIS, Sign, canonical, digest, plain
from crossfade.ledger.chain import read
from crossfade.rim import signing

SCHEMA = "crossfade.account/1"

FILE = "accounts.jsonl"
"""Beside the file of tokens."""

ADDED, REVOKED, FOUND, LOST, UNDONE = "added", "revoked", "found", "lost", "undone"
"""What an entry says: a token was made, or taken away; one was found, or missed, of which the log said nothing; or what
an earlier entry says was not carried out, because whoever wrote it died."""


class AccountsProblem(Exception):
    """The log does not hold, or cannot be read or written; the message says why."""

    def __init__(self, message: str, n: int = 0) -> None:
        super().__init__(message)
        self.n = n
        """The first entry that does not hold; 0 where it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One entry."""

    n: int
    at: float
    what: str
    name: str
    """Whose token it is."""
    roles: tuple[str, ...]
    sha256: str
    """The hash by which the token is known."""
    by: str
    """Who did it, by their account on the machine."""
    of: int | None = None
    """The entry that was not carried out."""
    previous: str
    hash: str
    signer: str | None = None
    signature: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The stable record, over which (without `hash` and `signature`) the hash is taken."""
        record = {"schema": SCHEMA, **plain(asdict(self))}
        return {key: value for key, value in record.items() if value is not None}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Account:
        """The inverse of `to_json`; raises KeyError or TypeError on foreign data."""
        known = {key: value for key, value in record.items() if key != "schema"}
        return cls(**{**known, "roles": tuple(known["roles"])})


def follow(log: Sequence[Account], said: Mapping[str, Any], sign: Sign | None) -> Account:
    """The entry that puts `said` at the end of a log."""
    link: dict[str, Any] = {
        "n": len(log) + 1,
        "previous": log[-1].hash if log else GENESIS,
        "signer": sign.signer if sign else None,
    }
    hashed = digest(Account(**said, **link, hash="").to_json())
    signature = sign.sign(bytes.fromhex(hashed)).hex() if sign else None
    return Account(**said, **link, hash=hashed, signature=signature)


def append(path: Path, log: list[Account], **said: Any) -> None:
    """Write one entry down, to stay. Raises AccountsProblem, and StoreError where it cannot be signed."""
    entry = follow(log, said, signing.from_environment())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, canonical(entry.to_json()) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise AccountsProblem(f"cannot write {path}: {error.strerror or error}") from error
    log.append(entry)


def log_of(content: bytes) -> list[Account]:
    """The entries of a log, to the last byte. Raises AccountsProblem."""
    *lines, rest = content.split(b"\n")
    found: list[Account] = []
    for n, line in enumerate([*lines, *([rest] if rest else [])], start=1):
        try:
            record = read(line)
            entry = Account.from_json(record)
            whole = entry.to_json() == record and digest(record) == entry.hash
        except (ValueError, KeyError, TypeError) as error:
            raise AccountsProblem(f"entry {n} of the account log was changed: {error}", n) from error
        if not whole:
            raise AccountsProblem(f"entry {n} of the account log was changed: it does not have the hash it carries", n)
        if entry.n != n or entry.previous != (found[-1].hash if found else GENESIS):
            raise AccountsProblem(f"entry {n} of the account log does not follow the one before it", n)
        if entry.signer is not None and not signing.holds(entry.signer, entry.signature or "", entry.hash):
            raise AccountsProblem(f"entry {n} of the account log has no signature of the key it names", n)
        found.append(entry)
    if rest:
        raise AccountsProblem(f"the account log was cut off in entry {len(found)}", len(found))
    return found


def read_log(path: Path) -> list[Account]:
    """The log in a file; nothing where there is none. Raises AccountsProblem."""
    try:
        return log_of(path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AccountsProblem(f"cannot read {path}: {error.strerror or error}") from error


def held(log: Sequence[Account]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Whose tokens there should be by a log: the hash and the roles of each, by name."""
    void = {entry.of for entry in log if entry.what == UNDONE}
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for entry in log:
        if entry.n in void:
            continue
        if entry.what in (ADDED, FOUND):
            found[entry.name] = (entry.sha256, entry.roles)
        elif entry.what in (REVOKED, LOST):
            found.pop(entry.name, None)
    return found


def differing(log: Sequence[Account], upto: int | None, tokens: Mapping[str, tuple[str, tuple[str, ...]]]) -> str:
    """What tokens and log say differently, or nothing. `upto`: how far the log went when the tokens were written."""
    if upto is None:
        # There was no log when they were written, or whoever wrote its first entries died before writing the tokens.
        first = all(entry.what == FOUND for entry in log) or (len(log) == 1 and not tokens)
        return "" if first else "the file of tokens does not say how far the account log beside it goes"
    if len(log) < upto:
        return f"the account log ends at entry {len(log)}, and the tokens were written at entry {upto}"
    # What came after was announced by somebody who died before it was done, or is about to be done.
    should = held(log[:upto])
    for name in sorted(should.keys() | tokens.keys()):
        if name not in should:
            return f"{name} has a token of which the account log says nothing"
        if name not in tokens:
            return f"the token of {name} is gone, of which the account log says nothing"
        if should[name] != tokens[name]:
            return f"the token of {name} is another one, or has other roles, than the account log says"
    return ""
