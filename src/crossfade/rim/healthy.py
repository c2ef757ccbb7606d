"""Whether what serves a data folder is alive, as containers ask: `python -m crossfade.rim.healthy [DATA]`."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

WITHIN = 4.0
"""Seconds an answer may take."""

# This host is asked directly: what the environment says of proxies is about the world outside.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def why_not(data: Path) -> str:
    """Why it is not alive; '' when it is."""
    try:
        told = json.loads((data / "run" / "serve.json").read_text())
    except (OSError, ValueError) as error:
        return f"{data / 'run' / 'serve.json'} cannot be read, so nothing serves {data}: {error}"
    for url in (told.get("health_url"), told.get("control_url")):
        if url:
            return silent(url, WITHIN)
    # Without either, that somebody listens is all that can be asked.
    return unreached(told.get("data_url") or "", WITHIN)


def silent(url: str, within: float) -> str:
    """Why a port with `/healthz` does not say that it lives; '' when it does.

    One that speaks TLS may let in only clients with a certificate, so that shaking hands is all that is asked of it.
    """
    if url.startswith("https:"):
        return unreached(url, within)
    try:
        with _open(f"{url}/healthz", timeout=within):
            return ""
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer: {error}"


def unreached(url: str, within: float) -> str:
    """Why nobody can connect to a port of this host; '' when one can."""
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=within) as plain:
            if parts.scheme == "https":
                context.wrap_socket(plain).close()
            return ""
    except OSError as error:
        return f"{url or 'no port'} does not answer: {error}"


def main() -> int:
    """0 while it is alive, else 1 and why not."""
    data = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("CROSSFADE_DATA", "crossfade-data")
    problem = why_not(Path(data))
    if problem:
        sys.stderr.write(f"crossfade: {problem}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
