"""`python -m benchmarks.engines_asked ENGINE DATA OUT`: one engine's looks at a lake, in a process, as JSON."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines_made import ROLLOUT, STAGES, moment, position
from crossfade.judge.assess import assess
from crossfade.rim.engine.elsewhere import chosen, opened
from crossfade.rim.engine.elsewhere.postgresql import PostgreSQL
from crossfade.rim.engine.full import Full
from crossfade.rim.engine.look import take
from crossfade.rim.lake import Lake

TICK = os.sysconf("SC_CLK_TCK")
EVERY = 0.5
"""Seconds between two looks at what processes use."""


class Used:
    """CPU seconds and memory of trees of processes, dead ones among them: seen while they lived."""

    def __init__(self, roots: list[int]) -> None:
        self.roots = roots
        self.peak = 0
        self._cpu: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def cpu(self) -> float:
        """Seconds up to now."""
        self._sample()
        return sum(self._cpu.values())

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(EVERY):
            self._sample()

    def _sample(self) -> None:
        memory = 0
        for pid in self._tree():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            self._cpu[pid] = (int(stat[11]) + int(stat[12])) / TICK
            memory += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
        self.peak = max(self.peak, memory * 1024)

    def _tree(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
                except (OSError, ValueError):
                    continue
                children.setdefault(parent, []).append(int(entry))
        told, waiting = [], list(self.roots)
        while waiting:
            told.append(waiting.pop())
            waiting += children.get(told[-1], [])
        return told


def asked(engine: str, data: Path) -> dict[str, Any]:
    """What it takes to make the facts known to an engine and to look at each stage, and what was found."""
    lake = Lake(data)
    versions = lake.versions()
    began = time.perf_counter()
    backend = opened(chosen(engine))
    used = Used([os.getpid()])
    if isinstance(backend, PostgreSQL):
        used.roots.append(_server(backend))
    told: dict[str, Any] = {"start": time.perf_counter() - began, "looks": {}, "found": {}}
    # Writing the questions down takes seconds, once in the life of a process: it is no part of a look.
    warm = Full(lake, {}, 1, backend=backend)
    for stage, mode in enumerate(STAGES):
        _looked(warm, stage, mode, {}, used)
    at_first = used.cpu()
    full, told["load"] = _timed(lambda: Full(lake, versions, 2, backend=backend))
    told["load_cpu"] = used.cpu() - at_first
    for stage, mode in enumerate(STAGES):
        told["looks"][mode], told["found"][mode] = _looked(full, stage, mode, versions, used)
    full.close()
    told |= {"peak": used.peak, "load_average": os.getloadavg()[0]}
    used.close()
    backend.close()
    lake.close()
    return told


def _looked(full: Full, stage: int, mode: str, versions: dict[str, int], used: Used) -> tuple[Any, Any]:
    where, now = position(stage), moment(stage)

    def look() -> Any:
        full.look(ROLLOUT.name, stage, mode, where.stage_since, now)
        return take(full, ROLLOUT, where, now, versions)

    cpu = used.cpu()
    measured, seconds = _timed(look)
    cpu = used.cpu() - cpu
    evidence = [line.to_json() for line in assess(ROLLOUT, measured)]
    return {"seconds": seconds, "cpu": cpu}, {"moments": plain(measured), "evidence": evidence}


def plain(value: Any) -> Any:
    """Anything measured as JSON, to the last bit."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _server(backend: PostgreSQL) -> int:
    """The process from which all of a server's come."""
    pid = backend.server_process()
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _timed(run: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    found = run()
    return found, time.perf_counter() - began


if __name__ == "__main__":
    which, folder, out = sys.argv[1:]
    Path(out).write_text(json.dumps(asked(which, Path(folder))))
