"""What is turned away before anything looks at it: writes from another site's page, and bodies that are too large."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossfade.console.problems import Refused, answer

LARGEST = 64 * 1024
"""Bytes in the body of anything but outcomes."""

BODY_SECONDS = 20.0
"""In which such a body has to be whole."""

OWN = ("/api/v1/outcomes", "/api/v1/exposures", "/api/v1/events")
"""Have a bound of their own."""

READS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Stands before every endpoint."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READS:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            check_origin(headers)
            body = receive if scope["path"] in OWN else await _in_time(receive)
        except Refused as refused:
            await answer(scope, refused)(scope, receive, send)
            return
        await self.app(scope, body, send)


def browses(headers: Mapping[str, str]) -> bool:
    """Whether a page in a browser sends it: programs send neither of these."""
    return "sec-fetch-site" in headers or "origin" in headers


def check_origin(headers: Mapping[str, str], *, ambient: bool = False) -> None:
    """Raises Refused for what a page from elsewhere makes a browser send. Programs send neither of both headers, and
    pass; unless what they ask for rests on what a browser adds by itself (`ambient`), such as a cookie."""
    fetched, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if fetched is not None:
        allowed = fetched == "same-origin"
    elif origin is not None:
        allowed = urlsplit(origin).netloc == headers.get("host")
    else:
        allowed = not ambient
    if not allowed:
        said = "the request comes from another site's page" if fetched or origin else "the request does not say whence"
        raise Refused(403, said, "act from the pages of this port, or send a bearer token from a program")


async def _in_time(receive: Receive) -> Receive:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _bounded(receive)
    except TimeoutError as error:
        raise Refused(408, f"the body was not whole after {BODY_SECONDS:g} s", "send it in one go") from error


async def _bounded(receive: Receive) -> Receive:
    """The body, read up to the bound; handed on in one piece. Raises Refused."""
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        size += len(message.get("body", b""))
        # What is too large is read to its end in reason, or its sender finds a broken connection in place of an answer.
        if size > 256 * LARGEST:
            break
        if size <= LARGEST:
            chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    if size > LARGEST:
        raise Refused(413, f"the body is larger than {LARGEST} bytes", "send a reason of a few sentences")
    whole: list[Message] = [{"type": "http.request", "body": b"".join(chunks), "more_body": False}]

    async def again() -> Message:
        return whole.pop() if whole else await receive()

    return again
