"""The outcome inbox: durable once acknowledged, once however often it is told."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from crossfade.facts import Outcome
from crossfade.rim import batches
from crossfade.rim.batches import JournalError
from crossfade.rim.inbox import Accepted, OutcomeInbox, RepeatCounts, Repeats, path

from .facts_made import outcome


def kept(data: Path) -> list[str]:
    connection = batches.connect(data / "journal/outcomes.db")
    found = [fact for row in batches.rows(connection, 0, 10**9) for fact in row.facts]
    connection.close()
    assert all(isinstance(fact, Outcome) for fact in found)
    return [fact.outcome_id for fact in found if isinstance(fact, Outcome)]


def test_repeats_are_counted_and_not_kept(tmp_path: Path) -> None:
    inbox = OutcomeInbox(tmp_path)
    assert inbox.accept([outcome("a"), outcome("b"), outcome("a")]) == Accepted(accepted=2, duplicates=1)
    assert inbox.accept([outcome("b"), outcome("c")]) == Accepted(accepted=1, duplicates=1)
    assert inbox.accept([outcome("c")]) == Accepted(accepted=0, duplicates=1)
    assert inbox.accept([]) == Accepted(accepted=0, duplicates=0)
    inbox.close()
    assert sorted(kept(tmp_path)) == ["a", "b", "c"]


def test_the_first_report_wins(tmp_path: Path) -> None:
    inbox = OutcomeInbox(tmp_path)
    both = inbox.accept([outcome("a", value=1.0), outcome("a", value=2.0)])
    assert both == Accepted(accepted=1, duplicates=0, conflicts=(1,))
    later = inbox.accept([outcome("b"), outcome("a", value=3.0), outcome("a", value=1.0, at=9.0)])
    assert later == Accepted(accepted=1, duplicates=1, conflicts=(1,))
    connection = batches.connect(inbox.path)
    (row, _) = batches.rows(connection, 0, 10)
    assert row.facts == [outcome("a", value=1.0)]
    connection.close()
    inbox.close()


def test_repeats_are_counted_by_what_they_say_and_outlive_a_restart(tmp_path: Path) -> None:
    counts = RepeatCounts(path(tmp_path))
    assert counts.of("r1", ["purchase"]) == Repeats()
    inbox = OutcomeInbox(tmp_path)
    told = [outcome("a"), outcome("b", rollout="r1", unit="u"), outcome("c", rollout="r2", unit="u")]
    inbox.accept([*told, outcome("d", name="click")])
    inbox.accept([*told, *told[:2], outcome("a", value=3.0), outcome("d", name="click")])
    inbox.close()
    assert counts.of("r1", ["purchase"]) == Repeats(duplicates=4, contradictions=1)
    assert counts.of("r2", ["purchase", "click"]) == Repeats(duplicates=4, contradictions=1)
    assert counts.of("r3", []) == Repeats()
    counts.close()


def test_a_correction_that_says_another_value_is_no_repeat(tmp_path: Path) -> None:
    inbox = OutcomeInbox(tmp_path)
    both = [outcome("a"), outcome("b", value=2.0, corrects="a")]
    assert inbox.accept([*both, both[1]]) == Accepted(accepted=2, duplicates=1)
    assert inbox.accept([outcome("b", value=2.0, corrects="c")]) == Accepted(accepted=0, duplicates=0, conflicts=(0,))
    inbox.close()


def test_repeats_are_recognised_after_a_restart_and_across_inboxes(tmp_path: Path) -> None:
    first, second = OutcomeInbox(tmp_path), OutcomeInbox(tmp_path)
    first.accept([outcome("a")])
    assert second.accept([outcome("a"), outcome("b")]) == Accepted(accepted=1, duplicates=1)
    first.close()
    second.close()
    again = OutcomeInbox(tmp_path)
    assert again.accept([outcome("a"), outcome("b")]).accepted == 0
    again.close()


def test_threads_that_tell_the_same_story_are_heard_once(tmp_path: Path) -> None:
    inbox = OutcomeInbox(tmp_path)
    accepted: list[int] = []

    def tell(seed: int) -> None:
        story = [outcome(f"o{n}") for n in range(200)]
        random.Random(seed).shuffle(story)
        for at in range(0, 200, 20):
            accepted.append(inbox.accept(story[at : at + 20]).accepted)

    threads = [threading.Thread(target=tell, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    inbox.close()
    assert sum(accepted) == 200
    assert sorted(kept(tmp_path)) == sorted(f"o{n}" for n in range(200))


def test_a_full_disk_accepts_nothing_and_remembers_nothing(tmp_path: Path) -> None:
    inbox = OutcomeInbox(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    long = [outcome(os.urandom(200).hex()) for _ in range(500)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(JournalError, match=r"outcomes\.db"):
            inbox.accept(long)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert inbox.accept(long) == Accepted(accepted=500, duplicates=0)
    inbox.close()


def test_old_ids_can_be_forgotten(tmp_path: Path) -> None:
    inbox = OutcomeInbox(tmp_path)
    inbox.accept([outcome("old", received_at=100.0)])
    inbox.accept([outcome("new", received_at=200.0)])
    assert inbox.forget(150.0) == 1
    assert inbox.accept([outcome("new")]).duplicates == 1
    inbox.close()


TELLER = """
import os, sys
from pathlib import Path
from crossfade.rim.inbox import OutcomeInbox
from rim.facts_made import outcome
inbox = OutcomeInbox(Path(sys.argv[1]))
n = 0
while True:
    inbox.accept([outcome(f"o{i}") for i in range(n, n + 10)])
    n += 5
    os.write(1, f"{n}\\n".encode())
"""


def test_a_kill_loses_no_acknowledged_outcome_and_repeats_stay_repeats(tmp_path: Path) -> None:
    """Each run tells the story from its beginning again, as a client does that got no answer."""
    rng = random.Random(3)
    most = 0
    for _ in range(3):
        root = Path(__file__).parents[1]
        teller = subprocess.Popen([sys.executable, "-c", TELLER, str(tmp_path)], stdout=subprocess.PIPE, cwd=root)
        assert teller.stdout is not None
        teller.stdout.readline()
        time.sleep(rng.uniform(0.05, 0.2))
        teller.send_signal(signal.SIGKILL)
        lines = teller.stdout.read().split(b"\n")[:-1]
        teller.wait()
        teller.stdout.close()
        most = max(most, int(lines[-1]) if lines else 5)
    found = kept(tmp_path)
    assert len(found) == len(set(found))
    assert {f"o{n}" for n in range(most + 5)} <= set(found)
