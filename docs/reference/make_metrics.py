"""Writes metrics.md, the reference of /metrics, from the families that the control port exposes and nothing else.

Run it after a change to a family: `python docs/reference/make_metrics.py`. A test compares.
"""

from __future__ import annotations

from pathlib import Path

from crossfade.console.health import described

PAGE = Path(__file__).with_name("metrics.md")

HEAD = """\
# Metrics

Every series at `/metrics` on the control port, in Prometheus text form. This page is generated from the series themselves by
`docs/reference/make_metrics.py`. Counters begin anew with the process that counts; a gateway's are written once a second.

`worker` is a gateway process, `arm` a model's name, `rollout` the spec's. Alerts worth having: [runbook](../operate/runbook.md#alerts-worth-having).

| series | type | labels | |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The page as it should be."""
    rows = []
    for family in sorted(described(), key=lambda one: one.name):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.help} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
