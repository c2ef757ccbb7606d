"""Whether what serves a data folder is alive, as containers ask: `python -m crossfade.rim.healthy [DATA]`."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from pathlib import Path

WITHIN = 4.0
"""Seconds an answer may take."""


def why_not(data: Path) -> str:
    """Why it is not alive; '' when it is."""
    try:
        told = json.loads((data / "run" / "serve.json").read_text())
    except (OSError, ValueError) as error:
        return f"{data / 'run' / 'serve.json'} cannot be read, so nothing serves {data}: {error}"
    port = told.get("health_port") or told.get("control_port")
    try:
        if port:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=WITHIN):
                return ""
        # Without either, that somebody listens is all that can be asked.
        with socket.create_connection(("127.0.0.1", told.get("data_port") or 0), timeout=WITHIN):
            return ""
    except OSError as error:
        return f"port {port or told.get('data_port')} does not answer: {error}"


def main() -> int:
    """0 while it is alive, else 1 and why not."""
    data = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("CROSSFADE_DATA", "crossfade-data")
    problem = why_not(Path(data))
    if problem:
        sys.stderr.write(f"crossfade: {problem}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
