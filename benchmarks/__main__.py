"""`python -m benchmarks`: run the cases, print the table, write results.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.cases import CASES, Effort, Row
from benchmarks.console import CONSOLE
from benchmarks.engines import ENGINES
from benchmarks.evidence import EVIDENCE
from benchmarks.facts import FACTS
from benchmarks.interleave import INTERLEAVE
from benchmarks.machine import GATEWAY_CORE, LOAD_CORE, gateway_python
from benchmarks.records import RECORDS
from benchmarks.servers import Missing

RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    """0 when everything was measured, whether targets hold or not; 1 when a case could not run."""
    CASES.update(RECORDS | EVIDENCE | FACTS | INTERLEAVE | CONSOLE)
    usual = list(CASES)
    CASES.update(ENGINES)  # an hour where all are installed: only when it is asked for
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        choices=CASES,
        nargs="+",
        default=usual,
        help="cases; all but engines by default. The others keep their rows in the file",
    )
    parser.add_argument("--rounds", type=int, default=7, help="paired rounds a case (default 7)")
    parser.add_argument("--seconds", type=int, default=2, help="seconds a round (default 2)")
    parser.add_argument("--soak", type=int, default=60, help="seconds of the soak (default 60; 600 for a release)")
    parser.add_argument("--facts", type=float, default=10.0, help="millions of facts that are asked (default 10)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    console = Console(width=150)
    _, _, interpreter = gateway_python()
    console.print(f"{platform.machine()}, {os.cpu_count()} cores; load average {os.getloadavg()[0]:.1f} at the start")
    console.print(f"gateway on core {GATEWAY_CORE}, load and upstream on core {LOAD_CORE}; {interpreter}")
    if GATEWAY_CORE == LOAD_CORE:
        console.print("[red]one core only: gateway and load share it, and no figure below means much[/red]")
    rows: list[Row] = []
    effort = Effort(rounds=asked.rounds, seconds=asked.seconds, soak=asked.soak, facts=asked.facts)
    broken = False
    for name in asked.only:
        console.print(f"… {name}", style="dim")
        try:
            rows += CASES[name](effort)
        except (Missing, RuntimeError) as error:
            console.print(f"[red]{name} could not be measured:[/red] {error}")
            broken = True
    console.print(_table(rows))
    asked.out.write_text(json.dumps(_merged(asked.out, rows), indent=1, ensure_ascii=False) + "\n")
    console.print(f"written to {asked.out}; load average {os.getloadavg()[0]:.1f} at the end")
    return 1 if broken else 0


def _merged(out: Path, rows: list[Row]) -> list[dict[str, object]]:
    """What was measured now, among what an earlier run left of other cases: `--only` must not lose the rest."""
    try:
        before = [row for row in json.loads(out.read_text()) if isinstance(row, dict)]
    except (OSError, ValueError, TypeError):
        before = []
    measured = {row.case for row in rows}
    return [row for row in before if row.get("case") not in measured] + [row.to_json() for row in rows]


def _table(rows: list[Row]) -> Table:
    table = Table(title="Crossfade against peers, medians of paired rounds")
    for heading in ("case", "peer", "ours", "theirs", "unit", "ratio", "target", "", "note"):
        table.add_column(heading, justify="right" if heading in ("ours", "theirs", "ratio") else "left")
    for row in rows:
        verdict = {True: "[green]holds[/green]", False: "[red]misses[/red]", None: ""}[row.holds]
        ratio = "[yellow]skipped[/yellow]" if row.rounds == 0 else f"{row.ratio:.3f}"
        table.add_row(
            row.case, row.peer, _number(row.ours), _number(row.theirs), row.unit, ratio, row.target, verdict, row.note
        )
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
