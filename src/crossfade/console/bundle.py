"""The script that draws charts in pages, put together once for a data folder from what vl-convert carries."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

SNIPPET = "window.vegaEmbed = vegaEmbed;"

CARRIED = version("vl-convert-python")


class Bundle:
    """The script that draws: Vega, Vega-Lite and Vega-Embed as vl-convert carries them, put together once for a folder.

    That takes seconds and an engine of 200 MB, which a process of its own takes away with it.
    """

    def __init__(self, data: Path) -> None:
        self._path = data / "run" / f"vega-{CARRIED}.js.gz"
        self._lock = threading.Lock()
        self._packed = b""

    def packed(self) -> bytes:
        """It, compressed."""
        with self._lock:
            if not self._packed:
                self._packed = self._read() or self._made()
            return self._packed

    def _read(self) -> bytes:
        try:
            packed = self._path.read_bytes()
            gzip.decompress(packed)
        except (OSError, EOFError, ValueError):
            return b""
        return packed

    def _made(self) -> bytes:
        code = f"import sys, vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle({SNIPPET!r}).encode())"
        made = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, timeout=120.0)
        packed = gzip.compress(made.stdout)
        part = self._path.with_suffix(f".{os.getpid()}")
        try:
            part.write_bytes(packed)
            part.replace(self._path)
        except OSError:
            # It is made anew by the next process; this one has it.
            part.unlink(missing_ok=True)
        return packed
