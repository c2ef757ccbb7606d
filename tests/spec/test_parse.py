"""What a good spec means, and that every mistake is told once, with its line, its path and what is allowed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from crossfade.spec.model import (
    Ab,
    Arm,
    Better,
    Canary,
    Credit,
    Field,
    From,
    Interleave,
    Kind,
    Margin,
    Metric,
    Probe,
    Promote,
    Protocol,
    Ranking,
    Shadow,
    Source,
    Until,
)
from crossfade.spec.parse import SpecProblems, parse
from spec.examples import DESIGN, SEVERAL, changed, line_of, problems

DAY = 86400.0


def test_a_ratio_names_its_denominator_and_a_mean_its_covariate() -> None:
    rollout = parse(changed(DESIGN, ("kind: mean", "kind: ratio, per: visit")))
    assert (rollout.metric("revenue").kind, rollout.metric("revenue").per) == (Kind.RATIO, "visit")
    rollout = parse(changed(DESIGN, ("kind: mean", "kind: mean, covariate: revenue")))
    assert rollout.metric("revenue").covariate == "revenue"
    told = changed(DESIGN, ("kind: mean", "kind: mean, covariate: shadow:champion"))
    rollout = parse(told + "\nprediction: {value: $.value}\n")
    assert (rollout.metric("revenue").covariate, rollout.metric("revenue").predicted) == (None, "champion")
    assert parse(changed(DESIGN, ("kind: mean", "kind: quantile, q: 0.5"))).metric("revenue").q == 0.5
    assert parse(changed(DESIGN, ("q: 0.99", "q: 0.99, blocks: 30m"))).metric("latency").blocks == 1800.0
    assert parse(changed(DESIGN, ("kind: mean,", "kind: mean, cap: 500,"))).metric("revenue").cap == 500.0


def test_pinned_items_are_named_by_a_path() -> None:
    rollout = parse(changed(DESIGN, ("id: $.id}", "id: $.id, pinned: $.ad}")))
    assert rollout.ranking == Ranking(items="$.items", id="$.id", pinned="$.ad")


def test_the_example_of_the_design_means_what_it_says() -> None:
    rollout = parse(DESIGN)
    assert rollout.name == rollout.salt == "ranker-v2"
    assert rollout.route == "/v2/models/ranker/infer"
    assert rollout.protocol is Protocol.OPEN_INFERENCE
    assert rollout.unit == Field(source=From.HEADER, name="x-user-id")
    assert rollout.segments == (
        Field(source=From.HEADER, name="x-country"),
        Field(source=From.JSON, name="$.platform"),
    )
    assert rollout.champion == Arm(name="v1", url="http://127.0.0.1:8101")
    assert rollout.challengers == (Arm(name="v2", url="http://127.0.0.1:8102"),)
    assert rollout.ranking == Ranking(items="$.items", id="$.id")
    assert (rollout.alpha, rollout.reveal, rollout.lease, rollout.deadline) == (0.05, False, 10.0, 30.0)
    assert rollout.metrics == (
        Metric(
            name="errors",
            source=Source.RESPONSE,
            kind=Kind.RATE,
            better=Better.LOWER,
            guardrail=Margin(value=0.005, relative=False),
        ),
        Metric(
            name="latency",
            source=Source.RESPONSE,
            kind=Kind.QUANTILE,
            q=0.99,
            better=Better.LOWER,
            guardrail=Margin(value=0.2, relative=True),
        ),
        Metric(
            name="purchase",
            source=Source.OUTCOME,
            kind=Kind.RATE,
            window=DAY,
            outcome="purchase",
            better=Better.HIGHER,
            goal=True,
        ),
        Metric(
            name="revenue",
            source=Source.OUTCOME,
            kind=Kind.MEAN,
            window=DAY,
            outcome="revenue",
            better=Better.HIGHER,
            guardrail=Margin(value=0.02, relative=True),
        ),
    )
    assert rollout.stages == (
        Shadow(mirror=1.0, noise=0.05, gates=(("disagreement", 0.05),), until=Until(requests=5000)),
        Canary(steps=(0.01, 0.05, 0.2), hold_for=600.0, budget=(("purchase", 50.0),)),
        Interleave(
            weight=0.1,
            method="team-draft",
            credit=(Credit(outcome="click"),),
            until=Until(decided=True, at_most=3 * DAY),
        ),
        Ab(weight=0.5, until=Until(decided=True, at_most=14 * DAY)),
        Promote(holdback=0.02, watch=30 * DAY),
    )


def test_what_is_not_written_has_the_defaults_of_the_model() -> None:
    rollout = parse(SEVERAL)
    assert [arm.name for arm in rollout.challengers] == ["v2", "v3"]
    assert rollout.unit == Field(source=From.REQUEST)
    assert rollout.stages == (Shadow(), Canary(steps=(0.01, 0.1)), Ab(weight=0.3))
    assert rollout.alpha == 0.05


def test_every_key_that_is_accepted_reaches_the_rollout() -> None:
    text = changed(
        DESIGN,
        ("unit: header:x-user-id", "unit: cookie:SID"),
        ("{name: v1, url: http://127.0.0.1:8101}", "{name: v1, url: https://a/b, model: m-1, timeout: 500ms}"),
        ("url: http://127.0.0.1:8102}", "url: http://b, probe: {path: /ready, every: 2s, body: '[1]'}}"),
        ("alpha: 5%", "alpha: 0.01\nsalt: pepper\nreveal: true\nlease: 3s\ndeadline: 1m"),
        ("window: 24h, better: higher, goal: true", "window: 1w, outcome: sale, better: higher, goal: true"),
        ("hold_for: 10m", "hold_for: 90s, until: {at_most: 8d}"),
    )
    rollout = parse(text)
    assert rollout.unit == Field(source=From.COOKIE, name="SID")
    assert rollout.champion == Arm(name="v1", url="https://a/b", model="m-1", timeout=0.5)
    assert rollout.challenger.probe == Probe(path="/ready", every=2.0, body="[1]")
    assert (rollout.alpha, rollout.salt, rollout.reveal) == (0.01, "pepper", True)
    assert (rollout.lease, rollout.deadline) == (3.0, 60.0)
    assert rollout.metric("purchase").outcome == "sale"
    assert rollout.metric("purchase").window == 7 * DAY
    canary = rollout.stages[1]
    assert isinstance(canary, Canary)
    assert (canary.hold_for, canary.until) == (90.0, Until(at_most=8 * DAY))


def test_percentages_are_rounded_once() -> None:
    canary = parse(changed(DESIGN, ("[1%, 5%, 20%]", "[0.7%, 7%, 0.29]"))).stages[1]
    assert isinstance(canary, Canary)
    assert canary.steps == (0.007, 0.07, 0.29)


SEVEN = """\
name: ranker v2
rout: /v2/models/ranker/infer
protocol: open-inference
unit: heder:x-user-id
champion: {name: v1, url: http://127.0.0.1:8101}
challenger: {name: v2, url: http://127.0.0.1:8102}
alpha: 90%
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
  purchase: {from: outcome, kind: rate, better: higher, goal: true}
stages:
  - canary:
      steps: [1 percent, 5%]
      hold_for: 10 minutes
  - ab: {weight: 50%}
"""


def test_seven_mistakes_give_seven_messages_each_with_its_line() -> None:
    found = [(problem.line, problem.path, problem.nearest) for problem in problems(SEVEN)]
    assert found == [
        (1, "name", None),
        (2, "rout", "route"),
        (4, "unit", "header:x-user-id"),
        (7, "alpha", None),
        (10, "metrics.purchase.window", None),
        (13, "stages[0].canary.steps[0]", "1%"),
        (14, "stages[0].canary.hold_for", "10m"),
    ]


def test_a_problem_says_what_was_found_and_what_is_allowed() -> None:
    (problem,) = problems(changed(DESIGN, ("[1%, 5%, 20%]", "[1 percent, 5%, 20%]")))
    assert problem.message == "found '1 percent'; expected a share such as 5% or 0.05; did you mean 1%?"
    assert problem.found == "'1 percent'"
    assert problem.allowed == "a share such as 5% or 0.05"
    assert (problem.line, problem.column) == (17, 26)
    assert str(problem) == f"line 17: stages[1].canary.steps[0]: {problem.message}"


# (what is written instead, where the problem is, what its message says, the nearest allowed value)
Mistake = tuple[tuple[tuple[str, str], ...], str, str, str | None]


def one(old: str, new: str, path: str, says: str, near: str | None = None) -> Mistake:
    return ((old, new),), path, says, near


SHADOW = "shadow:     {mirror: 100%, noise: 5%, until: {requests: 5000}, gates: {disagreement: {at_most: 5%}}}"
AB = "  - ab:         {weight: 50%, until: {decided: true, at_most: 14d}}\n"
ERRORS = "errors:   {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}"

MISTAKES: list[Mistake] = [
    # words
    one("name: ranker-v2", "name: 7", "name", 'did you mean "7"?', '"7"'),
    one("name: ranker-v2", "name: true", "name", 'did you mean "true"?', '"true"'),
    one("name: ranker-v2", "name: -x", "name", "expected a name"),
    one("name: ranker-v2", "name:", "name", "found nothing; expected a name"),
    one("name: ranker-v2", "name: [a]", "name", "found a list of 1"),
    one("route: /v2/", "route: v2/", "route", "begins with '/'"),
    one("route: /v2/models", "route: /v2/models?x=1&y", "route", "without '?'"),
    one("protocol: open-inference ", "protocol: open-infernce ", "protocol", "did you mean", "open-inference"),
    one("protocol: open-inference ", "protocol: openai-cat ", "protocol", "did you mean", "openai-chat"),
    one(
        "protocol: open-inference ",
        "protocol: grpc ",
        "protocol",
        "open-inference, json, mlflow, predict-v1 or openai-chat",
    ),
    one("unit: header:x-user-id", "unit: x-user-id", "unit", "header:NAME, cookie:NAME, json:$.path or request"),
    one("unit: header:x-user-id", "unit: json:user.id", "unit", "did you mean", "json:$.user.id"),
    one("unit: header:x-user-id", "unit: json:$", "unit", "expected header:NAME"),
    one("unit: header:x-user-id", "unit: {header: x-user-id}", "unit", "no space after the colon", "header:x-user-id"),
    one("url: http://127.0.0.1:8101", "url: ftp://a", "champion.url", "expected an http:// or https:// URL"),
    one("url: http://127.0.0.1:8101", "url: localhost:81", "champion.url", "did you mean", "http://localhost:81"),
    one("url: http://127.0.0.1:8101", "url: http://me:pw@a", "champion.url", "no credentials"),
    one("url: http://127.0.0.1:8101", "url: http://a:99999", "champion.url", "port cannot be read"),
    one("alpha: 5%", "alpha: 0", "alpha", "above 0% and up to 50%"),
    one("alpha: 5%", "alpha: 60%", "alpha", "above 0% and up to 50%"),
    one("alpha: 5%", "alpha: 5", "alpha", "did you mean 5%?", "5%"),
    one("alpha: 5%", "alpha: .nan", "alpha", "expected a share"),
    one("alpha: 5%", "alpha: '0.05'", "alpha", "leave the quotes out"),
    one("alpha: 5%", "reveal: yes", "reveal", "expected true or false", "true"),
    one("alpha: 5%", "lease: 10", "lease", "a plain number does not say its unit", "10s"),
    one("alpha: 5%", "lease: 0s", "lease", "longer than nothing"),
    one("alpha: 5%", "deadline: 99999d", "deadline", "at most ten years"),
    one("items: $.items", "items: items", "ranking.items", "expected a JSON path"),
    one("kind: mean", "kind: ratio", "metrics.revenue.per", "a ratio needs 'per'"),
    one("kind: mean", "kind: sum", "metrics.revenue.kind", "rate, mean, count, ratio, quantile, accuracy"),
    one("kind: mean", "kind: mean, per: visit", "metrics.revenue.per", "'per' belongs to kind: ratio"),
    (
        (("response, kind: rate", "response, kind: ratio"), ("margin: 0.5pp", "margin: 1%")),
        "metrics.errors.kind",
        "found 'ratio' of responses",
        None,
    ),
    one("response, kind: rate", "response, kind: rate, covariate: x", "metrics.errors.covariate", "means and counts"),
    one("kind: mean", "kind: men", "metrics.revenue.kind", "did you mean mean?", "mean"),
    one("margin: 0.5pp", "margin: 0.5 pp", "metrics.errors.guardrail.margin", "did you mean", "0.5pp"),
    one("margin: 0.5pp", "margin: -1", "metrics.errors.guardrail.margin", "expected a margin"),
    one("margin: 20%", "margin: 20ms", "metrics.latency.guardrail.margin", "milliseconds already", "20"),
    one("q: 0.99", "q: p99", "metrics.latency.q", "did you mean 0.99?", "0.99"),
    one("q: 0.99", "q: 1", "metrics.latency.q", "between 0 and 1", "0.01"),
    one("goal: true", "goal: maybe", "metrics.purchase.goal", "expected true or false"),
    one("purchase: 50}", "purchase: 50%}", "stages[1].canary.budget.purchase", "not a share of anything"),
    one("requests: 5000", "requests: 5k", "stages[0].shadow.until.requests", "whole number above 0"),
    one("requests: 5000", "requests: 5_000", "stages[0].shadow.until.requests", "did you mean 5000?", "5000"),
    one("requests: 5000", "requests: 5.5", "stages[0].shadow.until.requests", "whole number above 0"),
    one(
        "method: team-draft",
        "method: pairwise-preference",
        "stages[2].interleave.method",
        "not supported in this version",
    ),
    one("steps: [1%, 5%, 20%], budget: {purchase: 50}", "steps: auto", "stages[1].canary.steps", "sized by the harm"),
    one(
        "steps: [1%, 5%, 20%], budget: {purchase: 50}",
        "steps: auto, budget: {revenue: 50}",
        "stages[1].canary.budget.revenue",
        "needs budgets on rates",
    ),
    one(
        "steps: [1%, 5%, 20%], budget: {purchase: 50}",
        "steps: risk-of-ruin, budget: {purchase: 50}",
        "stages[1].canary.steps",
        "prior: {mean: 0pp, sd: 2pp}",
    ),
    one(
        "steps: [1%, 5%, 20%], budget: {purchase: 50}",
        "steps: risk-of-ruin, budget: {purchase: 50, errors: 5}, prior: {sd: 2pp}",
        "stages[1].canary.budget",
        "one prior speaks of one metric",
    ),
    one(
        "steps: [1%, 5%, 20%], budget",
        "steps: [1%, 5%, 20%], prior: {sd: 2pp}, budget",
        "stages[1].canary.prior",
        "belongs to 'steps: risk-of-ruin'",
    ),
    one(
        "steps: [1%, 5%, 20%], budget",
        "steps: risk-of-ruin, prior: {sd: 2%}, budget",
        "stages[1].canary.prior.sd",
        "did you mean 2pp?",
        "2pp",
    ),
    one("steps: [1%, 5%, 20%]", "steps: []", "stages[1].canary.steps", "expected a list of percentages"),
    one("steps: [1%, 5%, 20%]", "steps: 5%", "stages[1].canary.steps", "expected a list of percentages"),
    one("credit: click", "credit: 'a click'", "stages[2].interleave.credit", "the name of an outcome is"),
    one("credit: click", "credit: {click: 0}", "stages[2].interleave.credit", "weights are from 0.001 to 1000"),
    one("credit: click", "credit: {dwell: 2 * time}", "stages[2].interleave.credit", "dwell: 0.1 * value"),
    # keys
    one("alpha: 5%", "alpah: 5%", "alpah", "did you mean alpha?", "alpha"),
    one("hold_for: 10m", "hold-for: 10m", "stages[1].canary.hold-for", "did you mean hold_for?", "hold_for"),
    one(
        "gates: {disagreement:", "gates: {disagrement:", "stages[0].shadow.gates.disagrement", "did you", "disagreement"
    ),
    one("requests: 5000", "decided: true", "stages[0].shadow.until.decided", "allowed: requests, at_most"),
    one(
        "window: 24h, better: higher, goal",
        "windw: 24h, better: higher, goal",
        "metrics.purchase.windw",
        "did",
        "window",
    ),
    one("steps: [1%, 5%, 20%]", "setps: [1%]", "stages[1].canary.setps", "did you mean steps?", "steps"),
    one("challenger: {", "chalenger: {", "chalenger", "did you mean challenger?", "challenger"),
    one("- ab: ", "- abtest: ", "stages[3].abtest", "allowed: shadow, canary, interleave, ab, promote"),
    one("- ab:         {weight: 50%, until: {decided: true, at_most: 14d}}", "- ab", "stages[3]", "expected a stage"),
    one("unit: header:x-user-id ", "", "unit", "the key 'unit' is missing: who is randomised"),
    one("challenger: {name: v2, url: http://127.0.0.1:8102}", "", "challenger", "the key 'challenger' is missing"),
    one("kind: mean, ", "", "metrics.revenue.kind", "the key 'kind' is missing"),
    one("{margin: 2%}", "{}", "metrics.revenue.guardrail.margin", "the key 'margin' is missing"),
    one(
        "guardrail: {margin: 2%}",
        "guardrail: 2%",
        "metrics.revenue.guardrail",
        "a guardrail such as {margin:",
    ),
    one("alpha: 5%", "name: again", "name", "written twice; the first is on line 1"),
    one("alpha: 5%", "<<: {alpha: 5%}", "<<", "merge keys"),
    one("alpha: 5%", "alpha: !pct 5", "alpha", "the tag '!pct' is not used"),
    # between values
    one(
        "url: http://127.0.0.1:8102}", "url: http://a}\nchallengers: [{name: v, url: http://b}]", "challengers", "both"
    ),
    one("name: v2,", "name: v1,", "challenger.name", "taken on line 6"),
    one("url: http://127.0.0.1:8102}", "url: http://a, timeout: 31s}", "challenger.timeout", "longer than the 30s"),
    one("url: http://127.0.0.1:8101}", "url: http://a, probe: {path: /r}}", "champion.probe", "never left out"),
    one("url: http://127.0.0.1:8102}", "url: http://a, probe: {path: r}}", "challenger.probe.path", "a path prefix"),
    one("url: http://127.0.0.1:8102}", "url: 'python:'}", "challenger.url", "some in process"),
    one("json:$.platform]", "request]", "segments[1]", "a segment of its own"),
    one("$.platform]", "$.platform]\nexplore: [request]", "explore[0]", "a group of its own"),
    one("$.platform]", "$.platform]\nexplore: [json:$.age, header:x-user-id]", "explore[1]", "which is the unit"),
    one("$.platform]", "$.platform]\nexplore: [header:x-country]", "explore[0]", "among the segments"),
    one("$.platform]", "$.platform]\nexplore: [json:$.a, json:$.a]", "explore[1]", "there already"),
    one("$.platform]", "$.platform]\nexplore: [age]", "explore[0]", "expected"),
    one(
        "$.platform]",
        f"$.platform]\nexplore: [{', '.join(f'json:$.f{n}' for n in range(17))}]",
        "explore",
        "expected at most 16 fields",
    ),
    one("$.platform]", "$.platform]\nexplore: [json:$.age]\nredact: [$.age]", "redact[0]", "is recorded with every"),
    one("ranking: {items: $.items, id: $.id}", "", "stages[2].interleave", "add the key 'ranking'"),
    one("{items: $.items,", "{items: '$.outputs[0].data',", "ranking.id", "the ids themselves", "$"),
    one("id: $.id}", "id: $.id, pinned: ad}", "ranking.pinned", "expected a JSON path"),
    one("$.items, id: $.id}", "'$.outputs[0].data', pinned: $.ad}", "ranking.pinned", "holds ids alone"),
    one("errors:   {", "'my errors': {", "metrics.my errors", "expected a name"),
    one("q: 0.99, ", "", "metrics.latency.q", "a quantile needs 'q'"),
    one("kind: mean,", "kind: mean, q: 0.5,", "metrics.revenue.q", "belongs to kind: quantile"),
    one(
        "kind: mean,",
        "kind: mean, blocks: 30m,",
        "metrics.revenue.blocks",
        "belongs to kind: quantile of from: response",
    ),
    one(
        "errors:   {from: response, kind: rate,",
        "errors:   {from: response, kind: rate, cap: 5,",
        "metrics.errors.cap",
        "belongs to means and counts of outcomes",
    ),
    one(
        "kind: mean, window: 24h, better: higher, guardrail: {margin: 2%}",
        "kind: mean, window: 24h, better: higher, cap: 5, guardrail: {margin: 5}",
        "metrics.revenue.cap",
        "no unit counts for more",
    ),
    one("kind: mean,", "kind: mean, cap: 0,", "metrics.revenue.cap", "expected a number above 0"),
    one("kind: rate, window: 24h,", "kind: rate,", "metrics.purchase.window", "an outcome needs 'window'"),
    one("kind: rate, better: lower", "kind: rate, window: 1h, better: lower", "metrics.errors.window", "from: outcome"),
    one(
        "kind: rate, better: lower",
        "kind: rate, arrives_within: 1h, better: lower",
        "metrics.errors.arrives_within",
        "from: outcome",
    ),
    one(
        "kind: rate, better: lower", "kind: rate, outcome: x, better: lower", "metrics.errors.outcome", "from: outcome"
    ),
    one("margin: 2%", "margin: 2pp", "metrics.revenue.guardrail.margin", "percentage points are for rates"),
    one("margin: 0.5pp", "margin: 5", "metrics.errors.guardrail.margin", "did you mean 5pp?", "5pp"),
    one("margin: 2%", "margin: 100%", "metrics.revenue.guardrail.margin", "nothing could be worse by that margin"),
    one(", guardrail: {margin: 2%}", "", "metrics.revenue", "neither the goal nor a guardrail"),
    one(", goal: true}", ", guardrail: {margin: 1pp}}", "stages[3].ab", "no metric is the goal"),
    one("budget: {purchase", "budget: {purchases", "stages[1].canary.budget.purchases", "did you mean", "purchase"),
    one("budget: {purchase", "budget: {latency", "stages[1].canary.budget.latency", "has no count to budget"),
    one("[1%, 5%, 20%]", "[5%, 1%, 20%]", "stages[1].canary.steps[1]", "found 1% after 5%"),
    one("[1%, 5%, 20%]", "[5%, 5%, 20%]", "stages[1].canary.steps[1]", "expected more than 5%"),
    one("[1%, 5%, 20%]", "[1%, 5%, 100%]", "stages[1].canary.steps[2]", "above 0% and below 100%"),
    one("ab:         {weight: 50%", "ab:         {weight: 10%", "stages[3].ab.weight", "after 20% in the canary stage"),
    one("holdback: 2%", "holdback: 60%", "stages[4].promote.holdback", "less than 50% in the ab stage"),
    one("holdback: 2%, ", "", "stages[4].promote.watch", "nothing to watch against"),
    one(", watch: 30d", "", "stages[4].promote.holdback", "needs 'watch'"),
    one("decided: true, at_most: 3d", "decided: false, at_most: 3d", "stages[2].interleave.until.decided", "an end"),
    one("at_most: 14d", "at_most: 12h", "stages[3].ab.until.at_most", "before the first window of 'revenue'"),
    one("hold_for: 10m", "hold_for: 7d", "stages[1].canary.hold_for", "3 steps of 7d take 21d"),
    one("  - shadow:", f"  - promote: {{}}\n  - {SHADOW}\n  - shadow:", "stages[0].promote", "must be the last stage"),
    one(AB, f"{AB}  - {SHADOW}\n", "stages[4].shadow", "shadow must come before canary"),
    (
        (
            ("url: http://127.0.0.1:8101", "url: python:a"),
            ("url: http://127.0.0.1:8102", "url: python:b"),
            ("alpha: 5%", "alpha: 5%\ndrift: {}"),
        ),
        "drift",
        "models inside a program get none",
        None,
    ),
    one("alpha: 5%", "alpha: 5%\ndrift: {reference: 5s}", "drift.reference", "10s to 28d"),
    one("alpha: 5%", "alpha: 5%\nredact: [$.a]\ndrift: {features: [$.a.b]}", "drift.features[0]", "is redacted"),
    one("  - promote:", "    promote:", "stages[3]", "found ab and promote in one entry"),
    one("stages:", "stages:\n  - {}", "stages[0]", "expected a stage"),
]


@pytest.mark.parametrize(("changes", "path", "says", "near"), MISTAKES, ids=lambda value: str(value)[:60])
def test_one_mistake_gives_one_message_and_no_bogus_ones(
    changes: tuple[tuple[str, str], ...], path: str, says: str, near: str | None
) -> None:
    text = changed(DESIGN, *changes)
    found = problems(text)
    assert len(found) == 1, "\n".join(map(str, found))
    assert (found[0].path, found[0].nearest) == (path, near)
    assert says in found[0].message
    # The mistake is on the line of the change; what became visible elsewhere is named by its path alone.
    old, new = changes[0]
    if new and path.rpartition(".")[2].split("[")[0] in new:
        first = line_of(DESIGN, old)
        assert first <= found[0].line <= first + new.count("\n")


def test_the_line_is_where_the_mistake_is_written() -> None:
    text = changed(
        DESIGN,
        (
            "  " + ERRORS,
            "  errors:\n    from: response\n    kind: rat\n    better: lower\n    guardrail: {margin: 1pp}",
        ),
        ("  - canary:     {steps: [1%, 5%, 20%],", "  - canary:\n      steps:\n      - 1%\n      - 5\n    #"),
        ("purchase: {from: outcome, kind: rate, window: 24h, better: higher,", "purchase:\n    from: outcome\n    #"),
    )
    found = {problem.path: text.splitlines()[problem.line - 1].strip() for problem in problems(text)}
    assert found == {
        "metrics.errors.kind": "kind: rat",
        "stages[1].canary.steps[1]": "- 5",
        "metrics.purchase.kind": "purchase:",
        "metrics.purchase.better": "purchase:",
        "metrics.purchase.window": "purchase:",
        "metrics.purchase": "purchase:",
        "stages[3].ab": "- ab:         {weight: 50%, until: {decided: true, at_most: 14d}}",
    }


def test_what_a_stage_needs_and_was_not_indented_is_one_kind_of_mistake() -> None:
    text = changed(DESIGN, ("  - canary:     {steps: [1%, 5%, 20%],", "  - canary:\n    steps: [1%, 5%]\n    # "))
    (problem,) = problems(text)
    assert (problem.line, problem.path) == (line_of(text, "steps: [1%, 5%]"), "stages[1].steps")
    assert problem.message == "'steps' belongs inside 'canary': indent it further than 'canary'"


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        (("weight: 30%", "weight: 60%"), "stages[2].ab.weight", "2 challengers of 60% each are 120% of all units"),
        (("weight: 30%", "weight: 50%"), "stages[2].ab.weight", "leave the champion no units"),
        (("{weight: 30%}", "{}"), "stages[2].ab", "leave the champion no units"),
        (("10%]", "51%]"), "stages[1].canary.steps[1]", "are 102% of all units"),
        (("- ab: {weight: 30%}", "- promote: {}"), "stages[2].promote", "several challengers is not supported"),
        (("name: v3", "name: v2"), "challengers[1].name", "taken on line 7"),
        (("- {name: v3, url: http://127.0.0.1:3}", "- {name: v3}"), "challengers[1].url", "'url' is missing"),
        ((", guardrail: {margin: 1pp}", ""), "stages[1].canary", "a canary needs a guardrail"),
    ],
)
def test_several_challengers_keep_the_rules(change: tuple[str, str], path: str, says: str) -> None:
    found = [problem for problem in problems(changed(SEVERAL, change)) if problem.path == path]
    assert len(found) == 1
    assert says in found[0].message


def test_promotion_straight_after_a_shadow_needs_metrics_that_a_shadow_can_measure() -> None:
    text = "\n".join(line for line in DESIGN.splitlines() if not line.startswith(("  - canary", "  - inter", "  - ab")))
    (problem,) = problems(text)
    assert problem.path == "stages[0].shadow"
    assert "hidden answers cannot give" in problem.message


def test_a_canary_lasts_until_what_its_budget_counts_can_be_seen() -> None:
    longer = ("rate, window: 24h", "rate, window: 30h")
    short = ("hold_for: 10m}", "hold_for: 10m, until: {at_most: 25h}}")
    found = problems(changed(DESIGN, longer, short))
    assert [problem.path for problem in found] == ["stages[1].canary.until.at_most"]
    assert "before the first window of 'purchase'" in found[0].message
    assert parse(changed(DESIGN, longer, short, ("budget: {purchase: 50}", "budget: {errors: 50}")))


def test_a_window_closes_once_what_happened_in_it_has_arrived() -> None:
    purchase = ("rate, window: 24h", "rate, window: 24h, arrives_within: 12h")
    metric = parse(changed(DESIGN, purchase)).metric("purchase")
    assert (metric.window, metric.arrives_within, metric.horizon) == (DAY, DAY / 2, 1.5 * DAY)
    short = ("hold_for: 10m}", "hold_for: 10m, until: {at_most: 36h}}")
    (problem,) = problems(changed(DESIGN, purchase, short))
    assert "before the first window of 'purchase' (1.5d) has closed" in problem.message


def test_a_broken_yaml_is_one_problem_with_its_line() -> None:
    (problem,) = problems(changed(DESIGN, ("segments: [header:x-country,", "segments: [header:x-country")))
    assert problem.line == 5
    (problem,) = problems(changed(DESIGN, ("[1%, 5%, 20%]", "[1%, 5%, 20%")))
    assert problem.line == 17
    assert "not closed" in problem.message


def test_explored_fields_are_recorded_after_the_declared_ones() -> None:
    rollout = parse(changed(DESIGN, ("$.platform]", "$.platform]\nexplore: [json:$.age, cookie:app]")))
    assert [str(field) for field in rollout.features] == [
        "header:x-country",
        "json:$.platform",
        "json:$.age",
        "cookie:app",
    ]
    assert len(rollout.segments) == 2
    assert parse(DESIGN).features == parse(DESIGN).segments


@pytest.mark.parametrize("text", ["", "# nothing\n", "ranker", "- a\n- b\n", "null", "3", "{}", "--- {}\n--- {}\n"])
def test_what_is_no_spec_at_all_is_told(text: str) -> None:
    with pytest.raises(SpecProblems) as caught:
        parse(text)
    assert caught.value.problems
    assert str(caught.value)


def test_the_model_does_not_pull_in_what_parses_it() -> None:
    """The request path and the client import the model; they must not pay for pydantic or YAML."""
    code = "import sys, crossfade.spec.model; sys.exit('pydantic' in sys.modules or 'yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
