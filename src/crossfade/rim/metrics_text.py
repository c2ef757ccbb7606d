"""The figures of all workers as one Prometheus text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from crossfade.rim.figures import BOUNDS, Figures, Histogram


def read_metrics(data: Path) -> str:
    """The figures of all workers of a data directory in Prometheus text form."""
    figures = []
    for file in sorted((data / "run").glob("metrics-*.json")):
        try:
            figures.append(msgspec.json.decode(file.read_bytes(), type=Figures))
        except (OSError, msgspec.DecodeError):
            continue
    registry = CollectorRegistry()
    registry.register(_Collected(figures))
    return generate_latest(registry).decode()


class _Collected:
    def __init__(self, figures: Iterable[Figures]) -> None:
        self._figures = list(figures)

    def collect(self) -> Iterator[Metric]:
        labels = ("rollout", "mode", "arm", "served_by", "status", "reason", "worker")
        requests = CounterMetricFamily("crossfade_requests", "Requests answered on routes.", labels=labels)
        seconds = HistogramMetricFamily(
            "crossfade_arm_seconds", "Time the assigned arm took.", labels=("rollout", "arm", "worker")
        )
        compared = CounterMetricFamily(
            "crossfade_compared", "Mirrored requests compared.", labels=("rollout", "arm", "result", "worker")
        )
        dropped = CounterMetricFamily(
            "crossfade_dropped", "Copies not compared.", labels=("rollout", "reason", "worker")
        )
        faults = CounterMetricFamily("crossfade_faults", "Faults of ours.", labels=("what", "worker"))
        passed = CounterMetricFamily("crossfade_passed", "Requests outside every route.", labels=("worker",))
        streamed = CounterMetricFamily("crossfade_streamed", "Bodies passed on as they came.", labels=("worker",))
        refused = CounterMetricFamily("crossfade_refused", "Clients turned away.", labels=("limit", "worker"))
        build = GaugeMetricFamily(
            "crossfade_build_info", "What runs; always 1.", labels=("version", "request_path", "worker")
        )
        gauges: dict[str, GaugeMetricFamily] = {}
        for one in self._figures:
            for family, values in (
                (requests, one.requests),
                (compared, one.compared),
                (dropped, one.dropped),
                (faults, one.faults),
                (refused, one.refused),
            ):
                for key, value in values.items():
                    family.add_metric((*key.split("\n"), one.worker), value)
            for key, histogram in one.seconds.items():
                seconds.add_metric((*key.split("\n"), one.worker), _cumulative(histogram), histogram.total)
            if one.version:
                build.add_metric((one.version, one.request_path, one.worker), 1.0)
            passed.add_metric((one.worker,), one.passed)
            streamed.add_metric((one.worker,), one.streamed)
            for name, number in one.gauges.items():
                gauge = gauges.setdefault(name, GaugeMetricFamily(f"crossfade_{name}", name, labels=("worker",)))
                gauge.add_metric((one.worker,), number)
        yield from (build, requests, seconds, compared, dropped, faults, passed, streamed, refused, *gauges.values())


def _cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    out, running = [], 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), histogram.counts, strict=True):
        running += count
        out.append((bound, float(running)))
    return out
