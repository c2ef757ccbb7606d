"""How quickly facts are asked: everything anew, and by an engine that takes in what is new."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.cases import Effort, Row
from benchmarks.machine import ROOT

GB = 1 << 30


def facts(effort: Effort) -> Iterator[Row]:
    """The unit-level query with a covariate over all facts, then looks after 100,000 new ones, each in a process."""
    rounds = min(effort.rounds, 3)
    with tempfile.TemporaryDirectory() as folder:
        _run("fill", Path(folder), effort.facts)
        asked = [_run("query", Path(folder), effort.facts) for _ in range(rounds)]
        told = _run("tick", Path(folder), effort.facts)
    seconds, peak = median(one["seconds"] for one in asked), max(one["peak"] for one in asked) / GB
    cpu = median(one["cpu"] for one in asked)
    told_as = f"{effort.facts:g} M facts"
    ten = effort.facts == 10.0
    yield Row(
        case=f"unit-level query, {told_as}, 10 a unit, 5 segments, with CUPED",
        peer="",
        ratio=seconds,
        ours=seconds,
        theirs=None,
        unit="s",
        rounds=rounds,
        target="≤ 3 s, ≤ 2 GB" if ten else "",
        holds=(seconds <= 3.0 and peak <= 2.0) if ten else None,
        note=f"{cpu:.1f} s of CPU, peak {peak:.2f} GB, {asked[0]['units']:,.0f} units; {_load(asked)}",
    )
    yield Row(
        case=f"look after 100,000 new facts, {told_as} before",
        peer="",
        ratio=told["seconds"],
        ours=told["seconds"],
        theirs=None,
        unit="s",
        rounds=5,
        target="≤ 0.5 s",
        holds=told["seconds"] <= 0.5,
        note=f"{told['cpu']:.2f} s of CPU, four metrics; taking in all facts at the start {told['start']:.0f} s "
        f"({told['start_cpu']:.0f} s of CPU), peak {told['peak'] / GB:.2f} GB; {_load([told])}",
    )


def _load(asked: list[dict[str, float]]) -> str:
    return f"load average {median(one['load'] for one in asked):.1f}"


def _run(what: str, data: Path, millions: float) -> dict[str, float]:
    """A process of its own, so that its peak memory is the measurement's."""
    command = [sys.executable, "-m", "benchmarks.facts_asked", what, str(data), str(millions)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"asking facts ({what}) ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


FACTS = {"facts": facts}
