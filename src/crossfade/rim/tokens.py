"""Tokens for the control port: a name, roles, and of the secret itself only a hash, in one file that its owner reads.

A secret has 192 random bits, so a plain hash keeps it; nobody can guess their way to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from crossfade.rim import accounts
from crossfade.rim.accounts import Account, AccountsProblem
from crossfade.rim.revisions import StoreError

VARIABLE = "CROSSFADE_TOKENS"
"""Names another file than the data folder's own."""

FILE = Path("run") / "tokens.json"

SCHEMA = "crossfade.tokens/1"

READ, MOVE, STOP, APPROVE, REPORT = "read", "move", "stop", "approve", "report"

ROLES: Mapping[str, frozenset[str]] = {
    "viewer": frozenset({READ}),
    "operator": frozenset({READ, MOVE, STOP}),
    "approver": frozenset({READ, STOP, APPROVE}),
    "reporter": frozenset({REPORT}),
}
"""What each role may do. Whoever may answer for a rollout may also stop it.

An application that reports outcomes needs to see and to move nothing."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _.@-]{0,62}[A-Za-z0-9])?")

RESERVED = frozenset({"rule", "local"})
"""Names that say something else in the ledger."""


class TokenProblem(Exception):
    """The tokens cannot be read or changed as asked; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token, without its secret."""

    name: str
    roles: tuple[str, ...]
    sha256: str
    added: float
    """Seconds since the epoch."""
    added_by: str

    @property
    def may(self) -> frozenset[str]:
        """What it may do."""
        return frozenset().union(*(ROLES[role] for role in self.roles))

    def to_json(self) -> dict[str, object]:
        """The record for programs; the hash stays in the file."""
        return {"name": self.name, "roles": list(self.roles), "added": self.added, "added_by": self.added_by}


class Tokens:
    """The tokens of one data folder, as they are now: one that is revoked opens nothing from then on."""

    def __init__(self, data: Path) -> None:
        named = os.environ.get(VARIABLE)
        self.path = Path(named) if named else data / FILE

    def all(self) -> list[Token]:
        """Every token, by name. Raises TokenProblem."""
        return self.said()[0]

    def said(self) -> tuple[list[Token], int | None]:
        """Every token, and how far the account log went when they were written. Raises TokenProblem."""
        try:
            said = json.loads(self.path.read_bytes())
            if said["schema"] != SCHEMA:
                raise TokenProblem(f"{self.path} is written as {said['schema']!r}; this is {SCHEMA}")
            found = [
                Token(**{**one, "roles": tuple(role for role in one["roles"] if role in ROLES)})
                for one in said["tokens"]
            ]
            upto = said.get("log")
        except FileNotFoundError:
            return [], None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TokenProblem(f"the tokens in {self.path} cannot be read: {error!r}") from error
        return sorted(found, key=lambda token: token.name), upto

    def find(self, secret: str) -> Token | None:
        """Whose secret it is. Takes as long for a wrong one as for any right one. Raises TokenProblem."""
        given = _hash(secret)
        found: Token | None = None
        for token in self.all():
            if secrets.compare_digest(token.sha256.encode(), given.encode()):
                found = token
        return found

    def add(self, name: str, roles: Sequence[str], *, at: float, by: str) -> str:
        """Make a token; its secret, which is told this once. Raises TokenProblem."""
        if _NAME.fullmatch(name) is None or name in RESERVED:
            raise TokenProblem(
                f"{name!r} cannot be the name of a token: at most 64 letters, digits, spaces, '-', '_', '.' and '@', "
                f"and not {' or '.join(sorted(RESERVED))}; best is the name of a person, as `approve:` in a spec has it"
            )
        unknown = [role for role in roles if role not in ROLES]
        if unknown or not roles:
            raise TokenProblem(f"no role is called {', '.join(unknown) or 'nothing'}; there are {', '.join(ROLES)}")
        secret = secrets.token_urlsafe(24)
        with self._changing(at, by) as (tokens, log):
            if any(token.name == name for token in tokens):
                raise TokenProblem(
                    f"{name} has a token already; revoke it first, and the old one opens nothing any more"
                )
            ordered = tuple(role for role in ROLES if role in roles)
            token = Token(name=name, roles=ordered, sha256=_hash(secret), added=at, added_by=by)
            self._noted(log, accounts.ADDED, token, at, by)
            tokens.append(token)
        return secret

    def revoke(self, name: str, *, at: float, by: str) -> Token:
        """Take a token away. Raises TokenProblem."""
        with self._changing(at, by) as (tokens, log):
            found = next((token for token in tokens if token.name == name), None)
            if found is None:
                known = ", ".join(token.name for token in tokens) or "nobody"
                raise TokenProblem(f"{name} has no token; tokens are held by {known}")
            self._noted(log, accounts.REVOKED, found, at, by)
            tokens.remove(found)
        return found

    @property
    def log(self) -> Path:
        """Where the account log is."""
        return self.path.with_name(accounts.FILE)

    def _noted(self, log: list[Account], what: str, token: Token, at: float, by: str, of: int | None = None) -> None:
        accounts.append(
            self.log, log, at=at, what=what, name=token.name, roles=token.roles, sha256=token.sha256, by=by, of=of
        )

    def _repaired(self, tokens: Sequence[Token], log: list[Account], upto: int | None, at: float, by: str) -> None:
        """Make a log say what is true: of tokens that it does not know, and of acts whose author died before them."""
        if upto is None:
            upto = 0 if len(log) == 1 and not tokens else len(log)
        for entry in log[upto:]:
            self._noted(log, accounts.UNDONE, _of(entry), at, by, of=entry.n)
        should, there = accounts.held(log), {token.name: token for token in tokens}
        for token in tokens:
            if should.get(token.name) != (token.sha256, token.roles):
                self._noted(log, accounts.FOUND, token, at, by)
        for entry in [one for one in log if one.name in should.keys() - there.keys()]:
            if should.pop(entry.name, None) is not None:
                self._noted(log, accounts.LOST, _of(entry), at, by)

    @contextmanager
    def _changing(self, at: float, by: str) -> Iterator[tuple[list[Token], list[Account]]]:
        """The tokens and their log, to be changed; tokens are written when done, all or nothing."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise TokenProblem(f"cannot write {self.path}: {error.strerror or error}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            tokens, upto = self.said()
            log = accounts.read_log(self.log)
            self._repaired(tokens, log, upto, at, by)
            yield tokens, log
            _write(self.path, {"schema": SCHEMA, "tokens": [asdict(token) for token in tokens], "log": len(log)})
        except OSError as error:
            raise TokenProblem(f"cannot write {self.path}: {error.strerror or error}") from error
        except (AccountsProblem, StoreError) as error:
            raise TokenProblem(f"{error}; nobody's token was changed") from error
        finally:
            os.close(handle)


def _of(entry: Account) -> Token:
    return Token(name=entry.name, roles=entry.roles, sha256=entry.sha256, added=entry.at, added_by=entry.by)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _write(path: Path, said: Mapping[str, object]) -> None:
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(said, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
