"""`crossfade demo` as a person runs it: a process of its own, its record read from its last line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 180.0


class RunningDemo:
    """A demo under way; `data` is its folder."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        command = [sys.executable, "-m", "crossfade.cli.main", "demo", "--data", str(data), "--json", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for(self, what: Callable[[dict[str, Any]], bool], within: float = 90.0) -> dict[str, Any]:
        """The rollout's record once `what` is true of it."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            record = self.record()
            if record is not None and what(record):
                return record
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        raise AssertionError(f"waited {within} s in vain; the record is {self.record()}")

    def record(self) -> dict[str, Any] | None:
        """What `crossfade status --json` says of the only rollout."""
        asked = [sys.executable, "-m", "crossfade.cli.main", "status", "--data", str(self.data), "--json"]
        found = subprocess.run(asked, capture_output=True, text=True, check=False)
        if found.returncode:
            return None
        rollouts: list[dict[str, Any]] = json.loads(found.stdout)["rollouts"]
        return rollouts[0] if rollouts else None

    def kill(self, name: str) -> int:
        """kill -9 one of the processes of `crossfade serve`; returns its process id."""
        pid = int(json.loads((self.data / "run" / "serve.json").read_text())["pids"][name])
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_model_server(self, arm: str) -> None:
        """kill -9 the process that serves an arm's model."""
        said = (self.data / "logs" / f"{arm}.log").read_text().splitlines()
        ready = [json.loads(line) for line in said if line.startswith("{")]
        os.kill(int(ready[-1]["pid"]), signal.SIGKILL)

    def finish(self) -> dict[str, Any]:
        """The demo's own record, after its last line."""
        out, err = self.process.communicate(timeout=PATIENCE)
        assert out, err
        record: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
        assert "rollouts" in record, (record, err)
        return record

    def stop(self) -> None:
        """End it if a test failed half-way."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.communicate(timeout=40)
