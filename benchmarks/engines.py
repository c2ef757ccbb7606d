"""The same looks at the same facts by each engine: whether they find the same, and what it takes them.

Writes docs/reference/engines.json and, from that, docs/reference/engines.md; sizes and engines not measured stay there.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.cases import Effort, Row
from benchmarks.engines_made import STAGES, fill
from benchmarks.machine import ROOT
from crossfade.rim.lake import Lake

PAGE = ROOT / "docs/reference/engines.md"
RECORD = PAGE.with_suffix(".json")
TOLERANCE = 1e-9
GB = 1 << 30
HERE = "DuckDB"
LONGEST = 6000.0
"""Seconds after which an engine is given up."""


def engines(effort: Effort) -> Iterator[Row]:
    """Each engine asked in turn, in a process of its own, and held against DuckDB."""
    with tempfile.TemporaryDirectory(prefix="crossfade-engines-") as folder:
        # Kept where one is named, so that engines may be asked one by one, of the same facts.
        data = Path(os.environ.get("CROSSFADE_BENCH_ENGINES", folder))
        some = os.environ.get("CROSSFADE_BENCH_ENGINES_ONLY", ",".join(_ENGINES)).split(",")
        if not (data / "lake").exists():
            fill(data, int(effort.facts * 1_000_000))
        facts, size = _size(data)
        known: dict[str, Any] = {}
        if HERE not in some:
            known[""] = json.loads((data / f"{HERE}.json").read_text())["found"]
        for name in some:
            try:
                known[name] = _ENGINES[name](data, data / f"{name}.json")
            except Unable as why:
                _record(effort.facts, name, {"unable": str(why)})
                yield _row(effort.facts, name, None, str(why))
                continue
            found = known[name].pop("found")
            known[name]["apart"], known[name]["numbers"] = apart(known.setdefault("", found), found)
            known[name] |= {"facts": facts, "bytes": size, "at": f"{datetime.now(UTC):%Y-%m-%d}", "by": _by(name)}
            _record(effort.facts, name, known[name])
            yield _row(effort.facts, name, known[name], "")
    PAGE.write_text(page(json.loads(RECORD.read_text())))


class Unable(Exception):
    """An engine is not there, or did not answer; the message says why."""


def apart(one: Any, other: Any) -> tuple[float, int]:
    """The largest relative difference of numbers in the same place, and how many they are; inf where words differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return math.inf, 0
        return _worst(apart(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return math.inf, 0
        return _worst(map(apart, one, other))
    if isinstance(one, float) or isinstance(other, float):
        if not isinstance(one, float | int) or not isinstance(other, float | int):
            return math.inf, 1
        if one == other or (math.isnan(one) and math.isnan(other)):
            return 0.0, 1
        # Beside sums of many large numbers, what is smaller than this is the rounding of zero.
        return abs(one - other) / max(abs(one), abs(other), 1e-3), 1
    return (0.0 if one == other else math.inf), int(isinstance(one, int))


def _worst(found: Any) -> tuple[float, int]:
    worst, count = 0.0, 0
    for difference, numbers in found:
        worst, count = max(worst, difference), count + numbers
    return worst, count


def _asked(engine: str, data: Path, out: Path) -> Any:
    command = [sys.executable, "-m", "benchmarks.engines_asked", engine, str(data), str(out)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    try:
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        raise Unable(f"no answer within {LONGEST:.0f} s") from None
    if done.returncode:
        raise Unable((done.stderr.strip().splitlines() or ["it ended without a word"])[-1][:300])
    return json.loads(out.read_text())


def _duckdb(data: Path, out: Path) -> Any:
    return _asked("duckdb", data, out)


def _postgresql(data: Path, out: Path) -> Any:
    sys.path.append(str(ROOT / "tests"))
    from rim.engine.postgres_kit import INITDB, MISSING, postgres

    if INITDB is None:
        raise Unable(MISSING)
    with ExitStack() as stack:
        told = dict(part.split("=", 1) for part in stack.enter_context(postgres()).split())
        address = f"postgresql://{told['user']}@{told['host']}:{told['port']}/{told['dbname']}"
        return _asked(address, data, out)


def _spark(data: Path, out: Path) -> Any:
    if shutil.which("java") is None:
        raise Unable("Java is not installed (17 is needed)")
    return _asked("spark:local-cluster[2,1,3072]", data, out)


def _clickhouse(data: Path, out: Path) -> Any:
    return _asked("clickhouse:local", data, out)


_ENGINES = {HERE: _duckdb, "ClickHouse": _clickhouse, "PostgreSQL": _postgresql, "Spark": _spark}
_PACKAGES = {HERE: "duckdb", "ClickHouse": "chdb", "Spark": "pyspark"}


def _by(name: str) -> str:
    if name == "PostgreSQL":
        found = subprocess.run(["postgres", "--version"], capture_output=True, text=True, check=False)
        return found.stdout.split()[2] if not found.returncode else ""
    try:
        return f"{_PACKAGES[name]} {version(_PACKAGES[name])}"
    except PackageNotFoundError:
        return ""


def _size(data: Path) -> tuple[int, int]:
    import pyarrow.parquet as pq

    lake = Lake(data)
    files = [file for kind in lake.versions() for file in lake.files(kind)]
    lake.close()
    return sum(pq.read_metadata(file).num_rows for file in files), sum(Path(file).stat().st_size for file in files)


def _record(millions: float, name: str, told: Mapping[str, Any]) -> None:
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    record.setdefault(f"{millions:g}", {})[name] = dict(told)
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def _row(millions: float, name: str, told: Mapping[str, Any] | None, why: str) -> Row:
    looks = [] if told is None else told["looks"].values()
    seconds = sum(one["seconds"] for one in looks)
    return Row(
        case=f"three looks at {millions:g} M facts by {name}",
        peer="",
        ratio=seconds if told else None,
        ours=seconds if told else None,
        theirs=None,
        unit="s",
        rounds=int(told is not None),
        target="within 1e-9 of DuckDB",
        holds=None if told is None else told["apart"] <= TOLERANCE,
        note=why
        if told is None
        else f"{sum(one['cpu'] for one in looks):.0f} s of CPU; loading {told['load']:.0f} s ({told['load_cpu']:.0f} s "
        f"of CPU); peak {told['peak'] / GB:.1f} GB; {told['numbers']:,} numbers, at most {told['apart']:.0e} apart; "
        f"load average {told['load_average']:.0f}",
    )


_HEAD = """# Engines, measured

Written by `python -m benchmarks --only engines --facts MILLIONS`; do not edit. How an engine is chosen, and which
one for how much, is in [A billion facts a day](../how-to/billion.md).

One rollout with two challengers, two segments and five outcome metrics, looked at in its shadow, its canary of two
steps and its interleaving: rates, means with a covariate, counts, ratios, quantiles, and the signed differences of
pairs and of lists; outcomes by decision and by unit, late ones, ones for nobody, corrected ones, some corrected again.
Each engine gets the same expressions over the same files of a lake, in a process of its own on two cores, one after
the other. What is not in a table was not measured at that size.

- *loading*: until the engine can be asked. DuckDB, ClickHouse and Spark read the lake's files where they lie;
  PostgreSQL has them copied.
- *CPU* and *peak*: of all processes of the engine, servers, executors and the asking one included; memory that several
  share counts once.
- *apart*: the largest relative difference from DuckDB among all moments and all lines of evidence, words and whole
  numbers being equal. What is smaller than 0.001 is compared by its absolute difference, in thousandths.
- Seconds by the clock are those of a machine shared with others; *load* is its load average at the end. CPU seconds
  say more.
"""


def page(record: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of a record."""
    told = [_HEAD]
    for size in sorted(record, key=float, reverse=True):
        told += ["", *_table(size, record[size])]
    return "\n".join(told) + "\n"


def _table(size: str, runs: Mapping[str, Any]) -> Sequence[str]:
    some = next((run for run in runs.values() if "facts" in run), None)
    about = "" if some is None else f" {some['facts']:,} facts in {some['bytes'] / 1e6:,.0f} MB."
    lines = [
        f"## {size} million facts",
        "",
        f"{about.strip()} Seconds by the clock, in brackets of CPU.",
        "",
        f"| engine | loading | {' | '.join(STAGES)} | all looks | peak | apart | load |",
        "| --- | --- " + "| --- " * len(STAGES) + "| --- | --- | --- | --- |",
    ]
    for name in _ENGINES:
        run = runs.get(name)
        if run is None:
            continue
        if "unable" in run:
            lines.append(f"| {name} | not measured: {run['unable']} |" + " |" * (len(STAGES) + 4))
            continue
        looks = [run["looks"][mode] for mode in STAGES]
        total = {key: sum(one[key] for one in looks) for key in ("seconds", "cpu")}
        cells = [_pair(one["seconds"], one["cpu"]) for one in (*looks, total)]
        lines.append(
            f"| {name} {run['by'].split()[-1] if run['by'] else ''} | {_pair(run['load'], run['load_cpu'])} | "
            f"{' | '.join(cells)} | {run['peak'] / GB:.1f} GB | {_apart(run)} | {run['load_average']:.0f} |"
        )
    measured = [run["numbers"] for run in runs.values() if "numbers" in run]
    if measured:
        lines += ["", f"{max(measured):,} numbers of each engine were compared ({some['at'] if some else ''})."]
    return lines


def _pair(seconds: float, cpu: float) -> str:
    return f"{seconds:.1f} ({cpu:.1f})"


def _apart(run: Mapping[str, Any]) -> str:
    return "0" if run["apart"] == 0.0 else f"{run['apart']:.1e}"


ENGINES = {"engines": engines}
