"""The alert rules: Prometheus takes them; each fires and keeps quiet, is about series that exist, leads somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
TOP = HERE.parents[1]
FILE = TOP / "deploy" / "prometheus" / "crossfade.rules.yml"
TESTS = HERE / "crossfade.rules.test.yml"
RULES: dict[str, Any] = yaml.safe_load(FILE.read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
SERIES = re.compile(r"\bcrossfade_\w+")


def known() -> set[str]:
    """Every series that the page of metrics has; another test compares that page with what is exposed."""
    page = (TOP / "docs" / "reference" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) ", page, re.MULTILINE)
    return {
        name + end for name, kind in rows for end in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
    }


def promtool(*arguments: str, where: Path) -> str:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip(
            "REAL TOOL MISSING: promtool is not installed; `make test-servers` installs it (Debian: prometheus)"
        )
    done = subprocess.run([tool, *arguments], cwd=where, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_them() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", str(FILE), where=TOP)


def test_each_fires_and_keeps_quiet(tmp_path: Path) -> None:
    cases = yaml.safe_load(TESTS.read_text())["tests"]
    tried = {(check["alertname"], bool(check["exp_alerts"])) for case in cases for check in case["alert_rule_test"]}
    assert tried == {(rule["alert"], fires) for rule in ALERTS for fires in (True, False)}
    # promtool compares annotations to the letter, and they are prose.
    for rule in (bare := yaml.safe_load(FILE.read_text()))["groups"]:
        for one in rule["rules"]:
            del one["annotations"]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(bare))
    shutil.copy(TESTS, tmp_path / "tests.yml")
    assert "SUCCESS" in promtool("test", "rules", "tests.yml", where=tmp_path)


def test_they_are_about_series_that_are_there() -> None:
    assert len(ALERTS) > 20
    for rule in ALERTS:
        asked = set(SERIES.findall(rule["expr"]))
        assert asked or rule["expr"].startswith("up{"), "Prometheus has one series of its own"
        assert asked <= known(), f"{rule['alert']}: {asked - known()}"


def test_each_leads_to_what_to_do() -> None:
    page = (TOP / "docs" / "operate" / "alerts.md").read_text()
    sections = re.findall(r"^## (Crossfade\w+)$", page, re.MULTILINE)
    assert sections == [rule["alert"] for rule in ALERTS]
    for rule in ALERTS:
        path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert ((TOP / path).exists(), anchor) == (True, rule["alert"].lower())
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
