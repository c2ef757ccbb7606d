"""What a person sees of outcomes after the real controller has looked: each sort is counted in its own place."""

from __future__ import annotations

from pathlib import Path

from crossfade.rim.controller import Controller
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.standing import standing
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move

from .facts_made import START, exposed, outcome

SPEC = """
name: r1
route: /r
protocol: json
unit: header:x-user-id
champion: {name: v1, url: "http://127.0.0.1:1"}
challenger: {name: v2, url: "http://127.0.0.1:2"}
metrics:
  revenue: {from: outcome, kind: mean, window: 10s, arrives_within: 5s, better: higher, goal: true}
stages:
  - ab: {weight: 50%, until: {decided: true, at_most: 1d}}
"""


def test_every_sort_is_counted_where_a_person_looks(tmp_path: Path) -> None:
    now = START
    store, journal, inbox = Store(tmp_path), Journal(tmp_path, "w0"), OutcomeInbox(tmp_path)
    store.add(SPEC, parse(SPEC), now)
    store.act("r1", Move.START, actor="ana", rule="manual", sentence="Started by ana: a test.", at=now)
    journal.append([exposed(n, unit=f"u{n}", arm=("v1", "v2")[n % 2], at=START, stage=0) for n in range(4)])
    journal.append([exposed(9, unit="u9", at=START + 18.0, stage=0)])

    def told(key: str, received: float, **more: object) -> None:
        fields = {"decision_id": "d1", "name": "revenue", "at": START + 9.0, "received_at": START + received}
        inbox.accept([outcome(key, **(fields | more))])

    told("in-time", 14.0)
    told("in-time", 14.0)
    told("in-time", 14.0, value=9.0)
    told("late", 15.5)
    told("refund", 19.0, value=0.5, corrects="in-time")
    told("nobody's", 19.0, value=0.5, corrects="nobody")
    told("waiting", 19.0, decision_id="d77")
    told("other", 19.0, name="other")
    controller = Controller(tmp_path, clock=lambda: START + 20.0)
    controller.turn()
    record = standing(store, "r1", START + 20.0)
    seen, line = record["outcomes"], record["evidence"][0]
    controller.close()
    window = seen.pop("windows")["revenue"]
    assert seen == {
        "received": 2,
        "duplicates": 1,
        "contradictions": 1,
        "late": 1,
        "early": 1,
        "corrected": 1,
        "astray": 1,
        "orphans": 0,
    }
    assert (window["open"], window["settled"], window["immature"], window["late"]) == (1, 4, 0.2, 1)
    assert line["assumptions"][-1].startswith("1 outcome has been corrected: the values are those known at this look")
    store.close()
    inbox.close()
