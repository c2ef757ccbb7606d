"""`crossfade mute` and `unmute`: entries of the ledger, and what they change."""

from __future__ import annotations

import json
from pathlib import Path

from crossfade import ledger
from crossfade.live.routes import routes
from crossfade.rim.glance import FILE, Glance
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.store import Store
from rim.facts_made import compared

from .conftest import Crossfade


def test_a_mute_is_a_decision_with_a_name_and_a_reason(crossfade: Crossfade, data: Path) -> None:
    where = ("--data", str(data))
    ran = crossfade("mute", "ranker-v2", "$.took", "--reason", "a time", "--actor", "ana", *where)
    assert (ran.code, ran.out) == (0, "Muted $.took by ana: a time (entry 5)\n")
    entry = json.loads(crossfade("explain", "ranker-v2", "5", "--json", *where).out)
    assert (entry["rule"], entry["move"], entry["actor"]) == ("mute", None, "ana")
    store = Store(data)
    assert ledger.verify(store.entries("ranker-v2"), store.head("ranker-v2")).intact
    (seen,) = (one for one in Glance(store.data / FILE).rollouts() if one.rollout.name == "ranker-v2")
    assert [(one.path, one.mute) for one in routes(seen.rollout, seen.position).compare] == [("$.took", "a time")]
    [rollout] = json.loads(crossfade("status", "--json", *where).out)["rollouts"]
    assert rollout["muted"] == {"$.took": "a time"}
    ran = crossfade("unmute", "ranker-v2", "$.took", "--reason", "it matters", "--actor", "ben", *where)
    assert ran.out == "Unmuted $.took by ben: it matters (entry 6)\n"
    assert store.get("ranker-v2").position.muted == ()
    assert ledger.verify(store.entries("ranker-v2"), store.head("ranker-v2")).intact


def test_what_is_muted_is_shown_and_outlives_moves(crossfade: Crossfade, data: Path) -> None:
    where = ("--data", str(data))
    journal, lake = Journal(data, "w0"), Lake(data)
    more = {"rollout": "ranker-v2", "differs": True, "noise_differs": False, "fields": ("$.took",), "kinds": ("value",)}
    journal.append([compared(n, **more, among=5) for n in range(60)])
    lake.compact_journals()
    journal.close()
    lake.close()
    assert "✖ $.took  harmful" in crossfade("differences", "ranker-v2", *where).out
    crossfade("mute", "ranker-v2", "$.took", "--reason", "a time", *where)
    crossfade("hold", "ranker-v2", "--reason", "lunch", *where)
    out = crossfade("differences", "ranker-v2", *where).out
    assert "muted" in out
    assert "a time" in out
    (arm,) = json.loads(crossfade("differences", "ranker-v2", "--json", *where).out)["arms"]
    assert (arm["disagreement"]["differing"], arm["disagreement"]["verdict"]) == (0, "undecided")


def test_what_cannot_be_muted_is_told(crossfade: Crossfade, data: Path) -> None:
    where = ("--data", str(data))
    assert crossfade("mute", "ranker-v2", "$.x", *where).code == 2
    assert "needs a reason" in crossfade("mute", "ranker-v2", "$.x", "--reason", " ", *where).err
    assert "is no field" in crossfade("mute", "ranker-v2", "$.x[", "--reason", "why", *where).err
    ran = crossfade("unmute", "ranker-v2", "$.x", "--reason", "why", *where)
    assert (ran.code, "$.x is not muted; muted by hand: nothing" in ran.err) == (2, True)
    crossfade("mute", "ranker-v2", "$.x", "--reason", "why", *where)
    assert "muted already" in crossfade("mute", "ranker-v2", "$.x", "--reason", "why", *where).err
    assert crossfade("mute", "nobody", "$.x", "--reason", "why", *where).code == 2
