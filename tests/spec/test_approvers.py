"""`approve:` in a spec: both forms, on every stage but the first, and what is wrong said with its place."""

from __future__ import annotations

import jsonschema
import pytest

from crossfade.cli.check import summary
from crossfade.spec.document import json_schema
from crossfade.spec.gated import Approve
from crossfade.spec.parse import parse
from crossfade.spec.problems import SpecProblems
from crossfade.spec.source import load

SPEC = """
name: r1
route: /r
protocol: json
unit: header:x-user-id
champion:   {name: v1, url: "http://127.0.0.1:1"}
challenger: {name: v2, url: "http://127.0.0.1:2"}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 1pp}}
stages:
  - shadow:
      until: {requests: 10}
  - canary: {steps: [5%], approve: <approve>}
  - promote:
      approve: {by: [cy, ana@example.org, "Ben K."], needed: 2}
"""


def spec(approve: str) -> str:
    return SPEC.replace("<approve>", approve).replace('"Ben K."', '"Ben K"')


def problems(text: str) -> list[str]:
    with pytest.raises(SpecProblems) as told:
        parse(text)
    return [str(problem) for problem in told.value.problems]


def test_both_forms_are_read() -> None:
    shadow, canary, promote = parse(spec("[ana, ben]")).stages
    assert shadow.approve is None
    assert canary.approve == Approve(by=("ana", "ben"), needed=1)
    assert promote.approve == Approve(by=("cy", "ana@example.org", "Ben K"), needed=2)
    assert parse(spec("[ana]")).revision != parse(spec("[ben]")).revision


def test_the_summary_says_who_is_asked() -> None:
    told = summary(parse(spec("[ana, ben]")))
    assert "approval of ana or ben, then canary 5%" in told
    assert "approval of 2 of cy, ana@example.org or Ben K, then promote" in told


@pytest.mark.parametrize(
    ("approve", "words"),
    [
        ("ana", "names of people, one of whom has to approve"),
        ("[]", "names of people, one of whom has to approve"),
        ("[ana, ana]", "ana stands there twice"),
        ("[3]", "each is the name of a person"),
        ("{by: [ana, ben], needed: 3}", "'needed' to be at most 2, as only ana, ben may approve"),
        ("{by: [ana, ben], needed: 0}", "'needed' is how many have to approve"),
        ("{by: [ana, ben], needed: true}", "'needed' is how many have to approve"),
        ("{of: [ana, ben]}", "names of people"),
        ("{needed: 1}", "names of people"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(approve: str, words: str) -> None:
    [told] = problems(spec(approve))
    assert words in told
    assert "line 13" in told
    assert "stages[1].canary.approve" in told


def test_the_first_stage_is_entered_by_who_starts() -> None:
    [told] = problems(spec("[ana]").replace("until: {requests: 10}", "approve: [ana]"))
    assert "the first stage needs no approval: a person starts the rollout" in told
    assert "line 12" in told


def test_the_schema_takes_what_the_parser_takes() -> None:
    schema = json_schema()
    jsonschema.validate(load(spec("[ana, ben]"))[0].plain(), schema)
    for approve in ("ana", "[]", "{needed: 1}", "{by: [ana], needed: 0}"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(load(spec(approve))[0].plain(), schema)
