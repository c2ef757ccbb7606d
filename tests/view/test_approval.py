"""What an approval is bound to: verdicts, stage and revision, and no number that moves with traffic."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossfade.view.approval import verdicts_digest

VERDICTS = ("safe", "harmful", "undecided", "unmeasured")


def line(metric: str, verdict: str, segment: str | None = None, n: int = 0) -> dict[str, Any]:
    return {
        "metric": metric,
        "arm": "v2",
        "stage": "canary",
        "segment": segment,
        "verdict": verdict,
        "units": {"v1": n, "v2": n},
        "estimate": n / 100.0,
    }


LINES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(VERDICTS), st.sampled_from((None, "country=se"))),
    min_size=1,
    unique_by=lambda one: (one[0], one[2]),
)


@given(LINES, st.integers(1, 10**9), st.randoms())
def test_numbers_and_order_are_not_what_is_approved(lines: list[Any], n: int, random: Any) -> None:
    seen = [line(*one) for one in lines]
    later = [line(*one, n=n) for one in lines]
    random.shuffle(later)
    assert verdicts_digest("ab", "r1", seen) == verdicts_digest("ab", "r1", later)


@given(LINES, st.data())
def test_another_verdict_stage_or_revision_is_another_thing_to_approve(lines: list[Any], data: st.DataObject) -> None:
    seen = [line(*one) for one in lines]
    before = verdicts_digest("ab", "r1", seen)
    assert before != verdicts_digest("promote", "r1", seen)
    assert before != verdicts_digest("ab", "r2", seen)
    at = data.draw(st.integers(0, len(lines) - 1))
    metric, verdict, segment = lines[at]
    other = data.draw(st.sampled_from([one for one in VERDICTS if one != verdict]))
    changed = [*seen[:at], line(metric, other, segment), *seen[at + 1 :]]
    judged = {verdict, other} & {"safe", "harmful"}
    assert (before != verdicts_digest("ab", "r1", changed)) == (segment is None or bool(judged))


def test_a_segment_that_comes_with_the_traffic_is_no_other_evidence_until_it_is_judged() -> None:
    seen = [line("errors", "safe")]
    new = [*seen, line("errors", "undecided", "country=no")]
    assert verdicts_digest("ab", "r1", seen) == verdicts_digest("ab", "r1", new)
    assert verdicts_digest("ab", "r1", seen) != verdicts_digest(
        "ab", "r1", [*seen, line("errors", "harmful", "country=no")]
    )
