"""The guarantees measured and written as a page: `make guarantees`, or `PYTHONPATH=tests python -m guarantees DIR`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from fnmatch import fnmatchcase
from pathlib import Path

from . import cases_different, cases_further, cases_hard, cases_same, page
from .page import Measured
from .rows import Case

CASES: tuple[Case, ...] = (*cases_hard.CASES, *cases_same.CASES, *cases_different.CASES, *cases_further.CASES)


def measured(name: str, runs: int) -> Measured:
    """One case, measured here."""
    case = next(one for one in CASES if one.name == name)
    began = time.process_time()
    rows = tuple(case.measure(runs))
    return Measured(case=name, runs=runs, seconds=round(time.process_time() - began, 1), rows=rows)


def each(wanted: Sequence[tuple[str, int]], jobs: int) -> Iterator[Measured]:
    """Every case as it is done, so many at a time."""
    if jobs == 1:
        yield from (measured(*one) for one in wanted)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from (done.result() for done in as_completed([pool.submit(measured, *one) for one in wanted]))


def main() -> int:
    """0 when every row holds, 1 when one misses."""
    parser = argparse.ArgumentParser(prog="python -m guarantees", description=__doc__)
    parser.add_argument("folder", type=Path, help="where guarantees.md and guarantees.json are written")
    parser.add_argument("--runs", type=int, default=200, help="runs a row (default 200)")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="cases, such as 'budget/*'; others keep their rows")
    parser.add_argument("--resume", action="store_true", help="leave cases alone that have as many runs already")
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time")
    parser.add_argument("--list", action="store_true", help="say what there is, with runs and CPU seconds, and end")
    asked = parser.parse_args()
    kept = page.read(asked.folder / "guarantees.json")
    chosen = [one for one in CASES if asked.only is None or any(fnmatchcase(one.name, name) for name in asked.only)]
    if asked.list:
        for case in chosen:
            had = kept.get(case.name)
            sys.stdout.write(f"{case.name}: {f'{had.runs:,} runs, {had.seconds:.0f} s' if had else 'not measured'}\n")
        return 0
    if not chosen:
        sys.stderr.write(f"No case is called {', '.join(asked.only)}; --list says what there is.\n")
        return 2
    wanted = [(case.name, case.runs(asked.runs)) for case in chosen]
    if asked.resume:
        wanted = [(name, runs) for name, runs in wanted if name not in kept or kept[name].runs < runs]
    for done in each(wanted, asked.jobs):
        kept[done.case] = done
        for row in done.rows:
            sys.stderr.write(f"{done.seconds:6.0f} s  {row.scenario}: {row.found} {row.bound}\n")
        page.write(asked.folder, [kept[case.name] for case in CASES if case.name in kept])
    return 0 if all(row.holds for case in CASES if case.name in kept for row in kept[case.name].rows) else 1


if __name__ == "__main__":
    sys.exit(main())
