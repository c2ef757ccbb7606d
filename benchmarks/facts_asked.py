"""`python -m benchmarks.facts_asked fill|query|tick DATA MILLIONS`: one measurement in a process, as JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.facts_made import LENGTH, POSITION, REVENUE, ROLLOUT, START, fill
from crossfade.judge.measure import Question, ask
from crossfade.judge.measure.segments import by_segment
from crossfade.judge.moments import MeanMoments
from crossfade.rim.engine import Engine, look_mode
from crossfade.rim.engine.full import Full
from crossfade.rim.lake import Lake

MILLION = 1_000_000
THREADS = 2
NEW = 100_000
"""Facts of one tick."""

TICKS = 5
LATER = START + 2 * LENGTH
"""When every window has closed."""


def make(data: Path, total: int) -> dict[str, float]:
    """A lake with so many facts."""
    lake = Lake(data)
    fill(data, 0, total, total)
    rows = sum(path.stat().st_size for path in (data / "lake").rglob("*.parquet"))
    lake.close()
    return {"bytes": rows}


def query(data: Path, total: int) -> dict[str, float]:
    """The unit-level query of one metric with a covariate over all facts, from naming the tables to its sums, of all
    units and of five segments."""
    lake, mode = Lake(data), look_mode(ROLLOUT, POSITION)
    versions = lake.versions()
    question = ask(ROLLOUT, mode, REVENUE)
    assert isinstance(question, Question)
    segmented = by_segment(question, 1)
    assert segmented is not None
    asked: list[Full] = []

    def run(of: Mapping[str, int]) -> None:
        asked.append(Full(lake, of, THREADS))
        asked[-1].look(ROLLOUT.name, POSITION.stage, mode, POSITION.stage_since, LATER)
        asked[-1].ask(question)
        asked[-1].ask(segmented)

    run({})  # a controller compiles its questions once
    with _first():
        took = _timed(partial(run, versions))
    moments = question.shape(asked[-1].ask(question), "v2")
    assert isinstance(moments, MeanMoments)
    took["units"] = float(moments.n_a.sum() + moments.n_b.sum())
    assert took["units"] > 0.9 * total / 10, "most units are missing, so the figure means nothing"
    took["segments"] = float(len(set(asked[-1].ask(segmented)["place"].tolist())))
    assert took["segments"] == 5.0, "the segments are missing, so the figure means nothing"
    lake.close()
    return took


def tick(data: Path, total: int) -> dict[str, float]:
    """Looks of an engine that has taken in everything, each after so many new facts; and how long it took to begin."""
    lake = Lake(data)
    engine = Engine(lake, threads=THREADS)
    began = _timed(lambda: engine.measure(ROLLOUT, POSITION, START + LENGTH))
    took = []
    for number in range(TICKS):
        low = total + number * NEW
        fill(data, low, low + NEW, total)
        now = START + (low + NEW) / total * LENGTH
        with _first():
            took.append(_timed(partial(engine.measure, ROLLOUT, POSITION, now)))
    requests = engine.measure(ROLLOUT, POSITION, now).progress.requests
    assert requests == (total + TICKS * NEW) * 6 // 10, "some facts were not taken in, so the figure means nothing"
    found = {key: median(one[key] for one in took) for key in took[0]}
    engine.close()
    lake.close()
    return {**found, "start": began["seconds"], "start_cpu": began["cpu"]}


@contextmanager
def _first() -> Iterator[None]:
    """Go before whatever else runs here, as far as the system lets it, so that the figure is not the neighbours'."""
    _policy(os.SCHED_RR, 1)
    try:
        yield
    finally:
        _policy(os.SCHED_OTHER, 0)


def _policy(policy: int, priority: int) -> None:
    """Of all threads: those that are started later inherit it."""
    for thread in os.listdir("/proc/self/task"):
        with suppress(PermissionError, ProcessLookupError):
            os.sched_setscheduler(int(thread), policy, os.sched_param(priority))


def _timed(run: Callable[[], object]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return {
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0,
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    what, folder, count = sys.argv[1:]
    task = {"fill": make, "query": query, "tick": tick}[what]
    print(json.dumps(task(Path(folder), int(float(count) * MILLION))))
