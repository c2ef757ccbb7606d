"""Who looks at kept replies is in the ledger before they see them, once an hour, and the record goes on to hold."""

from __future__ import annotations

from pathlib import Path

from crossfade.ledger.kinds import LOOKED
from crossfade.rim.dossier import gather
from crossfade.rim.reads import EVERY, Reads
from crossfade.rim.record import LiveRecord
from crossfade.rim.replaying import replay
from crossfade.rim.store import Store
from crossfade.rim.verifying import check
from crossfade.view.dossier import dossier

from .facts_made import START
from .recorded import NAME, make

ANA = {"through": "token", "token": "ana", "roles": ["viewer"]}
NOBODY = {"through": "this machine, without a token"}


def test_one_entry_an_hour_and_person_also_over_restarts(tmp_path: Path) -> None:
    def looked_meanwhile(store: Store, now: float) -> None:
        Reads(store).note(NAME, "ana", ANA, now)

    make(tmp_path, wrong=0.9, ticks=12, after=looked_meanwhile)
    store = Store(tmp_path)
    (first,) = (entry for entry in store.entries(NAME) if entry.rule == LOOKED)
    assert (first.actor, first.by, first.move) == ("ana", ANA, None)
    assert first.sentence == "ana looked at replies that are kept as examples."
    reads = Reads(store)
    assert reads.note(NAME, "ana", ANA, first.at + EVERY - 1.0) is None
    assert reads.note(NAME, "ana", {**ANA, "token": "ana-2"}, first.at + 1.0) is not None
    assert reads.note(NAME, "somebody", NOBODY, first.at + 2.0) is not None
    assert reads.note(NAME, "ana", ANA, first.at + EVERY) is not None
    assert reads.note(NAME, "ana", ANA, first.at + EVERY + 1.0) is None
    other = Reads(store)
    assert other.note(NAME, "ana", ANA, first.at + EVERY + 2.0) is None
    assert reads.note(NAME, "ana", ANA, first.at + 2 * EVERY) is not None
    assert other.note(NAME, "ana", ANA, first.at + 2 * EVERY + 3.0) is None, "another page has noted it meanwhile"
    store.close()
    record = LiveRecord(tmp_path, NAME)
    assert check(record).intact
    told = replay(record).to_json()
    assert told["differing"] == []
    assert told["reproduced"] == told["decisions"] > 0
    parts = {part["id"]: part for part in dossier(gather(record, now=START + 9e4))["parts"]}
    record.close()
    acts, looks = (block["rows"] for block in parts["people"]["blocks"] if block["kind"] == "table")
    assert [row[2] for row in acts] == ["ana"]
    assert [tuple(row[2:]) for row in looks] == [
        ("ana", "token ana (viewer)"),
        ("ana", "token ana-2 (viewer)"),
        ("somebody", "this machine, without a token"),
        ("ana", "token ana (viewer)"),
        ("ana", "token ana (viewer)"),
    ]
