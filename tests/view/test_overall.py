"""The one word that other tools go by: silence, staleness and rollback never let anybody go on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.judge.evidence import Verdict
from crossfade.state import Phase
from crossfade.view.overall import Answer, begun, by_metric, overall

NOW = 1000.0


def line(metric: str, verdict: str, segment: str | None = None) -> dict[str, Any]:
    return {"metric": metric, "verdict": verdict, "segment": segment, "reason": "too few units"}


def record(*verdicts: str, **also: Any) -> dict[str, Any]:
    lines = [line(f"m{n}", verdict) for n, verdict in enumerate(verdicts)]
    plain = {"phase": "running", "at": NOW, "evidence": lines, "tone": "accent", "sentence": "Said.", "muted": {}}
    return {**plain, "exposure": {"planned": 0.05}, **also}


def word(found: dict[str, Any], **options: Any) -> tuple[str, str]:
    said = overall(found, now=NOW, patience=60.0, **options)
    assert said.reason
    return str(said.answer), str(said.verdict)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["safe", "safe"], ("go", "safe")),
        (["safe", "undecided"], ("wait", "undecided")),
        (["safe", "unmeasured"], ("unknown", "unmeasured")),
        (["harmful", "unmeasured"], ("stop", "harmful")),
        ([], ("unknown", "unmeasured")),
    ],
)
def test_the_worst_line_speaks(verdicts: list[str], expected: tuple[str, str]) -> None:
    assert word(record(*verdicts)) == expected


def test_of_several_challengers_the_worst_verdict_stands_for_a_metric() -> None:
    found = record("safe", evidence=[line("m", "harmful"), line("m", "safe"), line("n", "undecided"), line("n", "safe"),
                                     line("n", "harmful", "header:x=1")])  # fmt: skip
    assert by_metric(found) == {"m": "harmful", "n": "undecided"}


@pytest.mark.parametrize(
    ("phase", "tone", "expected"),
    [
        ("pending", "grey", ("unknown", "unmeasured")),
        ("rolled_back", "red", ("stop", "harmful")),
        ("rolled_back", "grey", ("stop", "undecided")),
        ("promoted", "accent", ("go", "safe")),
        ("finished", "green", ("go", "safe")),
        ("held", "amber", ("wait", "safe")),
    ],
)
def test_the_phase_comes_before_the_lines(phase: str, tone: str, expected: tuple[str, str]) -> None:
    assert word(record("safe", phase=phase, tone=tone)) == expected


def test_what_nobody_looked_at_lately_is_unmeasured() -> None:
    assert word(record("safe", at=NOW - 61.0)) == ("unknown", "unmeasured")
    assert begun(record("safe", at=NOW - 61.0), now=NOW, patience=60.0).answer is Answer.UNKNOWN
    assert begun(record("unmeasured"), now=NOW, patience=60.0).answer is Answer.GO


def test_metrics_may_be_chosen_and_segments_do_not_count() -> None:
    found = record("safe", "undecided")
    assert word(found, metrics=["m0"]) == ("go", "safe")
    assert word(found, metrics=["m0", "other"]) == ("unknown", "unmeasured")
    found["evidence"] = [line("m0", "safe"), line("m0", "harmful", "header:x=y")]
    assert word(found) == ("go", "safe")


def test_a_weight_asks_how_far_the_plan_has_come() -> None:
    found = record("undecided")
    assert word(found, weight=0.05) == ("go", "undecided")
    assert word(found, weight=0.2) == ("wait", "undecided")
    assert word(record("unmeasured"), weight=0.05) == ("unknown", "unmeasured")


@given(
    verdicts=st.lists(st.sampled_from([str(one) for one in Verdict]), max_size=4),
    phase=st.sampled_from([str(one) for one in Phase]),
    age=st.sampled_from([0.0, 59.0, 61.0, 1e6]),
    weight=st.sampled_from([None, 0.0, 0.05, 1.0]),
    planned=st.sampled_from([None, 0.0, 0.05, 1.0]),
)
def test_nothing_but_measurement_or_an_end_lets_anybody_go_on(
    verdicts: list[str], phase: str, age: float, weight: float | None, planned: float | None
) -> None:
    found = record(*verdicts, phase=phase, at=NOW - age, exposure={"planned": planned})
    said = overall(found, now=NOW, patience=60.0, weight=weight)
    if said.answer is Answer.GO and phase not in ("promoted", "finished"):
        assert phase == "running"
        assert age < 60.0
        assert verdicts
        assert not {"harmful", "unmeasured"} & set(verdicts)
        assert weight is not None or set(verdicts) == {"safe"}
    if phase == "rolled_back":
        assert said.answer is Answer.STOP
    if "harmful" in verdicts and phase in ("running", "held") and age < 60.0:
        assert said.answer is Answer.STOP
