"""Copies beside users' own requests, and metrics that need them: what may be written, and what is said otherwise."""

from __future__ import annotations

import pytest

from crossfade.spec.copies import Counterfactual, PerDay
from crossfade.spec.model import Ab, Canary, copies_of
from crossfade.spec.parse import SpecProblems, parse

SPEC = """
name: r
route: /p
protocol: json
unit: header:x
champion: {{name: v1, url: "{one}"}}
{challengers}
prediction: {{value: $.x}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}{errors}}}
  worth: {{from: outcome, kind: mean, window: 1h, better: higher, goal: true{worth}}}
stages:
  - canary: {{steps: [1%], hold_for: 1m{canary}}}
  - ab: {{weight: 50%{ab}}}
"""
ONE = 'challenger: {name: v2, url: "http://127.0.0.1:2"}'
BOTH = ", counterfactual: {share: 100%, of: both}"


def spec(**parts: str) -> str:
    given = dict.fromkeys(("errors", "worth", "canary", "ab"), "")
    return SPEC.format(**{"one": "http://127.0.0.1:1", "challengers": ONE, **given, **parts})


def problems(**parts: str) -> list[str]:
    with pytest.raises(SpecProblems) as caught:
        parse(spec(**parts))
    return [f"{one.path}: {one.message}" for one in caught.value.problems]


def test_a_share_is_short_for_a_mapping() -> None:
    canary, ab = parse(
        spec(
            canary=", counterfactual: 10%",
            ab=", counterfactual: {share: 0.2, of: both, at_once: 3, per_day: {requests: 7}}",
        )
    ).stages
    assert isinstance(canary, Canary)
    assert isinstance(ab, Ab)
    assert copies_of(canary) == Counterfactual(share=0.1)
    assert copies_of(ab) == Counterfactual(share=0.2, both=True, at_once=3, per_day=PerDay(requests=7))
    assert [copies_of(stage) for stage in parse(spec()).stages] == [None, None]


def test_a_metric_on_units_whose_answers_differ_needs_copies_in_both_directions_everywhere() -> None:
    only = ", only: differing"
    assert parse(spec(worth=only, canary=BOTH, ab=BOTH)).metric("worth").differing
    (said,) = problems(worth=only, canary=BOTH, ab=", counterfactual: 10%")
    assert said.startswith("stages[1].ab: 'worth' counts units from their first request at which the arms' answers")
    assert "add `counterfactual: {share: 100%, of: both}` to this stage" in said
    assert len(problems(worth=only)) == 2
    (said,) = problems(errors=only, canary=BOTH, ab=BOTH)
    assert said == "metrics.errors.only: 'only' belongs to from: outcome, and this is from: response; remove it"
    two = 'challengers: [{name: v2, url: "http://127.0.0.1:2"}, {name: v3, url: "http://127.0.0.1:3"}]'
    assert any(
        "'only' is for one challenger" in said for said in problems(worth=only, canary=BOTH, ab=BOTH, challengers=two)
    )
    (said,) = problems(worth=", only: diffring", canary=BOTH, ab=BOTH)
    assert "did you mean differing?" in said


def test_what_is_predicted_at_entry_needs_a_shadow_or_such_copies() -> None:
    covariate = ", covariate: shadow:champion"
    assert parse(spec(worth=covariate, ab=BOTH)).metric("worth").predicted == "champion"
    for ab in ("", ", counterfactual: 10%"):
        (said,) = problems(worth=covariate, ab=ab)
        assert "nothing is predicted without a shadow" in said


@pytest.mark.parametrize(
    ("ab", "said"),
    [
        ("often", "found 'often'; expected a share such as 5% or 0.05"),
        ("0%", "above 0%"),
        ("{share: 5%, of: champion}", "expected challenger or both"),
        ("{of: both}", "the key 'share' is missing"),
        ("{share: 5%, per_day: {}}", "'per_day' bounds nothing"),
        ("{share: 5%, per_day: {cost: 3}}", "a budget of cost needs to know where replies say what they cost"),
        ("[5%]", "a share of units such as 10%, or {share: 10%, of: both}"),
    ],
)
def test_mistakes_are_told_where_they_are(ab: str, said: str) -> None:
    (found,) = problems(ab=f", counterfactual: {ab}")
    assert found.startswith("stages[1].ab.counterfactual")
    assert said in found


def test_models_inside_a_program_get_no_copies() -> None:
    inside = {"one": "python:m:f", "challengers": 'challenger: {name: v2, url: "python:m:g"}'}
    (said,) = problems(ab=", counterfactual: 10%", **inside)
    assert said.startswith("stages[1].ab.counterfactual: 'counterfactual' copies requests at a gateway")
