"""Comparison: what counts as a difference, where it is said to be, and that nothing is called equal by mistake."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.compare import MOST_PATHS, Difference, Rules, Tolerance, differences, fields_of, found
from crossfade.live.protocols.base import Prediction, Tensor
from crossfade.spec.model import Comparator, Comparison

leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
documents = st.recursive(
    leaves | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=5),
    max_leaves=20,
)
exact = Tolerance(relative=0.0, absolute=0.0)


def of(doc):
    """A prediction of one field."""
    return Prediction({"$": doc})


@pytest.mark.parametrize(
    ("a", "b", "paths"),
    [
        ({"x": 1}, {"x": 1}, ()),
        ({"x": 1, "y": 2}, {"y": 2, "x": 1}, ()),
        ({"x": 1}, {"x": 2}, ("$.x",)),
        ({"x": 1}, {}, ("$.x",)),
        ({}, {"x": 1}, ("$.x",)),
        ({"x": None}, {}, ("$.x",)),
        ({"x": "a"}, {"x": "A"}, ("$.x",)),
        ({"x": 1}, {"x": 1.0}, ()),
        ({"x": 1}, {"x": True}, ("$.x",)),
        ({"x": [1, 0]}, {"x": [True, False]}, ("$.x[*]",)),
        ({"x": 1.0}, {"x": True}, ("$.x",)),
        ({"x": 0.0}, {"x": None}, ("$.x",)),
        ({"x": 0.0}, {"x": ""}, ("$.x",)),
        ({"x": 1.0}, {"x": "1.0"}, ("$.x",)),
        ({"x": 0.5}, {"x": 0.5 + 4e-7}, ()),
        ({"x": 0.5}, {"x": 0.5 + 1e-4}, ("$.x",)),
        ({"x": 1e9}, {"x": 1e9 + 1000}, ()),
        ({"x": 1e9}, {"x": 1e9 + 100_000.0}, ("$.x",)),
        ({"x": 10**9}, {"x": 10**9 + 1}, ("$.x",)),
        ({"x": 10**400}, {"x": 1.0}, ("$.x",)),
        ({"x": [1, 2]}, {"x": [1, 2, 3]}, ("$.x",)),
        ({"x": [1, 2]}, {"x": [2, 1]}, ("$.x[*]",)),
        ({"x": []}, {"x": {}}, ("$.x",)),
        ({"x": [{"y": 1, "z": 2}, {"y": 3}]}, {"x": [{"y": 0, "z": 2}, {"y": 0}]}, ("$.x[*].y",)),
        ({"x": [[1], [2]]}, {"x": [[1], [9]]}, ("$.x[*][*]",)),
        ({"a b": {"c-d": 1}}, {"a b": {"c-d": 2}}, ("$['a b'].c-d",)),
        ("yes", "no", ("$",)),
        ([], None, ("$",)),
    ],
)
def test_documents(a, b, paths):
    assert differences(of(a), of(b)) == paths
    assert set(differences(of(b), of(a))) == set(paths)


@pytest.mark.parametrize(
    ("a", "b", "paths"),
    [
        (Tensor((2,), [0.25, 0.75]), Tensor((2,), [0.25 + 1e-7, 0.75 - 1e-7]), ()),
        (Tensor((2,), [0.25, 0.75]), Tensor((2,), [0.26, 0.74]), ("p",)),
        (Tensor((2,), [0.25, 0.75]), Tensor((1, 2), [0.25, 0.75]), ("p.shape",)),
        (Tensor((2,), [1, 0]), Tensor((2,), [1, 1]), ("p",)),
        (Tensor((1,), ["cat"]), Tensor((1,), ["dog"]), ("p",)),
        (Tensor((1,), [1]), Tensor((1,), [True]), ("p",)),
        (Tensor((0,), []), Tensor((0,), []), ()),
        (Tensor((1,), [1.0]), [1.0], ("p",)),
    ],
)
def test_tensors(a, b, paths):
    assert differences(Prediction({"p": a}), Prediction({"p": b})) == paths


def test_missing_and_extra_fields():
    assert differences(Prediction({"p": 1, "q": 2}), Prediction({"q": 2, "r": 3})) == ("p", "r")


def test_a_narrower_tolerance_sees_more():
    a, b = of({"x": 1e-7}), of({"x": 3e-7})
    assert differences(a, b) == ()
    assert differences(a, b, Tolerance(absolute=1e-9)) == ("$.x",)


def test_at_most_eight_paths_are_named():
    a = {f"f{n}": {"x": n, "y": [n]} for n in range(50)}
    b = {f"f{n}": {"x": -n - 1, "y": []} for n in range(50)}
    assert len(differences(of(a), of(b))) == MOST_PATHS
    assert len(differences(Prediction(a), Prediction({}))) == MOST_PATHS
    assert len(differences(Prediction({}), Prediction(a))) == MOST_PATHS
    assert len(differences(of(a), of({}))) == MOST_PATHS


def test_a_list_of_many_rows_names_its_fields_once():
    rows = [{"id": n, "score": n / 7} for n in range(1000)]
    other = [{"id": n, "score": n / 7 + 1} for n in range(1000)]
    assert differences(of(rows), of(other)) == ("$[*].score",)


@pytest.mark.parametrize("depth", [10, 70, 400, 900])
def test_depth_is_followed_or_admitted(depth):
    def nest(value):
        for _ in range(depth):
            value = {"d": [value]}
        return of(value)

    assert differences(nest(1), nest(2)) != ()
    if depth < 400:
        assert differences(nest(1), nest(1)) == ()


@given(documents)
def test_a_reply_equals_its_copy(doc):
    assert differences(of(doc), of(copy.deepcopy(doc)), exact) == ()
    assert differences(of(doc), of(json.loads(json.dumps(doc)))) == ()


@given(documents, documents)
def test_it_does_not_matter_who_is_asked_first(a, b):
    assert bool(differences(of(a), of(b))) == bool(differences(of(b), of(a)))


@given(documents, documents)
def test_no_difference_means_equal_up_to_the_writing_of_numbers(a, b):
    def plain(doc):
        if isinstance(doc, dict):
            return {name: plain(value) for name, value in doc.items()}
        if isinstance(doc, list):
            return [plain(value) for value in doc]
        return (type(doc) in (int, float), doc) if not isinstance(doc, bool) else ("bool", doc)

    assert (differences(of(a), of(b), exact) == ()) == (plain(a) == plain(b))


@given(st.data(), documents)
def test_one_changed_leaf_is_found(data, doc):
    places = list(_leaves(doc))
    if not places:
        return
    way = data.draw(st.sampled_from(places))
    changed = copy.deepcopy(doc)
    holder = [changed]
    key: object = 0
    for step in way:
        holder, key = holder[key], step
    holder[key] = "something that was not there before"
    changed = changed if way else holder[0]
    assert len(differences(of(doc), of(changed))) == 1


def _leaves(doc, way=()):
    if isinstance(doc, dict | list):
        for key, value in doc.items() if isinstance(doc, dict) else enumerate(doc):
            yield from _leaves(value, (*way, key))
    else:
        yield way


@pytest.mark.parametrize(
    ("a", "b", "path", "kind"),
    [
        ({"x": 1}, {"x": 2}, "$.x", Difference.VALUE),
        ({"x": 1}, {}, "$.x", Difference.MISSING),
        ({}, {"x": 1}, "$.x", Difference.EXTRA),
        ({"x": None}, {"x": 1}, "$.x", Difference.TYPE),
        ({"x": {}}, {"x": []}, "$.x", Difference.TYPE),
        ({"x": 1.5}, {"x": "1.5"}, "$.x", Difference.TYPE),
        ({"x": 1.5}, {"x": float("nan")}, "$.x", Difference.NAN),
        ({"x": 1}, {"x": float("-inf")}, "$.x", Difference.NAN),
        ({"x": float("nan")}, {"x": 1.5}, "$.x", Difference.VALUE),
        ({"x": float("nan")}, {"x": None}, "$.x", Difference.TYPE),
        ({"x": [1, 2]}, {"x": [1, 2, 3]}, "$.x", Difference.LENGTH),
        ({"x": [1, 2, 2]}, {"x": [2, 1, 2]}, "$.x[*]", Difference.ORDER),
        ({"x": [1, 2]}, {"x": [2, 3]}, "$.x[*]", Difference.VALUE),
        ({"x": [{"y": 1}, {"y": 2}]}, {"x": [{"y": 2}, {"y": 1}]}, "$.x[*]", Difference.ORDER),
        ({"x": [{"y": 1}, {"y": 2}]}, {"x": [{"y": 0}, {}]}, "$.x[*].y", Difference.MISSING),
        ({"x": [1.0, 2.0, 3.0]}, {"x": [1.5, float("nan"), 3.0]}, "$.x[*]", Difference.NAN),
    ],
)
def test_ways_to_differ_are_told_apart(a, b, path, kind):
    (place, how), *more = found(of(a), of(b)).items()
    assert (place, how.kind, more) == (path, kind, [])


def test_another_shape_is_told_with_both():
    a, b = Prediction({"p": Tensor((1, 2), [1, 2])}), Prediction({"p": Tensor((2,), [1, 2])})
    assert found(a, b) == {"p.shape": (Difference.SHAPE, [1, 2], [2])}


def test_two_nan_say_the_same():
    nan = float("nan")
    assert differences(of({"x": nan, "y": [nan, 1.0]}), of({"x": nan, "y": [nan, 1.0]})) == ()


def test_a_rule_stands_for_everything_below_its_field():
    rules = Rules([Comparison(path="$.items", how=Comparator.RANKING, id="$.id")])
    a = {"items": [{"id": n, "score": n} for n in range(10)]}
    b = {"items": [{"id": n, "score": -n} for n in range(10)]}
    assert differences(of(a), of(b), rules=rules) == ()
    assert differences(of(a), of(b)) == ("$.items[*].score",)
    c = {"items": list(reversed(b["items"]))}
    assert found(of(a), of(c), rules=rules)["$.items"].kind is Difference.ORDER


def test_a_rule_reaches_into_rows():
    rules = Rules([Comparison(path="$[*].score", how=Comparator.NUMBER, absolute=0.5)])
    a, b = [{"score": 1.0}, {"score": 2.0}], [{"score": 1.4}, {"score": 2.6}]
    assert differences(of(a), of(b), rules=rules) == ("$[*].score",)
    assert differences(of(a), of([{"score": 1.4}, {"score": 2.4}]), rules=rules) == ()


def test_a_muted_field_is_found_and_does_not_count():
    rules = Rules([Comparison(path="$.meta", mute="a time")])
    assert differences(of({"meta": {"t": 1}}), of({"meta": {"t": 2}}), rules=rules) == ("$.meta.t",)
    assert not rules.counting(["$.meta.t"])
    assert rules.counting(["$.meta.t", "$.metal"])


@given(documents, documents)
def test_every_value_that_differs_is_among_the_fields(a, b):
    told = found(of(a), of(b), most=1000)
    known = fields_of(of(a)) | fields_of(of(b))
    for path, how in told.items():
        if how.kind is Difference.VALUE and path != "$":
            assert path in known
