"""What is no mistake and told all the same: what would never be proven, should it happen to nobody."""

from __future__ import annotations

import pytest

from crossfade.spec.advice import advice
from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse
from crossfade.spec.template import template

CRASHES = "crashes: {from: outcome, kind: count, window: 1h, better: lower, guardrail: {margin: 0.01}}"
SPEC = f"""
name: ranker-v2
route: /v2/models/ranker/infer
protocol: open-inference
unit: header:x-user-id
champion:   {{name: v1, url: http://127.0.0.1:8101}}
challenger: {{name: v2, url: http://127.0.0.1:8102}}
metrics:
  {CRASHES}
stages:
  - canary: {{steps: [5%]}}
  - promote: {{}}
"""


def spec(line: str) -> Rollout:
    return parse(SPEC.replace(CRASHES, line))


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (CRASHES, ["a cap", "report a 0"]),
        (CRASHES.replace("0.01", "10%"), ["a margin in the metric's own units", "a cap"]),
        (CRASHES.replace("better: lower", "better: lower, cap: 5").replace("0.01", "10%"), ["own units"]),
        (CRASHES.replace("from: outcome", "from: response").replace(" window: 1h,", ""), ["a cap"]),
        (CRASHES.replace("count", "mean"), ["a cap"]),
        (CRASHES.replace("count", "rate").replace("0.01", "10%"), ["a margin in percentage points"]),
    ],
)
def test_a_guardrail_that_nothing_would_prove_is_told_with_what_to_write(line, wanted):
    (told,) = advice(spec(line))
    assert told.startswith("metrics.crashes: should it happen to nobody")
    for words in wanted:
        assert words in told


@pytest.mark.parametrize(
    "line",
    [
        CRASHES.replace("better: lower", "better: lower, cap: 5"),
        CRASHES.replace("count", "rate"),
        CRASHES.replace("better: lower", "better: higher"),
        "latency: {from: response, kind: mean, better: lower, guardrail: {margin: 5%}}",
        "latency: {from: response, kind: quantile, q: 0.9, better: lower, guardrail: {margin: 5%}}",
    ],
)
def test_what_nothing_proves_or_what_is_never_nothing_is_left_alone(line):
    assert advice(spec(line)) == ()


def test_the_first_spec_that_anybody_gets_has_nothing_to_be_told():
    assert advice(parse(template())) == ()
