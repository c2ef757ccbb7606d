"""One real request to one model, over a connection of its own, and all that can be said of how it went."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from crossfade.rim.traffic import Request, as_asked, connection_to
from crossfade.spec.model import Arm, Rollout

LARGEST = 4 << 20
"""Bytes of a reply that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one model said, or why it said nothing."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """Lower-case names."""
    body: bytes = b""
    failure: str = ""
    """A sentence; '' where a reply came, whatever its status."""
    todo: str = ""
    ms: float = 0.0


def ask(rollout: Rollout, arm: Arm, request: Request) -> Answer:
    """Send it as a gateway would: under the arm's own model name, with the header that marks dry runs. Never raises."""
    target, body, headers = as_asked(rollout, arm, request)
    began = time.monotonic()
    try:
        connection = connection_to(arm)
        try:
            connection.request(request.method, target.decode(), body or None, headers)
            reply = connection.getresponse()
            found = reply.read(LARGEST + 1)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        failure, todo = _why(arm, error)
        return Answer(failure=failure, todo=todo, ms=(time.monotonic() - began) * 1000.0)
    told = {name.lower(): value for name, value in reply.getheaders()}
    return Answer(status=reply.status, headers=told, body=found, ms=(time.monotonic() - began) * 1000.0)


def _why(arm: Arm, error: Exception) -> tuple[str, str]:
    where = urlsplit(arm.url)
    match error:
        case socket.gaierror():
            return f"no machine is named {where.hostname}", "correct the URL, or the name service"
        case ConnectionRefusedError():
            return f"nothing listens at {where.netloc}", "start the model server, or correct the URL's port"
        case ssl.SSLCertVerificationError():
            told = error.verify_message or "it cannot be verified"
            return f"the certificate of {where.netloc} is not trusted: {told}", "serve with --upstream-ca FILE"
        case ssl.SSLError():
            return f"{where.netloc} does not speak TLS as asked", "is it http:// rather than https://?"
        case TimeoutError():
            return f"no answer within {arm.timeout:g} s", "is the model loaded? `timeout:` is how long an arm may take"
        case http.client.HTTPException():
            return f"{where.netloc} does not speak HTTP: {type(error).__name__}", "is this the server's HTTP port?"
    return f"{where.netloc} cannot be reached: {error}", "see that this machine may connect there"
