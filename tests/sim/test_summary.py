"""The summary says who was harmed from counted facts, and leaves out what was not measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crossfade.facts import Exposed, Outcome
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.sim.delivered import Delivered, Stratum, delivered
from crossfade.sim.rival import Needed
from crossfade.sim.scenarios import SCENARIOS
from crossfade.sim.summary import ranking_result, sentences, summary
from crossfade.sim.training import Trained
from crossfade.state import Phase


def _exposed(number: int, arm: str, served_by: str, mode: str, stage: int, unit: str = "") -> Exposed:
    return Exposed(
        rollout="r",
        revision="1",
        decision_id=f"d{number}",
        at=100.0 + number,
        unit=unit or f"u{number}",
        arm=arm,
        served_by=served_by,
        mode=mode,
        stage=stage,
        step=0,
        weight=0.5,
        status=200,
        failed=arm != served_by,
        reason="",
        latency_ms=1.0,
        total_ms=1.0,
        size=1,
    )


def _outcome(number: int, value: float, again: str = "") -> Outcome:
    return Outcome(
        outcome_id=f"o{number}{again}",
        rollout="",
        decision_id=f"d{number}",
        unit="",
        name="wrong",
        value=value,
        item="",
        at=0.0,
        received_at=0.0,
    )


def test_answers_are_counted_by_who_served_and_joined_by_decision(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    journal = Journal(tmp_path, "w")
    journal.append(
        [
            _exposed(1, "a", "a", "shadow", 0),  # nobody was exposed yet
            _exposed(2, "a", "a", "canary", 1),
            _exposed(3, "b", "b", "canary", 1),
            _exposed(4, "b", "a", "canary", 1),  # the champion had to answer
            _exposed(5, "b", "b", "canary", 1, unit="u3"),
            _exposed(6, "a", "a", "canary", 1),
        ]
    )
    journal.close()
    inbox = OutcomeInbox(tmp_path)
    inbox.accept([_outcome(1, 1.0), _outcome(2, 0.0), _outcome(3, 1.0), _outcome(4, 1.0), _outcome(5, 0.0)])
    inbox.accept([_outcome(3, 1.0), _outcome(3, 1.0, again="x"), _outcome(99, 1.0)])
    inbox.close()
    found = delivered(tmp_path, "r")
    assert found.units == {"a": 3, "b": 1}
    assert (found.answers("a"), found.judged("a"), found.wrong("a")) == (3, 2, 1)
    assert (found.answers("b"), found.judged("b"), found.wrong("b")) == (2, 2, 1)
    assert found.excess("b", "a") == pytest.approx(1 - 2 * 1 / 2)


def test_excess_is_summed_over_steps_and_absent_without_a_baseline() -> None:
    def stratum(arm: str, step: int, judged: int, wrong: int) -> Stratum:
        return Stratum(arm=arm, stage=1, step=step, answers=judged, judged=judged, wrong=wrong)

    # In both steps the arms are equally bad; the steps are not. Pooling would find an excess.
    strata = [stratum("a", 0, 990, 99), stratum("b", 0, 10, 1), stratum("a", 1, 50, 25), stratum("b", 1, 50, 25)]
    assert Delivered(units={}, strata=strata).excess("b", "a") == pytest.approx(0.0)
    assert Delivered(units={}, strata=[stratum("b", 0, 10, 1)]).excess("b", "a") is None


def _record(phase: str) -> dict[str, Any]:
    return {
        "phase": phase,
        "sentence": "wrong is harmful.",
        "decisions": [],
        "harm": {
            "arm": "one-feature",
            "units": 32,
            "metrics": [{"metric": "wrong", "arithmetic": ["canary: 9 of 32; at the champion's rate 1.2"]}],
        },
        "arms": {"logistic": {"role": "champion"}, "one-feature": {"role": "challenger"}},
    }


def _tally() -> dict[str, Any]:
    return {"requests": 1000, "failed": 2, "failures": {"timeout": 2}, "reset_in_flight": 3}


def _said(
    trained: Trained,
    record: dict[str, Any] | None,
    counted: Delivered | None,
    expected: Phase = Phase.ROLLED_BACK,
    deaths: int = 0,
) -> dict[str, Any]:
    return summary(
        SCENARIOS["bad"],
        record,
        expected=expected,
        deaths=deaths,
        seconds=31.2,
        trained=trained,
        fault="none",
        tally=_tally(),
        counted=counted,
    )


def test_the_summary_names_units_wrong_answers_and_the_excess(trained: dict[str, Trained]) -> None:
    counted = Delivered(
        units={"logistic": 900, "one-feature": 38},
        strata=[
            Stratum(arm="logistic", stage=1, step=0, answers=1000, judged=1000, wrong=40),
            Stratum(arm="one-feature", stage=1, step=0, answers=50, judged=50, wrong=16),
        ],
    )
    said = _said(trained["bad"], _record("rolled_back"), counted)
    assert said["as_expected"]
    assert said["harmed"]["units"] == 38
    assert said["harmed"]["excess_wrong"] == pytest.approx(14.0)
    text = "\n".join(sentences(said))
    for part in ("as it should", "38 units 50 times", "16 of 50 judged", "14 more wrong", "2 failed requests of 1,000"):
        assert part in text
    assert "3 connections died" in text


def test_a_wrong_end_is_said_and_absence_is_not_zero(trained: dict[str, Trained]) -> None:
    said = _said(trained["bad"], _record("promoted"), None)
    assert not said["as_expected"]
    assert said["harmed"] is None
    assert "should have been rolled back" in sentences(said)[0]
    text = "\n".join(sentences(said))
    assert "served 32 units so far" in text
    assert "wrong, in units: canary: 9 of 32" in text
    said = _said(trained["bad"], None, None)
    assert not said["as_expected"]
    assert sentences(said)


def test_a_challenger_that_died_may_be_rolled_back_but_never_the_other_way_round(trained: dict[str, Trained]) -> None:
    data, rolled_back, promoted = trained["bad"], _record("rolled_back"), _record("promoted")
    assert not _said(data, rolled_back, None, Phase.PROMOTED)["as_expected"]
    died = _said(data, rolled_back, None, Phase.PROMOTED, deaths=2)
    assert died["as_expected"]
    assert "died 2 times" in "\n".join(sentences(died))
    assert not _said(data, promoted, None, Phase.ROLLED_BACK, deaths=2)["as_expected"]


def test_a_ranking_names_the_preferred_ranker_and_what_an_ab_test_would_have_needed(
    trained: dict[str, Trained],
) -> None:
    line = {
        "stage": "interleave",
        "role": "goal",
        "estimate": 0.4,
        "lower": 0.2,
        "upper": 0.6,
        "better": "higher",
        "verdict": "safe",
        "confidence": 0.975,
        "units": {"logistic": 410, "one-feature": 410},
    }
    ab = [Needed(metric="reciprocal rank", sessions=730, runs=9), Needed(metric="click rate", sessions=None, runs=9)]
    found = ranking_result(_record("promoted"), [line], Needed(metric="preference", sessions=332, runs=9), ab)
    assert found is not None
    assert (found["preferred"], found["sessions"]) == ("one-feature", 410)
    said = {**_said(trained["bad"], _record("promoted"), None), "ranking": found}
    text = "\n".join(sentences(said))
    assert "reciprocal rank would have needed 730 sessions" in text
    assert "click rate would have needed more than 100,000 sessions" in text
    other = ranking_result(_record("rolled_back"), [{**line, "estimate": -0.4}], None, [])
    assert other is not None
    assert other["preferred"] == "logistic"
    assert ranking_result(_record("rolled_back"), [{**line, "estimate": None}], None, []) is None
    assert ranking_result(_record("rolled_back"), [], None, []) is None
