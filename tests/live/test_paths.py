"""Paths: what can be written, what is refused and where, and that reading gives back what was set."""

from __future__ import annotations

import copy
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossfade.live import paths
from crossfade.spec.words import JSON_PATH

names = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="'"), min_size=1, max_size=8)
parts = st.lists(names | st.integers(0, 4), max_size=4)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.sampled_from("abc"), inner, max_size=4),
    max_leaves=12,
)
DOC = {"a": {"b": [10, {"x-y": "deep"}], "n": None}, "user id": 7}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", DOC),
        ("$.a.b[0]", 10),
        ("$.a.b[1].x-y", "deep"),
        ("$.a.b[1]['x-y']", "deep"),
        ("$['a']['b'][1]['x-y']", "deep"),
        ("$['user id']", 7),
        ("$.a.n", None),
    ],
)
def test_get(path, expected):
    assert paths.compile(path).get(DOC, "absent") == expected


@pytest.mark.parametrize(
    "path", ["$.b", "$.a.b[2]", "$.a.b.x", "$.a[0]", "$.a.n.x", "$[0]", "$['user id'].x", "$.a.b[1][0]"]
)
def test_get_where_there_is_nothing(path):
    assert paths.compile(path).get(DOC, "absent") == "absent"
    assert paths.compile(path).get(DOC) is None


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("", 0),
        ("a.b", 0),
        (" $.a", 0),
        ("$a", 1),
        ("$.", 1),
        ("$..a", 1),
        ("$.a.", 3),
        ("$.a[", 3),
        ("$.a[-1]", 3),
        ("$.a[*]", 3),
        ("$.a[1:2]", 3),
        ("$.a[?(@.b)]", 3),
        ("$.a['b]", 3),
        ('$.a["b"]', 3),
        ("$.a['']", 3),
        ("$.a[0] ", 6),
        ("$.a[9999999999]", 3),
        ("$.a b", 3),
    ],
)
def test_a_path_that_cannot_be_read_says_where_and_what_is_allowed(path, position):
    with pytest.raises(paths.PathError) as refused:
        paths.compile(path)
    assert refused.value.position == position
    assert f"character {position + 1}" in str(refused.value)
    assert paths.ALLOWED in str(refused.value)


def test_set_copies_only_the_way_there():
    before = copy.deepcopy(DOC)
    after = paths.compile("$.a.b[1]['x-y']").set(DOC, "new")
    assert before == DOC
    assert after["a"]["b"] == [10, {"x-y": "new"}]
    assert paths.compile("$").set(DOC, 1) == 1
    assert paths.compile("$.a.new").set(DOC, 1)["a"]["new"] == 1


@pytest.mark.parametrize("path", ["$.b.c", "$.a.b[2]", "$.a[0]", "$.a.b.x", "$['user id'].x"])
def test_set_where_there_is_no_such_place(path):
    with pytest.raises(paths.PathError, match="no such place"):
        paths.compile(path).set(DOC, 1)


@given(parts)
def test_a_path_written_out_is_read_back(parts):
    assert paths.compile(paths.join(parts)).parts == tuple(parts)


@given(st.text(max_size=30) | st.from_regex(r"\$(\.[\w-]*|\[[^\]]*\]){0,4}"))
def test_any_text_is_a_path_or_a_path_error(text):
    try:
        path = paths.compile(text)
    except paths.PathError as refused:
        position = refused.position
    else:
        position = 0
        assert paths.compile(paths.join(path.parts)).parts == path.parts
    assert 0 <= position <= len(text)


@given(st.from_regex(r"\$(\.[\w-]*|\[[^\]]*\]){0,4}") | parts.map(paths.join))
@example("$.a[1234567890]")
@example("$['it''s']")
@example("$[007].\u00e9-1['\t']")
def test_specs_may_say_exactly_what_can_be_compiled(text):
    """The spec stands below this room and has its own pattern; an editor's completion uses the same one."""
    try:
        paths.compile(text)
        compiles = True
    except paths.PathError:
        compiles = False
    assert compiles == bool(re.fullmatch(JSON_PATH.schema["pattern"].removeprefix("^").removesuffix("$"), text))


@given(documents, parts, documents)
def test_what_is_set_is_got(doc, parts, value):
    path = paths.compile(paths.join(parts))
    before = copy.deepcopy(doc)
    try:
        after = path.set(doc, value)
    except paths.PathError:
        assert path.get(doc, path) is path, "a place that can be read can be written"
        return
    assert doc == before
    assert path.get(after) == value
    if path.get(doc, path) is not path:
        assert path.set(after, path.get(doc)) == doc
