"""The dossier's cells of calibration are the sums of the facts, bin by bin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossfade.rim.dossier import gather
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.record import LiveRecord
from crossfade.rim.sealing import Sealer
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move
from crossfade.view.dossier import dossier

from .facts_made import START, compared, outcome

SPEC = """
name: r1
route: /r
protocol: json
unit: header:x-user-id
champion: {name: v1, url: "http://127.0.0.1:1"}
challenger: {name: v2, url: "http://127.0.0.1:2"}
prediction: {probability: $.p}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 1pp}}
  quality: {from: prediction, kind: log-loss, outcome: label, better: lower, window: 15m, goal: true}
stages:
  - shadow: {mirror: 100%, until: {requests: 100000}}
  - canary: {steps: [10%]}
"""

LABELS = 400


@pytest.fixture
def predicted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What both models said, and what came true."""
    rng = np.random.default_rng(5)
    p = rng.uniform(0.02, 0.98, LABELS)
    return p, np.clip(0.5 + 0.3 * (p - 0.5), 0.0, 1.0), (rng.random(LABELS) < p).astype(float)


def test_cells_are_the_sums_of_the_facts(tmp_path: Path, predicted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    ours, theirs, truth = predicted
    store, lake, journal, inbox = Store(tmp_path), Lake(tmp_path), Journal(tmp_path, "w0"), OutcomeInbox(tmp_path)
    store.add(SPEC, parse(SPEC), START)
    store.act("r1", Move.START, actor="ana", rule="manual", sentence="Started.", at=START)
    journal.append(
        [
            compared(n, at=START + 1.0 + n * 0.01, champion_numbers=(float(a),), challenger_numbers=(float(b),))
            for n, (a, b) in enumerate(zip(ours, theirs, strict=True))
        ]
    )
    inbox.accept(
        [
            outcome(f"o{n}", decision_id=f"d{n}", name="label", value=float(v), at=START + 9.0, received_at=START + 9.0)
            for n, v in enumerate(truth)
        ]
    )
    lake.compact_journals()
    assert Sealer(store, lake, now=START).seal("periodic", START + 5000.0) is not None
    for one in (journal, inbox, lake, store):
        one.close()
    record = LiveRecord(tmp_path, "r1")
    parts = {part["id"]: part for part in dossier(gather(record, now=START + 6000.0))["parts"]}
    record.close()
    said, table = parts["calibration"]["blocks"]
    assert f"over {LABELS} labels" in said["text"]

    def bins(p: np.ndarray) -> dict[int, tuple[float, float, int]]:
        place = np.minimum((p * 10).astype(int), 9)
        there = [(at, place == at) for at in range(10) if (place == at).any()]
        return {at: (p[mine].mean(), truth[mine].mean(), int(mine.sum())) for at, mine in there}

    both = bins(ours), bins(theirs)
    places = sorted(both[0].keys() | both[1].keys())
    assert len(table["rows"]) == len(places)
    for row, at in zip(table["rows"], places, strict=True):
        assert row[0] == f"{at * 10} % to {at * 10 + 10} %"
        for cells, known in ((row[1:4], both[0].get(at)), (row[4:7], both[1].get(at))):
            if known is None:
                assert cells == ["–", "–", "0"]
                continue
            for cell, value in zip(cells[:2], known[:2], strict=True):
                assert abs(float(cell.removesuffix(" %")) - 100.0 * value) <= 0.0501, (cell, value)
            assert cells[2] == str(known[2])
    errors = [sum(n * abs(a - b) for a, b, n in one.values()) / LABELS for one in both]
    words = said["text"].replace(",", "").split()
    told = [float(words[words.index(name) + 1]) for name in ("champion", "v2")]
    assert told == [pytest.approx(100.0 * error, abs=0.0501) for error in errors]
