"""What a spec may say of single fields, and each mistake with its place."""

from __future__ import annotations

import pytest

from crossfade.spec.comparisons import comparison
from crossfade.spec.model import Comparator, Comparison
from crossfade.spec.parse import SpecProblems, parse
from spec.examples import DESIGN, problems


def test_comparisons_mean_what_they_say() -> None:
    rollout = parse(
        DESIGN + "\ncompare:\n  $.p: {as: number, relative: 1%, absolute: 0.5}\n"
        "  $.items: {as: ranking, by: tau, within: 5%, depth: 10, id: $.id}\n"
        "  probabilities: {as: probabilities, by: argmax, mute: known}\n  $.items[*].took: {mute: a time}\n"
        "dry_run_header: X-Dry-Run\n"
    )
    assert rollout.compare == (
        Comparison(path="$.p", how=Comparator.NUMBER, relative=0.01, absolute=0.5),
        Comparison(path="$.items", how=Comparator.RANKING, by="tau", within=0.05, depth=10, id="$.id"),
        Comparison(path="probabilities", how=Comparator.PROBABILITIES, by="argmax", mute="known"),
        Comparison(path="$.items[*].took", mute="a time"),
    )
    assert rollout.dry_run_header == "x-dry-run"


def test_a_spec_without_them_is_as_before() -> None:
    rollout = parse(DESIGN)
    assert (rollout.compare, rollout.dry_run_header) == ((), "")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("compare: {$.x: {as: nmber}}", "did you mean number"),
        ("compare: {$.x: {}}", "the key 'as' is missing"),
        ("compare: {$.x: {within: 1%}}", "the key 'as' is missing"),
        ("compare: {$.x: {as: label, relative: 1%}}", "'relative' belongs to as: number"),
        ("compare: {$.x: {as: text, depth: 3}}", "'depth' belongs to as: ranking"),
        (
            "compare: {$.x: {as: text, by: rbo}}",
            "as: text is measured by normalised, words, phrases, length or embedding",
        ),
        ("compare: {$.x: {as: number, relative: -1}}", "expected a share"),
        ("compare: {$.x: {as: number, absolute: 0}}", "a number above 0"),
        ("compare: {$..x: {as: label}}", "expected a path such as $.label"),
        ("compare: {$.x: {as: label, tolerance: 1}}", "unknown key 'tolerance'"),
        ("compare: [1]", "a mapping from fields to comparisons"),
        ("dry_run_header: 'x dry'", "the name of a header"),
        ("dry_run_header: Content-Length", "which already means something else"),
        ("dry_run_header: X-User-Id", "which already means something else"),
    ],
)
def test_each_mistake_is_told_once(written: str, said: str) -> None:
    (problem,) = problems(f"{DESIGN}\n{written}\n")
    assert said in problem.message


def test_one_comparison_by_itself() -> None:
    assert comparison("$.x", "{as: label}") == Comparison(path="$.x", how=Comparator.LABEL)
    with pytest.raises(SpecProblems, match="expected a path"):
        comparison("$[", "{as: label}")
    with pytest.raises(SpecProblems, match="did you mean label"):
        comparison("$.x", "{as: lable}")
    with pytest.raises(SpecProblems):
        comparison("$.x", "not: [closed")
