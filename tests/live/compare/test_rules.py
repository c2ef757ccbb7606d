"""Comparators as a spec asks for them: what passes, what differs, and what callers could not work with."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.compare.kinds import Difference
from crossfade.live.compare.rules import compare
from crossfade.live.protocols.base import Tensor
from crossfade.spec.model import Comparator, Comparison

NAN = math.nan
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def rule(how: str, **more: object) -> Comparison:
    return Comparison(path="$", how=Comparator(how), **more)


@pytest.mark.parametrize(
    ("given_rule", "a", "b", "kind"),
    [
        (rule("exact"), 1.0, 1.0000001, Difference.VALUE),
        (rule("exact"), 1, 1.0, Difference.TYPE),
        (rule("exact"), [1], [True], Difference.TYPE),
        (rule("exact"), Tensor((2,), [1, 2]), Tensor((1, 2), [1, 2]), Difference.SHAPE),
        (rule("number", relative=0.01), 100.0, 100.9, None),
        (rule("number", relative=0.01), 100, 102, Difference.VALUE),
        (rule("number", absolute=0.5), 0, 0.5, None),
        (rule("number", absolute=0.5), 0, 0.6, Difference.VALUE),
        (rule("number"), 0.3, 0.3 + 4e-7, None),
        (rule("number"), 1.0, NAN, Difference.NAN),
        (rule("number"), 1.0, math.inf, Difference.NAN),
        (rule("number"), 1.0, "1", Difference.INVALID),
        (rule("number"), "1", 1.0, Difference.TYPE),
        (rule("number"), True, 1, Difference.TYPE),
        (rule("label"), "cat", " cat ", None),
        (rule("label"), 1, 1.0, None),
        (rule("label"), "cat", "dog", Difference.VALUE),
        (rule("label"), ["a", "b"], ["a", "c"], Difference.VALUE),
        (rule("label"), Tensor((2,), [0, 1]), Tensor((2,), [0.0, 1.0]), None),
        (rule("label"), "cat", ["cat"], Difference.INVALID),
        (rule("probabilities"), [0.6, 0.4], [0.605, 0.395], None),
        (rule("probabilities"), [0.6, 0.4], [0.58, 0.42], Difference.VALUE),
        (rule("probabilities", within=0.05), [0.6, 0.4], [0.58, 0.42], None),
        (rule("probabilities", within=0.5), [0.51, 0.49], [0.49, 0.51], Difference.VALUE),
        (rule("probabilities", by="argmax"), [0.9, 0.1], [0.51, 0.49], None),
        (rule("probabilities", by="argmax"), 0.51, 0.49, Difference.VALUE),
        (rule("probabilities"), {"a": 0.6, "b": 0.4}, {"b": 0.4, "a": 0.6}, None),
        (rule("probabilities"), {"a": 0.6, "b": 0.4}, {"a": 0.6, "c": 0.4}, Difference.SHAPE),
        (rule("probabilities"), [[0.6, 0.4], [0.5, 0.5]], [[0.6, 0.4], [0.1, 0.9]], Difference.VALUE),
        (rule("probabilities"), Tensor((2, 2), [0.6, 0.4, 1, 0]), Tensor((2, 2), [0.6, 0.4, 0, 1]), Difference.VALUE),
        (rule("probabilities"), [0.6, 0.4], [0.6, 0.3, 0.1], Difference.SHAPE),
        (rule("probabilities"), [0.6, 0.4], [0.6, 0.6], Difference.INVALID),
        (rule("probabilities"), [0.6, 0.4], [1.4, -0.4], Difference.INVALID),
        (rule("probabilities"), [0.6, 0.4], [NAN, 0.4], Difference.NAN),
        (rule("probabilities"), [0.6, 0.4], "high", Difference.INVALID),
        (rule("ranking"), list("abcdefgh"), list("abcdefhg"), None),
        (rule("ranking"), list("abcdefgh"), list("hgfedcba"), Difference.ORDER),
        (rule("ranking"), list("abc"), list("xyz"), Difference.VALUE),
        (rule("ranking", depth=2), list("abxy"), list("abpq"), None),
        (rule("ranking", by="tau", within=0.34), list("abc"), list("acb"), None),
        (rule("ranking", by="tau", within=0.3), list("abc"), list("acb"), Difference.ORDER),
        (rule("ranking", by="overlap", within=0.5), list("ab"), list("bc"), None),
        (rule("ranking", id="$.k"), [{"k": 1, "s": 2}], [{"k": 1, "s": 3}], None),
        (rule("ranking", id="$.k"), [{"k": 1}], [{"s": 3}], Difference.INVALID),
        (rule("ranking"), list("abc"), list("aab"), Difference.INVALID),
        (rule("ranking"), list("aab"), list("ab"), Difference.VALUE),
        (rule("ranking"), list("aab"), list("aba"), None),
        (rule("text"), "a  b", "a b\n", None),
        (rule("text"), "a b", "A b", Difference.VALUE),
        (rule("text", by="words", within=0.34), "the cat sat", "The dog sat", None),
        (rule("text", by="words", within=0.3), "the cat sat", "The dog sat", Difference.VALUE),
        (rule("text", by="length", within=0.5), "abcd", "xy", None),
        (rule("text"), "a", None, Difference.INVALID),
        (rule("tensor"), [[1.0, 2.0]], [[1.0, 2.0001]], None),
        (rule("tensor"), [[1.0, 2.0]], [[1.0, 2.1]], Difference.VALUE),
        (rule("tensor"), [[[1, 2], [3, 4]]], [[[1, 2], [3, 4]]], None),
        (rule("tensor"), [[1, 2], [3, 4]], [1, 2, 3, 4], Difference.SHAPE),
        (rule("tensor"), [[[1, 2]], [[3, 4]]], [[[1, 2], [3, 4]]], Difference.SHAPE),
        (rule("tensor"), [1.0, 2.0], [1.0, NAN], Difference.NAN),
        (rule("tensor"), [[1], [2]], [[1], [2, 3]], Difference.INVALID),
        (rule("set"), [1, 2, 2], [2, 1, 2], None),
        (rule("set"), [1, 2, 2], [2, 1, 1], Difference.VALUE),
        (rule("set", within=0.5), ["a", "b"], ["b", "c"], None),
        (rule("set"), ["a"], {"a": 1}, Difference.INVALID),
    ],
)
def test_comparators(given_rule, a, b, kind):
    assert compare(given_rule, a, b) is kind


@given(st.sampled_from(Comparator), anything)
def test_whatever_it_is_it_equals_itself(how, value):
    assert compare(rule(how), value, value) is None


@given(st.sampled_from(Comparator), anything, anything)
def test_nothing_raises_and_both_directions_agree_that_there_is_a_difference(how, a, b):
    assert (compare(rule(how), a, b) is None) == (compare(rule(how), b, a) is None)
