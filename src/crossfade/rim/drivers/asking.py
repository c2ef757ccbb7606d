"""One question to a router's own HTTP interface, bounded in time and size."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from crossfade.rim.drivers.port import PATIENCE, Refused, Unreachable

LARGEST = 64_000_000
"""Bytes of an answer."""


class Here(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: who is asked answers, or is not who was meant, and is shown no token by a third."""

    def redirect_request(self, *_: Any) -> None:
        """The answer stands as it is, with its status."""


# A router is reached directly: what the environment says of proxies is about the world outside.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({}), Here()).open


def ask(url: str, what: str) -> bytes:
    """What `GET url` answers; `what` says in errors who was asked. Raises Unreachable, Refused."""
    try:
        with _open(url, timeout=PATIENCE) as reply:
            answer: bytes = reply.read(LARGEST + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(f"{what} at {url} answered with status {error.code}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise Unreachable(f"{what} at {url} cannot be asked: {reason or type(error).__name__}") from error
    if len(answer) > LARGEST:
        raise Refused(f"{what} at {url} answered with more than {LARGEST} bytes")
    return answer


def ask_json(url: str, what: str) -> Any:
    """The same, as JSON."""
    try:
        return json.loads(ask(url, what))
    except ValueError as error:
        raise Refused(f"{what} at {url} answered with what is no JSON: is something else listening there?") from error
