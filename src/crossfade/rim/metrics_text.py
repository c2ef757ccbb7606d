"""The figures of all workers as one Prometheus text."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from crossfade.rim.figures import BOUNDS, Figures, Histogram

GAUGES: Mapping[str, str] = {
    "lease_held": "1 while the controller is heard; 0: this gateway serves champions alone.",
    "recorder_healthy": "1 while facts can be written; 0: nobody new is exposed.",
    "client_connections": "Open connections of clients.",
    "upstream_connections": "Open connections to models.",
    "body_bytes_held": "Bytes of request bodies in memory.",
    "copies_waiting": "Mirrored copies that wait for a hidden arm.",
    "copy_bytes_kept": "Bytes kept for mirrored copies.",
    "arms_left_out": "Challengers that are left out for a while because they failed in a row.",
}
"""What a gateway says of itself at the moment, and what it means."""


def read_metrics(data: Path) -> str:
    """The figures of all workers of a data directory in Prometheus text form."""
    figures, ages = [], {}
    for file in sorted((data / "run").glob("metrics-*.json")):
        try:
            found = msgspec.json.decode(file.read_bytes(), type=Figures)
            ages[found.worker] = max(0.0, time.time() - file.stat().st_mtime)
        except (OSError, msgspec.DecodeError):
            continue
        figures.append(found)
    registry = CollectorRegistry()
    registry.register(GatewaySeries(figures, ages))
    return generate_latest(registry).decode()


class GatewaySeries:
    """The families of all workers, from the figures that each has left."""

    def __init__(self, figures: Iterable[Figures], ages: Mapping[str, float]) -> None:
        """`ages`: seconds since each worker has written its figures."""
        self._figures = list(figures)
        self._ages = ages

    def collect(self) -> Iterator[Metric]:
        """Every family; its samples are the workers'."""
        labels = ("rollout", "mode", "arm", "served_by", "status", "reason", "worker")
        requests = CounterMetricFamily(
            "crossfade_requests",
            "Requests on routes, by the arm that they belong to and the one that answered.",
            labels=labels,
        )
        seconds = HistogramMetricFamily(
            "crossfade_arm_seconds",
            "Time that the assigned arm took for a reply, as a histogram.",
            labels=("rollout", "arm", "worker"),
        )
        compared = CounterMetricFamily(
            "crossfade_compared",
            "Mirrored requests compared, by what was found.",
            labels=("rollout", "arm", "result", "worker"),
        )
        dropped = CounterMetricFamily(
            "crossfade_dropped", "Copies that were not compared, by why.", labels=("rollout", "reason", "worker")
        )
        faults = CounterMetricFamily(
            "crossfade_faults", "Faults of Crossfade's own; users were served all the same.", labels=("what", "worker")
        )
        passed = CounterMetricFamily(
            "crossfade_passed", "Requests outside every route, passed on to the champion.", labels=("worker",)
        )
        streamed = CounterMetricFamily(
            "crossfade_streamed",
            "Bodies too large to be held, passed on as they came and not compared.",
            labels=("worker",),
        )
        refused = CounterMetricFamily(
            "crossfade_refused", "Clients turned away, by the limit that was reached.", labels=("limit", "worker")
        )
        build = GaugeMetricFamily(
            "crossfade_build_info", "What runs; always 1.", labels=("version", "request_path", "worker")
        )
        age = GaugeMetricFamily(
            "crossfade_figures_age_seconds",
            "Seconds since a worker wrote its figures, as it does each second; one that ended leaves its last ones.",
            labels=("worker",),
        )
        for worker, seconds_ago in self._ages.items():
            age.add_metric((worker,), seconds_ago)
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
                gauge = gauges.setdefault(
                    name, GaugeMetricFamily(f"crossfade_{name}", GAUGES.get(name, name), labels=("worker",))
                )
                gauge.add_metric((one.worker,), number)
        yield from (
            build,
            age,
            requests,
            seconds,
            compared,
            dropped,
            faults,
            passed,
            streamed,
            refused,
            *gauges.values(),
        )


def _cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    out, running = [], 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), histogram.counts, strict=True):
        running += count
        out.append((bound, float(running)))
    return out
