"""The published JSON Schema: valid itself, complete, and of one mind with the parser."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest

from crossfade.spec.document import json_schema
from crossfade.spec.source import load
from crossfade.spec.template import template
from spec.examples import DESIGN, SEVERAL, changed, problems

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def plain(text: str) -> Any:
    root, found = load(text)
    assert not found
    return root.plain()


def test_it_is_a_valid_schema_of_the_2020_draft() -> None:
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("text", [DESIGN, SEVERAL, template()], ids=["design", "several", "template"])
def test_it_accepts_what_parses(text: str) -> None:
    assert problems(text) == ()
    assert [error.message for error in VALIDATOR.iter_errors(plain(text))] == []


@pytest.mark.parametrize(
    "change",
    [
        ("alpha: 5%", "alpah: 5%"),
        ("alpha: 5%", "alpha: 5 percent"),
        ("alpha: 5%", "alpha: 2"),
        ("hold_for: 10m", "hold_for: 600"),
        ("hold_for: 10m", "hold_for: 10 minutes"),
        ("kind: mean", "kind: sum"),
        ("better: lower, guardrail: {margin: 0.5pp}", "better: less, guardrail: {margin: 0.5pp}"),
        ("protocol: open-inference ", "protocol: grpc "),
        ("unit: header:x-user-id", "unit: x-user-id"),
        ("route: /v2", "route: v2"),
        ("margin: 0.5pp", "margin: half"),
        ("steps: [1%, 5%, 20%]", "steps: []"),
        ("steps: [1%, 5%, 20%]", "steps: automatic"),
        ("method: team-draft", "method: shuffled"),
        ("credit: click", "credit: {click: 0}"),
        ("at_most: 14d", "at_most: null"),
        ("challenger: {name: v2, url: http://127.0.0.1:8102}", "lease: 5s"),
        ("alpha: 5%", "challengers: [{name: v3, url: http://a}]"),
        ("  - promote:", "    promote:"),
    ],
)
def test_it_refuses_what_the_parser_refuses(change: tuple[str, str]) -> None:
    text = changed(DESIGN, change)
    assert problems(text)
    assert list(VALIDATOR.iter_errors(plain(text)))


def keys(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(mapping, key, its schema) for every key that a spec may hold."""
    objects = {"Document": schema, **schema["$defs"]}
    return [(name, key, child) for name, one in objects.items() for key, child in one["properties"].items()]


def test_every_key_is_described_and_every_mapping_is_closed() -> None:
    schema = json_schema()
    for name, key, written in keys(schema):
        # pydantic leaves a description out where it repeats that of the mapping referred to.
        child = {**schema["$defs"].get(written.get("$ref", "").rpartition("/")[2], {}), **written}
        assert re.fullmatch(r"[A-Z`].*\.", child.get("description", "")), f"{name}.{key}"
    for one in (schema, *schema["$defs"].values()):
        assert one["additionalProperties"] is False


def test_no_key_may_be_null() -> None:
    assert "null" not in str(json_schema()).replace("nullable", "")
