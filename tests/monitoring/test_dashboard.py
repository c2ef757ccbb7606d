"""The dashboard: what Grafana's own models of its format make of it, and questions about series that exist."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from .test_rules import SERIES, TOP, known, promtool

FOLDER = TOP / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "crossfade.json").read_text())
SET = {'="$metric"': '=~".+"', "$rollout": ".+", "$metric": ".+", "$__rate_interval": "1m"}
"""What Grafana puts in place of variables."""

UNKNOWN_TO_MODELS = {"definition", "step", "titleFormat"}
"""What Grafana writes itself for Prometheus, and its models do not know."""


def questions() -> Iterator[str]:
    """Every expression, as Prometheus is asked it."""
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    for expr in [*asked, *(one["expr"] for one in DASHBOARD["annotations"]["list"])]:
        for name, value in SET.items():
            expr = expr.replace(name, value)
        yield expr


def test_the_file_is_what_the_program_writes() -> None:
    found = importlib.util.spec_from_file_location("make_dashboard", FOLDER / "make_dashboard.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    wanted = "run `python deploy/grafana/make_dashboard.py`"
    assert (FOLDER / "crossfade.json").read_text(encoding="utf-8") == module.page(), wanted


def test_its_questions_are_about_series_that_are_there() -> None:
    found = list(questions())
    assert len(found) > 30
    for expr in found:
        assert "$" not in expr, f"{expr}: a variable that nobody sets"
        asked = set(SERIES.findall(expr))
        assert asked, expr
        assert asked <= known(), f"{expr}: {asked - known()}"
    for one in DASHBOARD["templating"]["list"][1:]:
        series, label = re.fullmatch(r"label_values\((\w+).*, (\w+)\)", one["definition"]).groups()  # type: ignore[union-attr]
        assert (series in known(), label) == (True, one["name"])


def test_prometheus_can_read_every_question(tmp_path: Any) -> None:
    rules = [{"record": f"q:{n}", "expr": expr} for n, expr in enumerate(questions())]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "questions", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", "rules.yml", where=tmp_path)


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_grafanas_own_models_of_its_format_lose_nothing_of_it() -> None:
    models = pytest.importorskip(
        "grafana_foundation_sdk.models.dashboard",
        reason="GRAFANA'S MODELS MISSING: grafana-foundation-sdk is not installed; it is in the group dev",
    )
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()
    again = json.loads(json.dumps(models.Dashboard.from_json(DASHBOARD), cls=JSONEncoder))
    assert {name.rpartition(".")[2] for name in lost(DASHBOARD, again)} == UNKNOWN_TO_MODELS
    wrong = json.loads(json.dumps(DASHBOARD).replace('"rowHeight"', '"rowHight"'))
    there = json.loads(json.dumps(models.Dashboard.from_json(wrong), cls=JSONEncoder))
    assert any(name.endswith("rowHight") for name in lost(wrong, there)), "they would notice"


def lost(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """What is in the first and not, or otherwise, in the second."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after[key], f"{where}.{key}") if key in after else [f"{where}.{key}"]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for n, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{where}[{n}]")
    elif before != after:
        yield where
