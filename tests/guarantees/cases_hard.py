"""Rows in which nothing differs and units are hard to judge: settings that stop other tools, regulars, noisy hosts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import hosts, peers, ramped, returned, ten_latencies
from .rows import SAME, Case, Row, compared, seldom, told

ALPHA = 0.05
ENOUGH = 1000
"""Runs of another tool's rule, which cost nothing."""


def _theirs(name: str, times: int, runs: int) -> str:
    return f"{name}: {told(times, runs)}"


def _rehearsed(name: str, setting: peers.Setting, scenario: str) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        rolled, promoted = peers.ended(peers.rehearsed(setting, runs))
        rng = np.random.default_rng(1)
        stopped = peers.flagger(rng, ENOUGH) if name == "Flagger" else peers.argo(rng, ENOUGH)
        what = f"{scenario}: rolled back for whatever reason ({100 * promoted / runs:.1f} % promoted)"
        yield seldom(SAME, what, rolled, runs, ALPHA, _theirs(name, stopped, ENOUGH))

    return Case(name=f"same/setting of {name}", measure=measure)


def _fields(runs: int) -> Iterator[Row]:
    times = peers.fields(np.random.default_rng(2), runs)
    theirs = _theirs("Diffy", peers.diffy(np.random.default_rng(1), ENOUGH), ENOUGH)
    what = "shadow, 1,000 requests, 20 fields that differ from themselves in 1 %: any is said to differ beyond noise"
    yield seldom(SAME, what, times, runs, ALPHA, theirs)


def _latencies(correlation: float) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        theirs = peers.kayenta(np.random.default_rng(1), correlation, ENOUGH)
        wander = f"ten latencies that wander with autocorrelation {correlation:g} on each arm's own hosts"
        what = f"{wander}, blocks of 30 min, 12 h: rolled back"
        times = ten_latencies.alarms(correlation, runs, "30m")
        yield seldom(SAME, what, times, runs, ALPHA, _theirs("Kayenta", theirs, ENOUGH))

    return Case(name=f"same/setting of Kayenta, {correlation:g}", measure=measure)


def _returning(kind: str, share: float) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        what = f"units that return for 60 days, intra-class correlation 0.2, {100 * share:g} % canary: {kind}"
        yield seldom(SAME, what, returned.alarms(kind, share, runs), runs, ALPHA)

    return Case(name=f"same/regulars, {kind}, {100 * share:g} %", measure=measure)


def _ramped(kind: str) -> Case:
    def measure(runs: int) -> Iterator[Row]:
        what = "first failures of regulars, ramp 1/2/4/8 %, no margin, a challenger that fails"
        yield seldom(SAME, f"{what} {kind}", ramped.alarms(kind, runs), runs, ALPHA)

    return Case(name=f"same/first failures over a ramp, {kind}", measure=measure)


def _naive(runs: int) -> Iterator[Row]:
    what = "for comparison: the same, every visit taken for a unit of its own"
    yield compared(SAME, what, returned.naive(0.5, runs), runs)


KINDS = {
    "load": "p99 latency, autocorrelation 0.8 from minute to minute, of the load that both arms share",
    "hosts": "p99 latency, autocorrelation 0.8 from minute to minute, of each arm's own hosts",
    "requests": "p99 latency, autocorrelation 0.8 from one request to the next of each arm",
}


def _slow(kind: str, share: float, blocks: float | None) -> Case:
    known = "" if blocks is None else f", blocks of {blocks / 60:g} min"
    even = "even" if share == 0.5 else f"{100 * share:g} % canary"

    def measure(runs: int) -> Iterator[Row]:
        times = hosts.alarms(kind, share, runs, blocks=blocks)
        if blocks is None and kind != "load":
            what = f"for comparison: {KINDS[kind]}, {even}, without blocks, which takes them for independent"
            yield compared(SAME, what, times, runs)
        else:
            yield seldom(SAME, f"{KINDS[kind]}, {even}{known}", times, runs, ALPHA)

    portion = 0.2 if blocks is None and kind != "load" else 1.0
    return Case(name=f"same/p99, {kind}, {even}{known}", measure=measure, portion=portion)


CASES: tuple[Case, ...] = (
    _rehearsed("Flagger", peers.FLAGGER, "errors of 0.8 %, 5 requests a second, margin 0.5 pp"),
    _rehearsed("Argo", peers.ARGO, "errors of 3 %, 50 requests a minute, margin 2 pp"),
    Case(name="same/setting of Diffy", measure=_fields),
    *(_latencies(correlation) for correlation in (0.5, 0.8)),
    *(_returning(kind, share) for kind in returned.KINDS for share in (0.5, 0.05)),
    Case(name="same/regulars, every visit, for comparison", measure=_naive, portion=0.2),
    *map(_ramped, ramped.KINDS),
    *(_slow("load", share, None) for share in (0.05, 0.5)),
    *(_slow("hosts", share, 1800.0) for share in (0.05, 0.5)),
    _slow("hosts", 0.5, None),
    *(_slow("requests", share, 300.0) for share in (0.05, 0.5)),
    _slow("requests", 0.5, None),
)
