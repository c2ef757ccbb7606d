"""The last sentence of a rollout says what was watched, and what was not."""

from __future__ import annotations

from dataclasses import replace

from crossfade.judge.decide import decide
from crossfade.judge.evidence import Verdict
from crossfade.state import Move, Phase
from judge.decide.rollouts import AB, NOON, PROMOTE, at, lines, rollout

ASKED = rollout(AB, PROMOTE)
WATCHED = at(1, phase=Phase.PROMOTED)


def test_a_finish_names_what_was_watched_and_what_was_silent():
    found = decide(ASKED, WATCHED, lines(ASKED, 1, {"purchase": Verdict.UNMEASURED}), NOON + 3600)
    assert found.move is Move.FINISH
    assert found.sentence == (
        "Finished: complaint, errors, latency watched for its full time, no harm found; purchase not measured."
    )


def test_a_finish_without_holdback_claims_no_watch():
    bare = rollout(AB, replace(PROMOTE, holdback=0.0, watch=0.0))
    found = decide(bare, WATCHED, [], NOON)
    assert found.move is Move.FINISH
    assert found.sentence == "Finished: nothing was left to compare it with."


def test_nobody_meets_by_the_clock_what_harmed_their_group():
    kept = replace(WATCHED, excluded=(("header:x-country", "DE"),))
    found = decide(ASKED, kept, lines(ASKED, 1), NOON + 3600)
    assert (found.move, found.until) == (None, None)
    assert found.sentence == (
        "Promoted and watched; header:x-country=DE stays on v1: include it to finish, or roll back."
    )
    assert decide(ASKED, replace(kept, excluded=()), lines(ASKED, 1), NOON + 3600).move is Move.FINISH
