"""Who may do what through the control port: by the token of the data folder, or by a named one with its roles."""

from __future__ import annotations

import base64
import ipaddress
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from crossfade.console.problems import Refused, problem
from crossfade.console.sessions import Session, Sessions, cookie
from crossfade.rim.reads import NOBODY_NAMED
from crossfade.rim.tokens import APPROVE, MOVE, READ, REPORT, ROLES, STOP, TokenProblem, Tokens

OPEN = frozenset({"/healthz", "/readyz"})
"""What anybody may ask, wherever the port listens: it says nothing of rollouts."""

_HOST = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:@/\[\]\s]*))(?::\d*)?")
"""A `Host` header: an address or a name, and a port."""

_DOING = {
    READ: "read",
    MOVE: "move a rollout",
    STOP: "hold or roll back",
    APPROVE: "approve",
    REPORT: "report outcomes",
}

_bearer = HTTPBearer(auto_error=False, description="A named token (`crossfade token add`), or that in DATA/run/token.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks."""

    name: str | None
    """The name of their token; None for the data folder's own, whose holder says who they are."""
    by: Mapping[str, Any]
    """How the ledger has it."""

    def actor(self, given: str, said: bool) -> str:
        """Under which name something is done: `given` is what the request says, `said` whether it says it itself."""
        if self.name is None:
            return given
        if said and given != self.name:
            raise Refused(
                422, f"the token is {self.name}'s, and the request says that it is from {given}", "leave out `actor`"
            )
        return self.name


class Access:
    """The tokens of one control port."""

    def __init__(self, tokens: Tokens, local: str | None, *, private: bool = True) -> None:
        """`local`: the content of DATA/run/token, None where there is none. `private`: nobody but this machine reaches
        the port."""
        self._tokens, self._local, self.private = tokens, local, private
        self.sessions = Sessions()

    def asks(self, headers: Mapping[str, str]) -> bool:
        """Whether who asks has to show a token even to read: on a port that others reach, and on any for who calls it
        by a name that is not this machine's. A page from elsewhere whose own name was made to lead here does that."""
        return not self.private or not _this_machine(headers.get("host", ""))

    def session(self, request: Request) -> Session | None:
        """The session of the browser that asks."""
        return self.sessions.find(request.cookies.get(cookie(request.headers)), time.time())

    def secret(self, request: Request) -> str | None:
        """What is shown with a request: that of the browser's session, else that of its headers."""
        session = self.session(request)
        return session.secret if session else bearer(request.headers)

    def who(self, request: Request) -> tuple[Session, Caller] | None:
        """Whom the browser that asks has shown to be; None for nobody, and where the token has been revoked."""
        session = self.session(request)
        try:
            return None if session is None else (session, self.check(session.secret, READ))
        except Refused:
            return None

    def reader(self, request: Request) -> tuple[str, Mapping[str, Any]]:
        """Who reads, as the ledger has it; on a private port that may be somebody of whom nobody knows the name."""
        session, secret = self.session(request), self.secret(request)
        try:
            known = self.check(secret, READ) if secret else None
        except Refused:
            known = None
        if known is None:
            return NOBODY_NAMED, {"through": "this machine, without a token"}
        return known.name or (session.said if session else "") or NOBODY_NAMED, known.by

    def to(self, what: str) -> Callable[..., Caller]:
        """A dependency that lets pass who may do it, and says who that is."""

        def caller(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Caller:
            return self.check(given.credentials if given else None, what)

        return caller

    def to_read(self, request: Request) -> None:
        """Raises Refused for who asks, where reading takes a token, and has none that is good now."""
        if self.asks(request.headers):
            self.check(self.secret(request), READ)

    def knows(self, secret: str) -> bool:
        """Whether anybody has this secret, whatever it may do. Raises Refused where tokens cannot be read."""
        if self._local and secrets.compare_digest(secret.encode(), self._local.encode()):
            return True
        try:
            return self._tokens.find(secret) is not None
        except TokenProblem as error:
            raise Refused(503, str(error), "nobody is let in until it can be read; repair it, or remove it") from error

    def check(self, secret: str | None, what: str) -> Caller:
        """Who has this secret and may do it. Raises Refused."""
        try:
            if secret is None and self._local is None and not self._tokens.all():
                said = "moves through this port are switched off: it has no token"
                raise Refused(403, said, "use the command line, or `crossfade token add NAME --role operator`")
            known = self._tokens.find(secret) if secret is not None else None
        except TokenProblem as error:
            raise Refused(503, str(error), "nobody is let in until it can be read; repair it, or remove it") from error
        if secret is not None and self._local and secrets.compare_digest(secret.encode(), self._local.encode()):
            return Caller(name=None, by={"through": "local token"})
        if secret is not None and known is None and self._local is None and not self._tokens.all():
            said = "moves through this port are switched off: it has no token"
            raise Refused(403, said, "use the command line, or `crossfade token add NAME --role operator`")
        if known is None:
            raise Refused(
                401,
                "the bearer token is missing or wrong",
                "send `authorization: Bearer …` with a token of `crossfade token add`, or that in DATA/run/token",
                {"www-authenticate": "Bearer"},
            )
        if what not in known.may:
            roles = " or ".join(role for role, may in ROLES.items() if what in may)
            raise Refused(
                403,
                f"the token of {known.name} is that of {_a(' and '.join(known.roles) or 'nobody')}; to {_DOING[what]}, "
                f"it has to be that of {_a(roles)}",
                f"ask somebody who has it, or for `crossfade token add … --role {roles.split(' or ')[0]}`",
            )
        return Caller(name=known.name, by={"through": "token", "token": known.name, "roles": list(known.roles)})


class Readers:
    """Lets nobody read without a token where one is asked for. A browser asks by itself: any name, it as password."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        try:
            request = Request(scope)
            if self._access.asks(request.headers):
                await run_in_threadpool(self._access.to_read, request)
        except Refused as refused:
            headers = {**(refused.headers or {})}
            if refused.status == 401:
                headers["www-authenticate"] = 'Basic realm="crossfade: your token as password", charset="UTF-8"'
            todo = refused.what_to_do
            if self._access.private:
                todo += "; or call this port by its address or as localhost, under which reading takes none"
            answer = problem(refused.status, refused.error.replace("bearer ", ""), todo, headers)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _this_machine(host: str) -> bool:
    """Whether a `Host` header is an address or `localhost`; programs may leave it out, browsers never do."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    six, name = found["six"], (found["name"] or "").lower()
    if six is None and (name in ("", "localhost") or name.endswith(".localhost")):
        return True
    try:
        ipaddress.ip_address(name if six is None else six)
    except ValueError:
        return False
    return True


def _a(role: str) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"


def bearer(headers: Headers) -> str | None:
    """The secret that a request shows, as bearer token or as password; None for none."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
        except (ValueError, UnicodeDecodeError):
            return None
    return None
