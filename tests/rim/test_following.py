"""A controller that does not lead keeps up with the facts, and judges with what it knows as soon as it does lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfade.judge.assess import assess
from crossfade.rim import following as module
from crossfade.rim.controller import Controller
from crossfade.rim.engine import feed
from crossfade.rim.following import Following, Known
from crossfade.rim.store import Store

from .recorded import NAME, make

TICKS = 3


class Others:
    """A controller beside the one that leads: it follows after each of the other's looks."""

    def __init__(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "EVERY", 0.0)
        monkeypatch.setattr(module, "REST", 0.0)
        self.now = 0.0
        self.store = Store(data)
        self.following = Following(data, self.store, clock=lambda: self.now)
        self.turns: list[bool] = []

    def after(self, _: Store, now: float) -> None:
        self.now = now
        self.turns.append(self.following.turn())


def counted(known: Known, data: Path, now: float) -> tuple[Controller, list[None]]:
    steps: list[None] = []
    known.engine.progress = lambda: steps.append(None)
    return Controller(data, clock=lambda: now, term=1, known=known), steps


def test_who_takes_over_reads_nothing_again_and_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Others(tmp_path, monkeypatch)
    make(tmp_path, wrong=0.3, ticks=TICKS, after=other.after)
    assert other.turns == [True] * TICKS
    position, rollout = other.store.get(NAME).position, other.store.get(NAME).rollout
    known, cold = other.following.handed_over(), Known(tmp_path)
    anew: list[None] = []
    cold.engine.progress = lambda: anew.append(None)
    assert other.store.leaders.take(other.store.leaders.present(), {"pid": 1, "began": 1, "place": "there"}) == 1
    controller, steps = counted(known, tmp_path, other.now)
    try:
        warm, read = (one.engine.measure(rollout, position, other.now) for one in (known, cold))
        assert warm.facts == read.facts
        told = [[line.to_json() for line in assess(rollout, one)] for one in (warm, read)]
        assert told[0] == told[1] != []
        assert len(steps) < len(anew), "only what came of age; all facts come in more parts"
        before = other.store.heartbeat()
        controller.turn()
        assert other.store.heartbeat() > before
    finally:
        cold.close()
        controller.close()
        other.store.close()


def test_a_long_first_look_says_that_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, wrong=0.3, ticks=TICKS)
    monkeypatch.setattr(feed, "BATCH", 50)
    store, known = Store(tmp_path), Known(tmp_path)
    steps: list[None] = []
    known.engine.progress = lambda: steps.append(None)
    stored = store.get(NAME)
    known.engine.measure(stored.rollout, stored.position, stored.position.step_since + 60.0)
    assert len(steps) > 2 * TICKS * 160 / 50, "once for each part of exposures and of outcomes, at least"
    known.close()
    store.close()


def test_what_cannot_be_read_is_told_and_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = Others(tmp_path, monkeypatch)
    make(tmp_path, wrong=0.3, ticks=TICKS, after=other.after)
    away = (tmp_path / "lake").rename(tmp_path / "away")
    (tmp_path / "lake").write_text("not a folder")
    other.following.close()
    assert not other.following.turn()
    assert "could not keep up with the facts" in caplog.text
    (tmp_path / "lake").unlink()
    away.rename(tmp_path / "lake")
    assert other.following.turn()
    other.following.close()
    other.store.close()
