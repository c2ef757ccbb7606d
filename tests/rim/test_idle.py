"""A controller whose rollouts stand still asks nothing anew, and what it shows is what asking anew would say."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from crossfade.judge import again
from crossfade.rim.controller import Controller
from crossfade.rim.engine import Engine
from crossfade.rim.engine import look as looking
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.store import Store
from crossfade.state import Phase, mode

from .facts_made import START, exposed
from .recorded import NAME, SPEC, make

WATCHED = SPEC.replace("watch: 20s", "watch: 1d")


@pytest.fixture
def promoted(tmp_path: Path) -> Path:
    assert make(tmp_path, wrong=0.2, spec=WATCHED, a_tick=400) is Phase.PROMOTED
    return tmp_path


def serve(data: Path, at: float, first: int) -> None:
    """Some units of the holdback and of the others."""
    with closing(Store(data)) as store:
        stored = store.get(NAME)
        place = stored.position
        facts = [
            exposed(
                n,
                at=at,
                unit=f"late{n}",
                arm=arm,
                served_by=arm,
                mode=mode(stored.rollout, place),
                stage=place.stage,
                step=place.step,
                weight=0.95,
            )
            for n, arm in enumerate(["v1", "v2"] * 20, first)
        ]
    with closing(Journal(data, "w0")) as journal:
        journal.append(facts)


def test_nothing_is_asked_again_while_nothing_is_new(promoted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = START + 400.0
    asked: list[str] = []
    assess, take = again.assess, looking.take
    monkeypatch.setattr(again, "assess", lambda *given: (asked.append("assess"), assess(*given))[1])
    monkeypatch.setattr(f"{Engine.__module__}.take", lambda *given: (asked.append("take"), take(*given))[1])
    controller = Controller(promoted, clock=lambda: now)

    def turns(times: int) -> list[str]:
        nonlocal now
        asked.clear()
        for _ in range(times):
            now += 0.5
            controller.turn()
        return list(asked)

    try:
        assert set(turns(1)) == {"take", "assess"}
        turns(3)
        assert turns(20) == []
        serve(promoted, now - 0.25, 10_000_000)
        assert turns(1) == ["take", "assess"]
        # Two seconds later their windows close.
        assert turns(8).count("assess") >= 1
        assert turns(20) == []
        # What is told too early counts when its time has come.
        serve(promoted, now + 5.0, 20_000_000)
        turns(2)
        assert "assess" in turns(12)
    finally:
        controller.close()


def test_what_stands_still_is_what_asking_anew_says(promoted: Path) -> None:
    with closing(Store(promoted)) as store:
        stored = store.get(NAME)
    lake = Lake(promoted)
    engine = Engine(lake)
    try:
        for seconds in (400.0, 400.5, 401.0, 1100.0, 5000.0):
            now = START + seconds
            kept = engine.measure(stored.rollout, stored.position, now)
            anew = engine.measure(stored.rollout, stored.position, now, facts=kept.facts)
            assert (kept.now, kept.facts, kept.progress, kept.reach) == (now, anew.facts, anew.progress, anew.reach)
    finally:
        engine.close()
        lake.close()
