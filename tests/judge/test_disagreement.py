"""Disagreement by field: clean fields are not flagged, real changes are, and verdict and interval say the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.judge.disagreement import ANY, CATASTROPHIC, Counts, Judged, Tally, e_bh, judge
from crossfade.judge.evidence import Verdict


def tally(
    pairs: int, champion: dict[str, float], challenger: dict[str, float], seed: int, *, twice: bool = True
) -> Tally:
    """Independent noise in every field, drawn as counts: the share of answers that are off."""
    rng = np.random.default_rng(seed)
    made = Tally(pairs=pairs, twice=pairs if twice else 0)
    for path in champion:
        # Both differ when either is off; the champion's first answer is common to both comparisons.
        first, second = (rng.random(pairs) < champion[path] for _ in range(2))
        other = rng.random(pairs) < challenger[path]
        noisy, differs = first | second, first | other
        made.fields[path] = Counts(
            differing=int(differs.sum()),
            noisy=int(noisy.sum()) if twice else 0,
            plus=int((differs & ~noisy).sum()) if twice else 0,
            minus=int((noisy & ~differs).sum()) if twice else 0,
        )
    return made


def verdicts(lines: list[Judged]) -> dict[str, Verdict]:
    return {line.path: line.verdict for line in lines}


@pytest.mark.parametrize("pairs", [1000, 10_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_a_champion_against_itself_is_hardly_ever_flagged(pairs: int) -> None:
    noisy = {f"$.f{n}": 0.01 for n in range(20)}
    wrong = 0
    for seed in range(40):
        found = verdicts(judge(tally(pairs, noisy, noisy, seed), margin=0.0, alpha=0.05))
        wrong += any(found[path] is Verdict.HARMFUL for path in noisy)
    assert wrong <= 2


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_a_champion_against_itself_over_many_runs() -> None:
    """1 % noise in 20 fields, looked at after 1,000, 10,000 and 100,000 pairs: at most 5 % of runs name a field."""
    noisy, runs, wrong = {f"$.f{n}": 0.01 for n in range(20)}, 200, 0
    for seed in range(runs):
        looks = [tally(pairs, noisy, noisy, 5000 + seed) for pairs in (1000, 10_000, 100_000)]
        told = [verdicts(judge(look, margin=0.0, alpha=0.05)) for look in looks]
        wrong += any(one[path] is Verdict.HARMFUL for one in told for path in noisy)
    print(f"a clean field was flagged in {wrong / runs:.1%} of {runs} runs")
    assert wrong / runs <= 0.05


def test_a_change_under_much_noise_is_found_among_many_fields() -> None:
    """29 % against the champion's own 20 %, 5,000 pairs, nineteen other fields without a change."""
    others = {f"$.f{n}": 0.01 for n in range(19)}
    champion = {"$.noisy": 0.1056} | others  # differs from itself in 1 − (1 − 0.1056)² = 20 %
    challenger = {"$.noisy": 0.2062} | others  # and from it in 29 %
    found = [verdicts(judge(tally(5000, champion, challenger, seed), margin=0.0, alpha=0.05)) for seed in range(100)]
    assert sum(one["$.noisy"] is Verdict.HARMFUL for one in found) >= 99
    assert sum(one["$.f0"] is Verdict.HARMFUL for one in found) <= 5


def test_without_second_answers_the_rate_itself_is_judged() -> None:
    (line, *_) = judge(tally(5000, {"$.x": 0.0}, {"$.x": 0.1}, 1, twice=False), margin=0.01, alpha=0.05)
    assert line.noise is None
    assert line.verdict is Verdict.HARMFUL
    assert line.rate == line.excess
    assert line.lower < 0.1 < line.upper


def test_equal_replies_are_proven_to_be_within_a_margin() -> None:
    lines = verdicts(judge(tally(1000, {"$.x": 0.0}, {"$.x": 0.0}, 1), margin=0.01, alpha=0.05))
    assert lines["$.x"] is lines[ANY] is Verdict.SAFE


def test_nothing_compared_is_unmeasured() -> None:
    made = Tally()
    made.seen(["$.x"])
    for line in judge(made, margin=0.01, alpha=0.05):
        assert line.verdict is Verdict.UNMEASURED
        assert line.rate is None
        assert line.reason


def test_a_few_unusable_replies_are_enough() -> None:
    made = Tally()
    for n in range(1000):
        made.seen(["$.score"])
        made.add({"$.score": "nan"} if n % 100 == 0 else {}, catastrophic=["nan"] if n % 100 == 0 else ())
    lines = {line.path: line for line in judge(made, margin=0.05, alpha=0.05)}
    assert lines[CATASTROPHIC].verdict is Verdict.HARMFUL
    assert lines[CATASTROPHIC].kinds == {"nan": 10}
    assert lines["$.score"].verdict is not Verdict.HARMFUL


def test_a_muted_field_is_shown_and_counts_for_nothing() -> None:
    made = Tally()
    for _ in range(500):
        made.seen(["$.id", "$.x"])
        made.add({"$.id": "value"}, {"$.id": "value"}, muted=["$.id"])
    lines = {line.path: line for line in judge(made, margin=0.01, alpha=0.05, muted={"$.id": "random"})}
    assert (lines["$.id"].rate, lines["$.id"].noise, lines["$.id"].muted) == (1.0, 1.0, "random")
    assert lines[ANY].differing == 0


@given(st.lists(st.none() | st.floats(0.0, 1e6), max_size=30), st.floats(0.001, 0.5))
def test_e_bh_is_its_definition(e_values: list[float | None], alpha: float) -> None:
    found = e_bh(e_values, alpha)
    size = len(e_values)
    ranked = sorted((e or 0.0 for e in e_values), reverse=True)
    largest = max((k for k, e in enumerate(ranked, 1) if e * alpha * k >= size), default=0)
    assert len(found) <= largest
    assert all((e_values[i] or 0.0) * alpha * largest >= size for i in found)


def test_e_bh_by_hand() -> None:
    assert e_bh([90, 48, 30, 22, 18], 0.05) == set()
    assert e_bh([1.0, 60.0, 40.0], 0.05) == {1, 2}


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=8), st.floats(0.0, 0.2))
def test_verdict_and_interval_agree(fields: list[tuple[int, int]], margin: float) -> None:
    made = Tally(pairs=1000, twice=1000)
    for n, (plus, minus) in enumerate(fields):
        made.fields[f"$.f{n}"] = Counts(differing=plus, noisy=minus, plus=plus, minus=minus)
    for line in judge(made, margin=margin, alpha=0.05)[: len(fields)]:
        assert (line.excess_lower > margin) <= (line.verdict is Verdict.HARMFUL)
        assert (line.verdict is Verdict.HARMFUL) <= (line.excess_lower >= margin)
        assert (line.excess_upper < margin) <= (line.verdict is Verdict.SAFE)
        assert 0.0 <= line.lower <= line.rate <= line.upper <= 1.0
