"""What is kept of earlier looks: enough to see how it went, never more than a page needs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crossfade.state import Move
from crossfade.view.history import MOST, history, with_look
from view.sample import MOVES, NOW, ROLLOUT, START, ledger_of


def look(at: float, step: int, phase: str = "running") -> dict[str, Any]:
    exposure = {"planned": 0.05, "actual": 0.0491234567}
    return {
        "at": at, "stage": "canary", "step": step, "phase": phase, "exposure": exposure, "evidence": [], "lines": [],
    }  # fmt: skip


@given(st.lists(st.tuples(st.floats(0.01, 1e5), st.integers(0, 2)), min_size=1, max_size=600))
def test_looks_stay_few_in_order_and_keep_the_first_of_every_step(told: list[tuple[float, int]]) -> None:
    kept: dict[str, Any] | None = None
    at, place = 0.0, 0
    for after, onward in told:
        at, place = at + after, place + (onward == 0)
        found = with_look(kept, look(at, place % 4))
        newest = kept["looks"][-1]["step"] if kept else None
        assert found is not None or newest == place % 4
        kept = found or kept
    assert kept is not None
    times = [one["at"] for one in kept["looks"]]
    assert times == sorted(set(times))
    steps = 1 + sum(a["step"] != b["step"] for a, b in pairwise(kept["looks"]))
    assert len(times) <= MOST + steps


def test_a_long_rollout_is_seen_from_its_beginning_to_its_end() -> None:
    kept: dict[str, Any] | None = None
    for second in range(20_000):
        kept = with_look(kept, look(float(second), 0)) or kept
    assert kept is not None
    times = [one["at"] for one in kept["looks"]]
    assert MOST / 2 - 1 <= len(times) <= MOST
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] == 0.0
    assert times[-1] > 20_000 - 2 * max(gaps)
    assert max(gaps) < 20_000 / MOST * 4


def test_before_the_start_and_after_the_end_nothing_is_kept() -> None:
    assert with_look(None, look(1.0, 0, "pending")) is None
    kept = with_look(None, look(1.0, 0))
    ended = with_look(kept, look(2.0, 0, "rolled_back"))
    assert ended is not None
    assert with_look(ended, look(500.0, 0, "rolled_back")) is None


def test_steps_are_those_of_the_ledger_and_it_ends_where_the_rollout_ended() -> None:
    _, entries = ledger_of()
    past = history(ROLLOUT, entries, None, NOW)
    assert [(step["at"] - START, step["weight"], step["stage"]) for step in past["steps"]] == [
        (0.0, 0.0, "shadow"),
        (900.0, 0.01, "canary"),
        (1500.0, 0.05, "canary"),
    ]
    assert past["end"] == NOW
    _, entries = ledger_of([*MOVES, (Move.ROLLBACK, 1650.0, "harm", "Rolled back.")])
    assert history(ROLLOUT, entries, None, NOW)["end"] == START + 1650.0
