"""Writes metrics.md, the reference of /metrics, from the families that the control port exposes and nothing else.

Run it after a change to a family: `python docs/reference/make_metrics.py`. A test compares.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from prometheus_client.core import Metric

from crossfade.console.health import RolloutSeries
from crossfade.console.part_numbers import PartSeries
from crossfade.console.receiving import Tally
from crossfade.rim.figures import Figures
from crossfade.rim.metrics_text import GAUGES, GatewaySeries
from crossfade.rim.store import Store

PAGE = Path(__file__).with_name("metrics.md")

HEAD = """\
# Metrics

Every series at `/metrics` on the control port, in Prometheus text form. This page is generated from the series themselves by
`docs/reference/make_metrics.py`. Counters begin anew with the process that counts; a gateway's are written once a second.

`worker` is a gateway process, `arm` a model's name, `rollout` the spec's. Alerts and a dashboard: [monitoring](../how-to/monitoring.md).

| series | type | labels | |
| --- | --- | --- | --- |
"""


def families() -> list[Metric]:
    """Every family that the control port exposes, without its samples."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        try:
            of_parts = PartSeries(store, Path(folder), dict, dict).collect()
            of_rollouts = [*RolloutSeries(store, Tally()).collect(), *of_parts]
        finally:
            store.close()
    a_worker = Figures(worker="gateway-0", version="1", gauges=dict.fromkeys(GAUGES, 1.0))
    return [*of_rollouts, *GatewaySeries([a_worker], {}).collect()]


def page() -> str:
    """The page as it should be."""
    rows = []
    for family in sorted(families(), key=lambda one: one.name):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in getattr(family, "_labelnames", ()))
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
