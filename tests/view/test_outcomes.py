"""The counts of outcomes: each once, absent where not counted, and said plainly."""

from __future__ import annotations

from dataclasses import replace

from crossfade.judge.measure.measured import Progress, Received, Windowed
from crossfade.view.outcomes import OutcomeCounts, outcome_counts, outcomes_in_words, outcomes_record

from .sample import INPUTS, ROLLOUT

COUNTS: OutcomeCounts = INPUTS["outcomes"]


def test_what_is_there_is_said_and_what_is_not_is_left_out() -> None:
    record = outcomes_record(ROLLOUT, COUNTS)
    assert record is not None
    assert outcomes_in_words(record) == "2,411 received · 17 duplicate · 4 late · 2 early · 9 corrected"
    purchase, revenue = record["windows"]["purchase"], record["windows"]["revenue"]
    assert purchase["immature"] == 132 / 8532
    assert purchase["text"] == "1.5 % of units do not count yet (132 of 8,532): their window of 1 d is open"
    assert (revenue["immature"], revenue["text"]) == (None, "no unit yet")


def test_where_no_window_is_open_all_units_count() -> None:
    done = replace(COUNTS, windows={"purchase": Windowed(open=0, settled=60, late=0)})
    record = outcomes_record(ROLLOUT, done)
    assert record is not None
    assert record["windows"]["purchase"]["text"] == "all 60 units count: their window of 1 d is over"
    assert record["windows"]["purchase"]["immature"] == 0.0


def test_what_was_not_counted_is_no_zero() -> None:
    record = outcomes_record(ROLLOUT, None)
    assert record is not None
    assert record["received"] is None
    assert record["windows"]["purchase"] == {
        "window": 86400.0,
        "arrives_within": 0.0,
        "open": None,
        "settled": None,
        "immature": None,
        "late": None,
        "text": "not measured in this stage",
    }


def test_a_rollout_without_outcomes_has_no_counts_of_them() -> None:
    alone = replace(ROLLOUT, metrics=ROLLOUT.metrics[:2])
    assert outcomes_record(alone, COUNTS) is None


def test_an_outcome_is_late_once_and_only_where_no_metric_waits_longer() -> None:
    purchase = replace(ROLLOUT.metrics[2], arrives_within=3600.0)
    both = (purchase, replace(purchase, name="soon", outcome="purchase", window=60.0), ROLLOUT.metrics[3])
    windows = {name: Windowed(open=1, settled=1, late=late) for name, late in (("purchase", 2), ("soon", 9))}
    progress = Progress(windows=windows, received=Received(received=5, corrected=1, astray=2), orphans=3, early=4)
    counts = outcome_counts(replace(ROLLOUT, metrics=both), progress, 6, 7)
    assert (counts.late, counts.received, counts.corrected, counts.astray) == (2, 5, 1, 2)
    assert (counts.orphans, counts.early, counts.duplicates, counts.contradictions) == (3, 4, 6, 7)
    record = outcomes_record(replace(ROLLOUT, metrics=both), counts)
    assert record is not None
    assert record["windows"]["purchase"]["text"].endswith("their window of 1 d and 1 h to arrive is open")
    assert outcome_counts(ROLLOUT, Progress(), None, None).late is None
