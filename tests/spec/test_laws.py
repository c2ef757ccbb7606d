"""Whatever is written, parsing gives a rollout or problems and nothing else; a revision follows the content alone."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossfade.spec.digest import digest
from crossfade.spec.document import Document
from crossfade.spec.model import Promote, Rollout, Shadow
from crossfade.spec.parse import SpecProblems, parse
from crossfade.spec.source import load, split_lines
from crossfade.spec.template import template
from crossfade.state import planned_weight
from spec.examples import DESIGN, SEVERAL

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TREES = [load(text)[0].plain() for text in (DESIGN, SEVERAL, template())]

DIGESTS = [(json.dumps(tree, sort_keys=True), digest(json.dumps(tree))) for tree in TREES]

WORDS = (
    "5% 0% 100% 100.0% 0.5pp 3d 10m 0s 99999999999999999d auto request header:x json:$.a[0] rate mean ratio count "
    "quantile lower higher outcome response mlflow openai-chat team-draft / http://a:1 https://[::1 v1 true"
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**400), max_value=10**400),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(WORDS.split()),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def parsed(text: str) -> Rollout | None:
    """The rollout, or None where there are problems; checks that each problem can be shown."""
    try:
        return parse(text)
    except SpecProblems as error:
        problems = error.problems
    assert problems
    lines = len(split_lines(text))
    for problem in problems:
        assert 1 <= problem.line <= lines
        assert problem.column >= 1
        assert problem.message.strip()
        json.dumps(problem.to_json()).encode()
        str(problem).encode()
    return None


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a tree but its root."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, child in children for place in ((*path, key), *places(child, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A valid spec in which up to four values, keys or entries were changed, removed, doubled or added."""
    tree = json.loads(json.dumps(draw(st.sampled_from(TREES))))
    for _ in range(draw(st.integers(1, 4))):
        every = places(tree)
        if not every:
            break
        *above, last = draw(st.sampled_from(every))
        parent = tree
        for key in above:
            parent = parent[key]
        match draw(st.sampled_from(["change", "remove", "add", "swap"])):
            case "change":
                parent[last] = draw(values)
            case "remove":
                del parent[last]
            case "add" if isinstance(parent, dict):
                parent[draw(st.text(max_size=8) | st.sampled_from(["name", "until", "q", "window", "shadow"]))] = draw(
                    values
                )
            case "add":
                parent.insert(draw(st.integers(0, len(parent))), draw(values | st.just(parent[last])))
            case "swap":
                *other, key = draw(st.sampled_from(every))
                source = tree
                try:
                    for part in other:
                        source = source[part]
                    parent[last] = json.loads(json.dumps(source[key], default=str))
                except (KeyError, IndexError, TypeError):
                    pass
    return tree


@quick
@given(st.text())
def test_no_text_gives_anything_but_a_rollout_or_problems(text: str) -> None:
    parsed(text)


@quick
@given(st.text(alphabet="ab:{}[]-,&*!|>'\"%@`#?\n\t \\xU0\u2028", max_size=60))
def test_no_yaml_like_text_gives_anything_but_a_rollout_or_problems(text: str) -> None:
    parsed(text)


@quick
@given(st.sampled_from([DESIGN, SEVERAL]), st.integers(0, 3000), st.integers(0, 40), st.text(max_size=12))
def test_no_damaged_spec_gives_anything_but_a_rollout_or_problems(text: str, at: int, cut: int, put: str) -> None:
    at %= len(text)
    parsed(text[:at] + put + text[at + cut :])


@settings(quick, max_examples=250)
@given(mutated())
def test_no_changed_value_gives_anything_but_a_rollout_or_problems(tree: Any) -> None:
    rollout = parsed(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))
    if rollout is None:
        return
    # What parses keeps the promises that the other rooms rely on.
    assert rollout.challengers
    assert rollout.stages
    assert len({arm.name for arm in (rollout.champion, *rollout.challengers)}) == 1 + len(rollout.challengers)
    assert 0.0 < rollout.alpha <= 0.5
    for index, stage in enumerate(rollout.stages):
        weight = planned_weight(rollout, index, 0)
        assert isinstance(stage, Shadow) or 0.0 < weight <= 1.0
        assert weight * len(rollout.challengers) <= 1.0 or isinstance(stage, Promote)


@settings(quick, max_examples=100)
@given(mutated())
def test_whatever_parses_is_valid_for_pydantic_too(tree: Any) -> None:
    """Reading nodes and reading plain data are two ways through the same models."""
    text = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)
    if parsed(text) is not None:
        data = load(text)[0].plain()
        for stage in data["stages"]:
            stage.update({name: {} for name, written in stage.items() if written is None})
        Document.model_validate(data)


def shuffled(draw: st.DrawFn, tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: shuffled(draw, tree[key]) for key in draw(st.permutations(list(tree)))}
    if isinstance(tree, list):
        return [shuffled(draw, child) for child in tree]
    return tree


@st.composite
def same_content(draw: st.DrawFn) -> tuple[str, str]:
    """A spec, and the same content with other key order, layout, and comments."""
    text = draw(st.sampled_from([DESIGN, SEVERAL, template()]))
    tree = shuffled(draw, load(text)[0].plain())
    flow = draw(st.sampled_from([None, True, False]))
    other = yaml.safe_dump(tree, sort_keys=False, default_flow_style=flow, width=draw(st.integers(40, 200)))
    comment = draw(st.text(alphabet="abc: {}[]#'\"é", max_size=20))
    return text, f"# {comment}\n\n{other}# {comment}\n"


@settings(quick, max_examples=30)
@given(same_content())
def test_a_revision_does_not_change_with_order_layout_or_comments(texts: tuple[str, str]) -> None:
    one, other = texts
    assert digest(one) == digest(other)
    assert parse(one).revision == parse(other).revision == digest(one)[:12]


@settings(quick, max_examples=80)
@given(mutated())
def test_a_revision_changes_with_the_content(tree: Any) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)
    root, broken = load(text)
    if not broken:
        content = json.dumps(root.plain(), sort_keys=True)
        for other, known in DIGESTS:
            assert (digest(text) == known) == (content == other)
