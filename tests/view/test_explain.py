"""The arithmetic of a line of evidence, written out."""

from __future__ import annotations

from crossfade.view.explain import explain

from .sample import ROLLOUT, evidence


def steps(metric: str) -> list[str]:
    return explain(ROLLOUT, next(line for line in evidence() if line.metric == metric))


def test_every_number_that_led_to_the_verdict_is_told() -> None:
    assert steps("errors") == [
        "● errors (guardrail): undecided",
        "v1: 1.2 % over 8,120 units, 97 with an event",
        "v2: 1.4 % over 412 units, 6 with an event",
        "difference v2 − v1: +0.19 pp (lower is better)",
        "97.5 % always-valid interval: [−0.41, ∞)",
        "within its limit if the difference is ≤ +0.50 pp",
        "evidence for “harm”: e = 1.9; needs 1/alpha = 40 (alpha 2.5 %): not reached",
        "evidence for “within the limit”: e = 6.4; needs 1/alpha = 40 (alpha 2.5 %): not reached",
    ]


def test_what_could_not_be_measured_says_why_and_shows_no_numbers() -> None:
    told = steps("revenue")
    assert told[:2] == ["? revenue (guardrail): unmeasured", "no unit's 24 h are over yet"]
    assert "8,532 units do not count yet: their 1 d window is open" in told
    assert not any("interval" in step or "difference" in step for step in told)


def test_a_goal_is_told_as_superiority_and_assumptions_are_named() -> None:
    assert "superior if the difference is > 0" in steps("purchase")
    assert "assumes: one request a unit and bucket" in steps("latency")
