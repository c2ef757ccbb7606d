"""Luck is not a strategy: twenty seeds of each scenario, judged together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .run_demo import RunningDemo

pytestmark = [pytest.mark.full, pytest.mark.timeout(20 * 180)]
SEEDS = range(20)
Demo = Callable[..., RunningDemo]


def ends(demo: Demo, scenario: str) -> list[dict[str, Any]]:
    """How the scenario ended under each seed."""
    return [demo("--scenario", scenario, "--seed", str(seed)).finish() for seed in SEEDS]


def phases(records: list[dict[str, Any]]) -> list[str]:
    """The phase each demo ended in."""
    return [record["rollouts"][0]["phase"] for record in records]


def test_a_better_model_is_never_rolled_back(demo: Demo) -> None:
    ended = phases(ends(demo, "good"))
    assert "rolled_back" not in ended
    assert ended.count("promoted") >= 19


def test_a_worse_model_is_never_promoted(demo: Demo) -> None:
    ended = phases(ends(demo, "bad"))
    assert "promoted" not in ended
    assert ended.count("rolled_back") >= 19


def test_interleaving_names_the_better_ranker(demo: Demo) -> None:
    said = [record["summary"]["scenarios"][0]["ranking"] for record in ends(demo, "ranking")]
    assert [result["preferred"] for result in said if result].count("pixels") >= 19
