"""Checks of a rollout's record, asked for by a person: `verify` and `replay` in a process of their own, one at a time.

What they found is kept in a file beside the store, so that the page says when it was checked last and up to where.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

FOLDER = Path("run") / "checked"
"""Below the data folder."""

PATIENCE = 3600.0
"""Seconds that one check may take."""

NICE = 10

Record = dict[str, Any]


class Checks:
    """The checks of one data folder. Safe to share between threads."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._running: dict[str, float] = {}
        self._one = threading.Lock()
        self._lock = threading.Lock()

    def since(self, name: str) -> float | None:
        """Since when a rollout is being checked, or waits for others; None where it is not."""
        return self._running.get(name)

    def latest(self, name: str) -> Record | None:
        """What the last check found: `{at, upto, verify, replay, problem}`; None before the first."""
        try:
            found: Record = json.loads(self._file(name).read_bytes())
        except (OSError, ValueError):
            return None
        return found

    def begin(self, name: str, upto: int) -> bool:
        """Check a rollout whose ledger ends at `upto`; False where that is under way already."""
        with self._lock:
            if name in self._running:
                return False
            self._running[name] = time.time()
        threading.Thread(target=self._run, args=(name, upto), name=f"check-{name}", daemon=True).start()
        return True

    def _run(self, name: str, upto: int) -> None:
        try:
            with self._one:
                told: Record = {"at": time.time(), "upto": upto, "problem": ""}
                for what in ("verify", "replay"):
                    told[what] = self._ask(what, name, told)
            self._keep(name, told)
        finally:
            with self._lock:
                self._running.pop(name, None)

    def _ask(self, what: str, name: str, told: Record) -> Record | None:
        command = [sys.executable, "-m", "crossfade.cli.main", what, name, "--data", str(self._data), "--json"]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=PATIENCE, check=False, preexec_fn=lambda: os.nice(NICE)
            )
            found: Record = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            told["problem"] = f"{what} could not be carried out: {error}"
            return None
        if "error" in found:
            told["problem"] = f"{what}: {found['error']}"
            return None
        return found

    def _keep(self, name: str, told: Mapping[str, Any]) -> None:
        file = self._file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(told))
        fresh.replace(file)

    def _file(self, name: str) -> Path:
        return self._data / FOLDER / f"{quote(name, safe='')}.json"
