"""What interleaving costs: a merge by itself, and the gateway over the slower of two rankers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median

from benchmarks import servers
from benchmarks.cases import Effort, Row
from benchmarks.load import steady
from benchmarks.machine import NATIVE, ROOT, urgent

STAGE, RANKING = "interleave: {weight: 100%}", "ranking: {items: $.items, id: $.id}"


def merging(effort: Effort) -> Iterator[Row]:
    """Two lists of 100 items, half of them in both, by each method that needs no plan, as it is installed: compiled."""
    compiled = (NATIVE / "crossfade").is_dir()
    place = os.environ | ({"PYTHONPATH": f"{ROOT}:{NATIVE}"} if compiled else {})
    for method, most in (("team-draft", 40.0), ("balanced", None), ("probabilistic", None)):
        command = [sys.executable, "-m", "benchmarks.merge_alone", method, str(5 * effort.rounds)]
        took = float(subprocess.run(command, env=place, capture_output=True, text=True, check=True).stdout)
        yield Row(
            case=f"merging two lists of 100 items, {method}",
            peer="",
            ratio=took,
            ours=took,
            theirs=None,
            unit="µs a merge",
            rounds=5 * effort.rounds,
            target=f"≤ {most:g} µs" if most else "",
            holds=took <= most if most else None,
            note=f"{'compiled' if compiled else 'as written'}; load average {os.getloadavg()[0]:.0f}",
        )


def interleaving(effort: Effort) -> Iterator[Row]:
    """What is added at 200 requests a second, over a ranker asked directly; both rankers take 5 ms for 20 items."""
    with ExitStack() as stack:
        stack.enter_context(urgent())
        one, two = (stack.enter_context(servers.toy(name)) for name in ("ranks", "outranks"))
        ours = stack.enter_context(servers.crossfade(one, two.url, stage=STAGE, more=RANKING))
        steady(ours, 2, 200)
        rounds = [(steady(one, 3, 200), steady(two, 3, 200), steady(ours, 3, 200)) for _ in range(effort.rounds)]
    errors = sum(through.errors + through.missing for _, _, through in rounds)
    added = median(through.p50_ms - max(first.p50_ms, second.p50_ms) for first, second, through in rounds)
    yield Row(
        case="interleaving two lists of 20 items at 200 req/s, p50",
        peer="the slower ranker",
        ratio=added,
        ours=median(through.p50_ms for _, _, through in rounds),
        theirs=median(max(first.p50_ms, second.p50_ms) for first, second, _ in rounds),
        unit="ms added",
        rounds=effort.rounds,
        target="≤ 0.4 ms",
        holds=added <= 0.4 and not errors,
        note=f"{errors} requests failed" if errors else "",
    )


INTERLEAVE: dict[str, Callable[[Effort], Iterator[Row]]] = {"merging": merging, "interleaving": interleaving}
