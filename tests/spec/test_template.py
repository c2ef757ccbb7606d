"""The spec that `crossfade init` writes: it is fine as it is, and it leaves no key unexplained."""

from __future__ import annotations

import re

import pytest

from crossfade.spec.document import json_schema
from crossfade.spec.model import Interleave, Protocol, Rollout
from crossfade.spec.parse import parse
from crossfade.spec.template import ROUTES, template
from spec.test_document import keys


def test_it_parses_as_it_is() -> None:
    rollout = parse(template())
    assert isinstance(rollout, Rollout)
    assert rollout.name == "my-rollout"


@pytest.mark.parametrize("protocol", ROUTES)
def test_every_protocol_has_its_usual_route(protocol: Protocol) -> None:
    rollout = parse(template(protocol=protocol))
    assert (rollout.protocol, rollout.route) == (protocol, ROUTES[protocol])


@pytest.mark.parametrize("name", ["ranker-v2", "12", "true", "null", "1e3", "a.b_c"])
def test_values_are_read_back_as_they_were_given(name: str) -> None:
    rollout = parse(template(name=name, route="/a:b/c", champion="https://h:1/x", challenger="http://[::1]:9"))
    assert (rollout.name, rollout.route) == (name, "/a:b/c")
    assert (rollout.champion.url, rollout.challenger.url) == ("https://h:1/x", "http://[::1]:9")


def test_it_explains_every_key() -> None:
    text = template()
    for mapping, key, _ in keys(json_schema()):
        assert re.search(rf"\b{re.escape(key)}\b", text), f"{mapping}.{key}"


def test_the_lines_offered_in_comments_are_right_too() -> None:
    """Taking a key out of its comment must not surprise anybody."""
    text = re.sub(r"^(\s*)# ((?:model|timeout|segments|salt|reveal|deadline|lease|ranking|outcome): )", r"\1\2",
                  template(), flags=re.MULTILINE)  # fmt: skip
    text = re.sub(r"^  # (- interleave:)", r"  \1", text, flags=re.MULTILINE)
    text = re.sub(r"^  #     (weight|method|credit|until)", r"      \1", text, flags=re.MULTILINE)
    rollout = parse(text)
    assert rollout.champion.model == "my-model"
    assert rollout.ranking is not None
    assert [type(stage) for stage in rollout.stages].count(Interleave) == 1
    plain = parse(template())
    for key in ("reveal", "deadline", "lease"):
        assert getattr(rollout, key) == getattr(plain, key)
    assert rollout.champion.timeout == plain.champion.timeout
    assert rollout.metric("success") == plain.metric("success")
