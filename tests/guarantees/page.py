"""What was measured, kept as JSON and told as a page in Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .rows import TABLES, Row

COMMAND = "make guarantees"

ENOUGH = 1000
"""Runs that a row should have."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one case gave, and the CPU seconds that it took."""

    case: str
    runs: int
    seconds: float
    rows: tuple[Row, ...]


def read(file: Path) -> dict[str, Measured]:
    """What was kept, by case; nothing where nothing was."""
    kept = json.loads(file.read_text()) if file.exists() else []
    return {one["case"]: Measured(**{**one, "rows": tuple(Row(**row) for row in one["rows"])}) for one in kept}


def write(folder: Path, measured: Sequence[Measured]) -> None:
    """Both files, of cases in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    record = json.dumps([asdict(one) for one in measured], indent=1, ensure_ascii=False)
    (folder / "guarantees.json").write_text(record + "\n")
    (folder / "guarantees.md").write_text(page(measured))


def page(measured: Sequence[Measured]) -> str:
    """The page."""
    all_rows = [row for one in measured for row in one.rows]
    rows = [row for row in all_rows if row.bound != "none"]
    missed = [row for row in rows if not row.holds]
    fewest, many = min((row.runs for row in rows), default=0), sum(row.runs >= ENOUGH for row in rows)
    minutes = sum(one.seconds * max(ENOUGH / one.runs, 1.0) for one in measured) / 60.0
    verdict = f"{len(missed)} of {len(rows)} rows miss their bound" if missed else f"All of {len(rows)} rows hold"
    told = [
        "# Guarantees, measured",
        "",
        f"Written by `{COMMAND}`, from a fresh clone too; everything is seeded. {verdict}. {many} of them have",
        f"{ENOUGH:,} runs or more, none fewer than {fewest:,}; {ENOUGH:,} each take {minutes:.0f} minutes of a core.",
        "",
        "A share is that of runs, with its 99 % binomial interval (Clopper and Pearson) in brackets. It holds when the",
        "interval reaches down to the bound. The worlds are those of `tests/guarantees`: the judge and, where a whole",
        "rollout is told, the loop that decides are the real ones; only the traffic is drawn.",
        "",
        "Latencies that go up and down with an arm's own hosts keep their level only where the spec says `blocks`;",
        "rows for comparison, which have no bound, say what comes of it where it does not.",
    ]
    for table in TABLES:
        told += _table(table, [row for row in all_rows if row.table == table])
    return "\n".join(told) + "\n"


def _table(name: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    peers = any(row.peers for row in rows)
    head, rule = "| scenario | runs | found | bound | |", "| --- | ---: | ---: | ---: | --- |"
    lines = ["", f"## {name}", "", *((head + " peers |", rule + " --- |") if peers else (head, rule))]
    for row in rows:
        line = f"| {row.scenario} | {row.runs:,} | {row.found} | {row.bound} | {_word(row)} |"
        lines.append(f"{line} {row.peers} |" if peers else line)
    return lines


def _word(row: Row) -> str:
    if row.bound == "none":
        return ""
    return "holds" if row.holds else "**misses**"
