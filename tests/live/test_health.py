"""When a challenger is out, for how long, and how it comes back; and what holds for any history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.health import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Outlier


def out(arm: Outlier, now: float) -> None:
    for _ in range(FAILURES):
        arm.failed(now)
    assert arm.out


def test_a_row_of_failures_puts_it_out_and_a_success_breaks_the_row() -> None:
    arm = Outlier()
    for _ in range(3):
        assert [arm.failed(0.0) for _ in range(FAILURES - 1)] == [False] * (FAILURES - 1)
        assert arm.succeeded(0.0) is False
    assert [arm.failed(0.0) for _ in range(FAILURES)] == [*[False] * (FAILURES - 1), True]
    assert not arm.admits(0.5)


def test_after_the_pause_one_request_tries_it() -> None:
    arm = Outlier(trial_seconds=10.0)
    out(arm, 0.0)
    assert [arm.admits(FIRST_PAUSE), arm.admits(FIRST_PAUSE), arm.admits(FIRST_PAUSE + 9.9)] == [True, False, False]
    assert arm.succeeded(FIRST_PAUSE + 9.9) is True
    assert arm.admits(FIRST_PAUSE + 9.9)
    assert not arm.out


def test_a_trial_that_nobody_answers_does_not_keep_it_out_for_ever() -> None:
    arm = Outlier(trial_seconds=10.0)
    out(arm, 0.0)
    assert arm.admits(1.0)
    assert arm.admits(11.0)


def test_each_failed_trial_doubles_the_pause_up_to_a_limit() -> None:
    arm, now, pauses = Outlier(), 0.0, []
    out(arm, now)
    for _ in range(7):
        pauses.append(arm.pause)
        assert not arm.admits(now + arm.pause - 0.001)
        now += arm.pause
        assert arm.admits(now)
        assert arm.failed(now) is True
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE, LONGEST_PAUSE]


def test_one_that_flaps_stays_out_longer_and_one_that_healed_begins_anew() -> None:
    arm = Outlier()
    out(arm, 0.0)
    assert arm.succeeded(1.0)
    out(arm, 2.0)
    assert arm.pause == 2.0
    assert arm.succeeded(4.0)
    out(arm, 4.0 + LONGEST_PAUSE + 1.0)
    assert arm.pause == FIRST_PAUSE


def test_answers_to_what_was_asked_before_it_went_out_neither_bring_it_back_nor_prolong_the_pause() -> None:
    arm = Outlier()
    out(arm, 0.0)
    assert arm.succeeded(0.5) is False
    assert arm.failed(0.9) is False
    assert arm.out
    assert arm.admits(FIRST_PAUSE)


def test_where_probes_look_no_user_is_the_trial() -> None:
    arm = Outlier(probed=True)
    out(arm, 0.0)
    assert not arm.admits(100.0)
    assert arm.succeeded(100.0) is True
    assert arm.admits(100.0)


history = st.lists(st.tuples(st.sampled_from(["ask", "ok", "bad"]), st.floats(0.0, 40.0)), max_size=200)


@given(history, st.booleans())
def test_whatever_happens(events: list[tuple[str, float]], probed: bool) -> None:
    arm, now, row, went_out, trials = Outlier(probed=probed, trial_seconds=5.0), 0.0, 0, 0.0, [-1e9]
    for what, passed in events:
        now += passed
        was_out = arm.out
        if what == "ask":
            admitted = arm.admits(now)
            if not was_out:
                assert admitted, "nobody is kept from an arm that is not out"
            elif admitted:
                assert not probed
                assert now - went_out >= arm.pause
                assert now - trials[-1] >= 5.0 or trials[-1] < went_out, "one trial at a time"
                trials.append(now)
        elif what == "ok":
            row = 0
            assert arm.succeeded(now) is (was_out and now - went_out >= arm.pause)
        else:
            row += not was_out
            if arm.failed(now):
                assert was_out or row >= FAILURES
                row, went_out = 0, now
        if was_out and not arm.out:
            row = 0
        assert 0.0 <= arm.pause <= LONGEST_PAUSE
        assert not arm.out or arm.pause >= FIRST_PAUSE
    # It is never out for good: a pause later it is tried (or probed), and one success is enough.
    later = now + LONGEST_PAUSE + 5.0
    if arm.out:
        assert probed or arm.admits(later)
        assert arm.succeeded(later) is True
    assert arm.admits(later)
