"""Writes crossfade.json, the dashboard for Grafana, from the panels below and nothing else.

Run it after a change: `python deploy/grafana/make_dashboard.py`. A test compares, and asks Prometheus every question.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("crossfade.json")

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OF = 'rollout=~"$rollout"'
LINE = f'{OF}, metric=~"$metric"'
RATE = "[$__rate_interval]"

GREEN, YELLOW, RED, GREY, BLUE = "green", "yellow", "red", "#8e8e8e", "blue"
VERDICTS = {1: ("safe", GREEN), 2: ("undecided", BLUE), 3: ("unmeasured", GREY), 4: ("harmful", RED)}
PHASES = {
    1: ("pending", GREY),
    2: ("running", BLUE),
    3: ("held", YELLOW),
    4: ("rolled_back", RED),
    5: ("promoted", GREEN),
    6: ("finished", GREEN),
}
YES = {1: ("yes", GREEN), 0: ("no", RED)}

Panel = dict[str, Any]
Asked = Sequence[tuple[str, str]]
"""Questions to Prometheus, and how their series are called."""


def coded(series: str, label: str, selector: str, codes: dict[int, tuple[str, str]]) -> str:
    """One number for what a label says, as a timeline needs it."""
    return " or ".join(
        f'sum without ({label}) ({series}{{{selector}, {label}="{name}"}} * {code})'
        for code, (name, _) in codes.items()
    )


def panel(kind: str, title: str, asked: Asked, about: str, *, unit: str = "short", **more: Any) -> Panel:
    """One panel; `more` goes over what every panel has."""
    defaults: dict[str, Any] = {"unit": unit, "color": {"mode": "palette-classic"}, **more.pop("defaults", {})}
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "targets": [
            {"refId": chr(65 + n), "expr": expr, "legendFormat": legend, "datasource": SOURCE}
            for n, (expr, legend) in enumerate(asked)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        "options": more.pop("options", {"tooltip": {"mode": "multi", "sort": "desc"}}),
        **more,
    }


def lines(title: str, asked: Asked, about: str, *, unit: str = "short", **more: Any) -> Panel:
    """A chart over time."""
    more.setdefault("options", {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    })  # fmt: skip
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 0, "showPoints": "never", **more.pop("custom", {})}
    return panel("timeseries", title, asked, about, unit=unit, defaults={"custom": custom}, **more)


def states(title: str, asked: Asked, about: str, codes: dict[int, tuple[str, str]]) -> Panel:
    """A timeline of words."""
    words = {
        str(code): {"text": name, "color": color, "index": n} for n, (code, (name, color)) in enumerate(codes.items())
    }
    return panel(
        "state-timeline", title, asked, about,
        defaults={"mappings": [{"type": "value", "options": words}], "custom": {"fillOpacity": 80, "lineWidth": 0}},
        options={
            "mergeValues": True, "showValue": "auto", "rowHeight": 0.8, "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        },
    )  # fmt: skip


def named(regex: str, *properties: tuple[str, Any]) -> dict[str, Any]:
    """How the series of some name look."""
    return {
        "matcher": {"id": "byRegexp", "options": regex},
        "properties": [{"id": name, "value": value} for name, value in properties],
    }


def fixed(color: str) -> tuple[str, Any]:
    """A colour of its own."""
    return ("color", {"mode": "fixed", "fixedColor": color})


def rollouts() -> list[tuple[int, int, Panel]]:
    """Where rollouts stand: (width, height, panel)."""
    return [
        (24, 5, states("Phase", [(coded("crossfade_phase", "phase", OF, PHASES), "{{rollout}}")],
            "Held is not rolled back: exposure stays as it is.", PHASES)),
        (12, 8, lines("Exposure", [
            (f'crossfade_exposure{{{OF}, which="planned"}}', "{{rollout}} planned"),
            (f'crossfade_exposure{{{OF}, which="actual"}}', "{{rollout}} actual"),
        ], "Share of units on the challenger.", unit="percentunit",
            overrides=[named(".* planned", ("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}))])),
        (12, 8, lines("Units in this stage", [(f"crossfade_units{{{OF}}}", "{{rollout}} {{arm}}")],
            "What verdicts are made of.")),
    ]  # fmt: skip


def evidence() -> list[tuple[int, int, Panel]]:
    """What is known of each metric."""
    one = f'{OF}, metric="$metric"'
    interval = lines("$metric: interval and limit", [
        (f"crossfade_evidence_upper{{{one}}}", "{{rollout}} {{arm}} {{stage}} upper"),
        (f"crossfade_evidence_lower{{{one}}}", "{{rollout}} {{arm}} {{stage}} lower"),
        (f"crossfade_evidence_estimate{{{one}}}", "{{rollout}} {{arm}} {{stage}} estimate"),
        (f"crossfade_evidence_limit{{{one}}}", "{{rollout}} {{arm}} {{stage}} limit"),
    ], "The challenger less the champion, in the metric's own units; always valid. An open end is not drawn.",
        overrides=[
            named(".* (upper|lower)", fixed(BLUE), ("custom.lineWidth", 1), ("custom.fillOpacity", 8)),
            named(".* estimate", fixed(BLUE), ("custom.lineWidth", 2)),
            named(".* limit", fixed(RED), ("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})),
        ])  # fmt: skip
    return [
        (24, 8, states("Verdicts", [
            (coded("crossfade_verdict", "verdict", LINE, VERDICTS), "{{rollout}} {{metric}} {{arm}} {{stage}}"),
        ], "Unmeasured (could not measure) is not harmful (measured bad).", VERDICTS)),
        (24, 9, {**interval, "repeat": "metric", "repeatDirection": "h", "maxPerRow": 3}),
        (24, 8, lines("Evidence", [
            (f"crossfade_evidence_e_value{{{LINE}}}", "{{rollout}} {{metric}} {{arm}} {{stage}}: harm"),
            (f"crossfade_evidence_e_value_safe{{{LINE}}}", "{{rollout}} {{metric}} {{arm}} {{stage}}: safe"),
        ], "E-values on a logarithmic scale; proof is at 1/alpha of the line, 20 where alpha is 5%.",
            custom={"scaleDistribution": {"type": "log", "log": 10}})),
    ]  # fmt: skip


def traffic() -> list[tuple[int, int, Panel]]:
    """What is asked and answered."""
    by = "sum by (rollout, arm)"
    requests = f"crossfade_requests_total{{{OF}}}{RATE}"
    failed = f'crossfade_requests_total{{{OF}, status="5xx"}}{RATE}'
    otherwise = f'crossfade_requests_total{{{OF}, reason!=""}}{RATE}'
    compared, dropped = (f"crossfade_{what}_total{{{OF}}}{RATE}" for what in ("compared", "dropped"))
    timed = f"sum by (le, rollout, arm) (rate(crossfade_arm_seconds_bucket{{{OF}}}{RATE}))"
    return [
        (8, 8, lines("Requests by assigned arm", [(f"{by} (rate({requests}))", "{{rollout}} {{arm}}")],
            "Also those that the champion answered because the challenger failed.", unit="reqps")),
        (8, 8, lines("Errors that users saw", [
            (f"{by} (rate({failed})) / {by} (rate({requests}))", "{{rollout}} {{arm}}")],
            "Share of 5xx among requests of an arm.", unit="percentunit")),
        (8, 8, lines("Latency", [
            (f"histogram_quantile(0.99, {timed})", "{{rollout}} {{arm}} p99"),
            (f"histogram_quantile(0.5, {timed})", "{{rollout}} {{arm}} p50"),
        ], "Of the assigned arm; its deadline where it timed out.", unit="s",
            overrides=[named(".* p50", ("custom.lineStyle", {"fill": "dot", "dash": [2, 6]}))])),
        (8, 8, lines("Why somebody else served", [
            (f"sum by (rollout, reason) (rate({otherwise}))", "{{rollout}} {{reason}}")],
            "Requests whose assigned arm failed, or was not asked.", unit="reqps")),
        (8, 8, lines("Mirrored copies", [
            (f"sum by (rollout, arm, result) (rate({compared}))", "{{rollout}} {{arm}} {{result}}"),
            (f"sum by (rollout, reason) (rate({dropped}))", "{{rollout}} dropped: {{reason}}"),
        ], "What a shadow compares, and what it could not.", unit="reqps",
            overrides=[named(".* dropped.*", fixed(YELLOW))])),
        (8, 8, lines("Outcomes", [(f"sum by (result) (rate(crossfade_outcomes_total{RATE}))", "{{result}}")],
            "Posted to this control port.", unit="reqps", overrides=[named("rejected", fixed(RED))])),
    ]  # fmt: skip


def parts() -> list[tuple[int, int, Panel]]:
    """Whether Crossfade itself is well."""
    free = 'crossfade_disk_bytes{which="free"}'
    size = 'crossfade_disk_bytes{which="size"}'
    fresh = "and on (worker, instance, job) crossfade_figures_age_seconds < 10"
    return [
        (12, 7, states("Parts that work", [
            ("crossfade_part_ready", "{{instance}} {{part}}"),
            ("crossfade_ledger_intact", "ledger of {{rollout}}"),
        ], "As /readyz says.", YES)),
        (12, 7, states("Gateways: hear the controller, write facts", [
            (f"crossfade_lease_held {fresh}", "{{worker}} hears"),
            (f"crossfade_recorder_healthy {fresh}", "{{worker}} writes"),
        ], "No to either: champions serve.", YES)),
        (8, 7, lines("Faults", [("sum by (what, worker) (increase(crossfade_faults_total[5m]))", "{{what}} {{worker}}"),
            ("sum by (limit, worker) (increase(crossfade_refused_total[5m]))", "refused: {{limit}} {{worker}}"),
            ("crossfade_arms_left_out", "left out by {{worker}}")],
            "Crossfade's own, in five minutes; clients turned away; challengers that fail in a row.")),
        (8, 7, lines("Facts on their way", [("crossfade_journal_facts", "{{worker}}")], "In the journals.")),
        (8, 7, lines("Disk left", [(f"{free} / on (instance, job) {size}", "{{instance}}")],
            "Where it is full, exposure stops.", unit="percentunit")),
        (8, 7, lines("Connections", [("crossfade_client_connections", "{{worker}} clients"),
            ("crossfade_upstream_connections", "{{worker}} models")], "Open now.")),
        (8, 7, lines("Memory for bodies and copies", [("crossfade_body_bytes_held", "{{worker}} bodies"),
            ("crossfade_copy_bytes_kept", "{{worker}} copies")], "Bounded: copies are dropped.", unit="bytes")),
        (8, 7, panel("table", "Waits and drift", [
            (f"crossfade_approvals_missing{{{OF}}}", ""),
            (f'crossfade_drift{{{OF}, cause!="none"}}', ""),
            ("crossfade_notices_given_up > 0", ""),
        ], "Approvals that are missing, what drift is put down to, notices that were given up.",
            options={"showHeader": True, "cellHeight": "sm"},
            transformations=[{"id": "labelsToFields", "options": {}}, {"id": "merge", "options": {}}])),
    ]  # fmt: skip


def laid_out(sections: Sequence[tuple[str, list[tuple[int, int, Panel]]]]) -> list[Panel]:
    """Panels with their places, left to right and down."""
    placed: list[Panel] = []
    top = 0
    for title, members in sections:
        placed.append({"type": "row", "title": title, "collapsed": False, "panels": [], "id": len(placed) + 1,
            "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}})  # fmt: skip
        top, left, high = top + 1, 0, 0
        for width, height, member in members:
            if left + width > 24:
                top, left, high = top + high, 0, 0
            place = {"x": left, "y": top, "w": width, "h": height}
            placed.append({**member, "id": len(placed) + 1, "gridPos": place})
            left, high = left + width, max(high, height)
        top += high
    return placed


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    """A choice at the top."""
    return {
        "type": "query", "name": name, "label": label, "datasource": SOURCE, "definition": query,
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "options": [],
    }  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard as it should be."""
    moves = {
        "name": "Phases", "enable": True, "hide": False, "iconColor": "purple", "datasource": SOURCE,
        "expr": f"crossfade_phase{{{OF}}} == 1 unless crossfade_phase{{{OF}}} offset 1m == 1",
        "titleFormat": "{{rollout}}: {{phase}}", "step": "30s",
    }  # fmt: skip
    return {
        "uid": "crossfade",
        "title": "Crossfade",
        "description": "Rollouts of models: exposure, verdicts, intervals, traffic, and Crossfade itself.",
        "tags": ["crossfade", "mlops"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "10s",
        "schemaVersion": 39,
        "version": 1,
        "links": [],
        "annotations": {"list": [moves]},
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "refresh": 1,
             "multi": False, "includeAll": False, "options": [], "current": {}},
            variable("rollout", "Rollout", "label_values(crossfade_phase, rollout)"),
            variable("metric", "Metric", 'label_values(crossfade_verdict{rollout=~"$rollout"}, metric)'),
        ]},
        "panels": laid_out([
            ("Rollouts", rollouts()), ("Evidence", evidence()), ("Traffic", traffic()), ("Crossfade itself", parts()),
        ]),
    }  # fmt: skip


def page() -> str:
    """The file as it should be."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
