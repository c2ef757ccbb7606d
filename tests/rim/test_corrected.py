"""Corrections in the ledger: one entry for many, before what is decided on them, and never the same ones twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.ledger import Entry
from crossfade.ledger.entries import verify
from crossfade.rim.controller import Controller
from crossfade.rim.corrected import CORRECTIONS
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move

from .facts_made import START, exposed, outcome
from .test_outcome_counts import SPEC


class World:
    def __init__(self, data: Path) -> None:
        self._data, self.now = data, START + 20.0
        self.store, self.inbox = Store(data), OutcomeInbox(data)
        self.store.add(SPEC, parse(SPEC), START)
        self.store.act("r1", Move.START, actor="ana", rule="manual", sentence="Started by ana: a test.", at=START)
        Journal(data, "w0").append([exposed(n, unit=f"u{n}", at=START, stage=0) for n in range(4)])
        self.begin()

    def begin(self) -> None:
        self.controller = Controller(self._data, clock=lambda: self.now)

    def told(self, key: str, **more: object) -> None:
        fields = {"decision_id": "d1", "name": "revenue", "at": START + 9.0, "received_at": self.now - 1.0}
        self.inbox.accept([outcome(key, **(fields | more))])

    def look(self, later: float) -> list[Entry]:
        self.now += later
        self.controller.turn()
        return [entry for entry in self.store.entries("r1") if entry.rule == CORRECTIONS]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.controller.close()
    one.store.close()


def test_corrections_are_told_in_batches_and_once(world: World) -> None:
    world.told("order")
    assert world.look(0.0) == []
    world.told("refund", corrects="order", value=2.5)
    world.told("other", corrects="order", name="other")
    assert world.look(1.0) == [], "a second after the last reading"
    (first,) = world.look(60.0)
    said = dict(first.about or {})[CORRECTIONS]
    row = ["refund", "order", "revenue", "d1", "", "", 2.5, START + 19.0]
    line = json.dumps(row, separators=(",", ":")).encode() + b"\n"
    assert said["digest"] == hashlib.sha256(line).hexdigest()
    assert (said["count"], said["names"]) == (1, {"revenue": 1})
    assert first.sentence.startswith("1 outcome was corrected (1 of revenue)")
    for n in range(20):
        world.told(f"again{n}", corrects=f"nobody{n}")
        world.look(1.0)
    assert len(world.look(1.0)) == 1
    world.controller.close()
    world.begin()
    second = world.look(60.0)[1]
    assert dict(second.about or {})[CORRECTIONS]["count"] == 20
    assert "since the last entry" in second.sentence
    assert len(world.look(600.0)) == 2
    assert verify(world.store.entries("r1")).intact
    assert second.move is None
    assert second.from_position == second.to_position
