"""What replies cost, as people write it: places, prices, prices by arm, and the metrics on it."""

from __future__ import annotations

import jsonschema
import pytest

from crossfade.spec.document import json_schema
from crossfade.spec.model import Field, From, Kind, Priced, Source
from crossfade.spec.parse import parse
from crossfade.spec.source import load
from spec.examples import DESIGN, changed, problems

LINE = "alpha: 5%\n"
SPEND = "  spend: {from: cost, kind: mean, better: lower, guardrail: {margin: 10%}}\nstages:\n"
TOKENS = "cost: json:$.usage.total_tokens\n"


def spec(cost: str, *more: tuple[str, str]) -> str:
    return changed(DESIGN, (LINE, f"{LINE}{cost}"), ("stages:\n", SPEND), *more)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("json:$.usage.total_tokens", [Priced(place=Field(source=From.JSON, name="$.usage.total_tokens"))]),
        ("header:X-Cost", [Priced(place=Field(source=From.HEADER, name="x-cost"))]),
        (
            "{json:$.usage.prompt_tokens: 0.0000025, json:$.usage.completion_tokens: {v1: 0.00001, v2: 0.000002}}",
            [
                Priced(place=Field(source=From.JSON, name="$.usage.prompt_tokens"), price=0.0000025),
                Priced(
                    place=Field(source=From.JSON, name="$.usage.completion_tokens"),
                    arms=(("v1", 0.00001), ("v2", 0.000002)),
                ),
            ],
        ),
    ],
)
def test_a_cost_is_a_place_or_places_with_prices(written: str, meant: list[Priced]) -> None:
    text = spec(f"cost: {written}\n")
    rollout = parse(text)
    assert list(rollout.cost) == meant
    assert (rollout.metric("spend").source, rollout.metric("spend").kind) == (Source.COST, Kind.MEAN)
    root, _ = load(text)
    assert not list(jsonschema.Draft202012Validator(json_schema()).iter_errors(root.plain()))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (spec("cost: json:usage\n"), 9, "expected a place in replies such as json:$.usage.total_tokens"),
        (spec("cost: {json:$.tokens: free}\n"), 9, "a price is a number from 0"),
        (spec("cost: {json:$.tokens: -1}\n"), 9, "a price is a number from 0"),
        (spec("cost: {json:$.tokens: {v1: 1, v3: 2}}\n"), 9, "given for v1 and v3; expected one for each arm: v1, v2"),
        (spec(""), 15, "add the key 'cost' at the top"),
        (spec(TOKENS, ("kind: mean, better: lower", "kind: rate, better: lower")), 16, "expected mean"),
        (spec(TOKENS, ("kind: mean, better: lower", "kind: auc, better: lower")), 16, "which is not for from: cost"),
        (spec(TOKENS, ("kind: mean, better: lower", "kind: mean, better: higher")), 16, "of a cost lower is better"),
        (spec(TOKENS, ("from: cost,", "from: cost, window: 1h,")), 16, "'window' belongs to from: outcome"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, said: str) -> None:
    told = [(problem.line, problem.message) for problem in problems(text)]
    assert any(at == line and said in message for at, message in told), told


def test_a_cost_needs_a_shadow() -> None:
    shadow = next(line for line in DESIGN.splitlines(keepends=True) if "- shadow:" in line)
    assert any("known in a shadow alone" in one.message for one in problems(spec(TOKENS, (shadow, ""))))
