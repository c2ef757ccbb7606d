"""Our own error replies: what was wrong and what to do, as JSON."""

from __future__ import annotations

from typing import Final

import msgspec

from crossfade.live.exchange.messages import Head

REASONS: Final = {
    400: b"Bad Request",
    408: b"Request Timeout",
    413: b"Content Too Large",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}


def problem(status: int, error: str, what_to_do: str) -> tuple[Head, bytes]:
    """Head and body of one of our own errors; content-length and type included."""
    body = msgspec.json.encode({"error": error, "what_to_do": what_to_do})
    headers = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
    return Head(status, REASONS[status], headers), body


def unanswered(arm: str, kind: str) -> tuple[Head, bytes]:
    """The reply when the last arm that could answer did not. `kind` is a failure's kind."""
    match kind:
        case "timeout":
            return problem(
                504,
                f"the model '{arm}' did not answer in time",
                "retry later; if it keeps happening raise the arm's timeout or look at the model server",
            )
        case "refused":
            return problem(
                502,
                f"no connection to the model '{arm}'",
                "check that the model server is running at the arm's url",
            )
        case "exhausted":
            return problem(
                503,
                "the gateway has run out of connections or file descriptors",
                "retry later; raise the limit on open files (ulimit -n) or lower --max-connections",
            )
        case _:
            return problem(
                502,
                f"the model '{arm}' broke off or did not answer in HTTP/1.1",
                "look at the model server's log",
            )
