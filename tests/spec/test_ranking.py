"""Ranked lists in a spec: what gives credit, what is searched, and how requests ask for pages."""

from __future__ import annotations

import pytest

from crossfade.spec.model import Credit, Interleave, Pages, Parameter
from crossfade.spec.parse import SpecProblems, parse
from spec.examples import DESIGN, changed

RANKING = "ranking: {items: $.items, id: $.id}"


def with_(ranking: str, *more: tuple[str, str]) -> str:
    return changed(DESIGN, (RANKING, f"ranking: {{items: $.items, id: $.id, {ranking}}}"), *more)


def test_pages_by_offset_or_by_number() -> None:
    ranking = parse(with_("query: [query:q, json:$.filters], pages: {offset: query:from, limit: json:$.size}")).ranking
    assert ranking is not None
    assert ranking.query == (Parameter(in_query=True, name="q"), Parameter(in_query=False, name="$.filters"))
    size = Parameter(in_query=False, name="$.size")
    assert ranking.pages == Pages(
        first=Parameter(in_query=True, name="from"), counted=False, start=0, limit=size, size=10, deepest=100
    )
    ranking = parse(with_("pages: {page: query:p, first: 0, limit: json:$.size, size: 20, at_most: 60}")).ranking
    assert ranking is not None
    assert ranking.pages == Pages(
        first=Parameter(in_query=True, name="p"), counted=True, start=0, limit=size, size=20, deepest=60
    )


@pytest.mark.parametrize(
    ("ranking", "said"),
    [
        ("query: [header:q]", "query:NAME or json:$.path"),
        ("pages: {offset: query:from}", "the key 'limit' is missing"),
        ("pages: {limit: query:n}", "neither 'offset' nor 'page'"),
        ("pages: {offset: query:a, page: query:b, limit: query:n}", "both 'offset' and 'page'"),
        ("pages: {offset: query:a, first: 1, limit: query:n}", "with `offset` remove it"),
        ("pages: {page: query:a, first: 2, limit: query:n}", "a whole number from 0 to 1"),
    ],
)
def test_what_is_wrong_with_pages_is_said(ranking: str, said: str) -> None:
    with pytest.raises(SpecProblems) as caught:
        parse(with_(ranking))
    assert said in str(caught.value)


def test_outcomes_weigh_what_the_spec_says() -> None:
    text = changed(DESIGN, ("credit: click", "credit: {click: 1, purchase: 5, dwell: 0.1 * value, scroll: value}"))
    (stage,) = [stage for stage in parse(text).stages if isinstance(stage, Interleave)]
    assert stage.credit == (
        Credit(outcome="click"),
        Credit(outcome="purchase", weight=5.0),
        Credit(outcome="dwell", weight=0.1, valued=True),
        Credit(outcome="scroll", valued=True),
    )


@pytest.mark.parametrize("method", ["team-draft", "balanced", "probabilistic", "optimized"])
def test_every_method_for_two_rankers_may_be_asked_for(method: str) -> None:
    stages = parse(changed(DESIGN, ("method: team-draft", f"method: {method}"))).stages
    assert [stage.method for stage in stages if isinstance(stage, Interleave)] == [method]


def test_what_only_gateways_do_is_refused_for_models_inside_a_program() -> None:
    inside = [(f"url: http://127.0.0.1:810{n}", f"url: python:m{n}") for n in (1, 2)]
    with pytest.raises(SpecProblems) as caught:
        parse(with_("query: [query:q]", ("method: team-draft", "method: optimized"), *inside))
    assert "expected team-draft, balanced or probabilistic" in str(caught.value)
    assert "'query' is about requests over HTTP" in str(caught.value)
