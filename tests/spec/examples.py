"""Specs that the tests of this room start from, and how they change them."""

from __future__ import annotations

from crossfade.spec.parse import Problem, SpecProblems, parse

DESIGN = """\
name: ranker-v2
route: /v2/models/ranker/infer          # path prefix; several rollouts may run at once on different routes
protocol: open-inference                # open-inference | mlflow | predict-v1 | openai-chat | json
unit: header:x-user-id                  # header:N | cookie:N | json:$.path | request
segments: [header:x-country, json:$.platform]
champion:   {name: v1, url: http://127.0.0.1:8101}
challenger: {name: v2, url: http://127.0.0.1:8102}      # `challengers:` a list, for A/B/n and several shadows
alpha: 5%
ranking: {items: $.items, id: $.id}     # only where replies are ranked lists
metrics:
  errors:   {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
  latency:  {from: response, kind: quantile, q: 0.99, better: lower, guardrail: {margin: 20%}}
  purchase: {from: outcome, kind: rate, window: 24h, better: higher, goal: true}
  revenue:  {from: outcome, kind: mean, window: 24h, better: higher, guardrail: {margin: 2%}}
stages:
  - shadow:     {mirror: 100%, noise: 5%, until: {requests: 5000}, gates: {disagreement: {at_most: 5%}}}
  - canary:     {steps: [1%, 5%, 20%], budget: {purchase: 50}, hold_for: 10m}     # or `steps: auto`
  - interleave: {weight: 10%, method: team-draft, credit: click, until: {decided: true, at_most: 3d}}
  - ab:         {weight: 50%, until: {decided: true, at_most: 14d}}
  - promote:    {holdback: 2%, watch: 30d}
"""

SEVERAL = """\
name: three-way
route: /predict
protocol: json
unit: request
champion: {name: v1, url: http://127.0.0.1:1}
challengers:
  - {name: v2, url: http://127.0.0.1:2}
  - {name: v3, url: http://127.0.0.1:3}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 1pp}, goal: true}
stages:
  - shadow: {}
  - canary: {steps: [1%, 10%]}
  - ab: {weight: 30%}
"""


def changed(text: str, *changes: tuple[str, str]) -> str:
    """The text with each (old, new) carried out; each old must be there exactly once."""
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def problems(text: str) -> tuple[Problem, ...]:
    """Every problem of a spec; none where it is fine."""
    try:
        parse(text)
    except SpecProblems as error:
        return error.problems
    return ()


def line_of(text: str, part: str) -> int:
    """The line on which `part` stands first."""
    return text[: text.index(part)].count("\n") + 1
