"""`crossfade exclude` and `include`: entries of the ledger, and whom gateways keep on the champion."""

from __future__ import annotations

import json
from pathlib import Path

from crossfade import ledger
from crossfade.live.routes import routes
from crossfade.rim.glance import FILE, Glance
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from view.sample import NOW, SPEC

from .conftest import Crossfade


def declared(data: Path) -> Store:
    """The sample with a revision that declares a segment."""
    store = Store(data)
    text = SPEC.replace("alpha:", "segments: [header:x-country]\nalpha:", 1)
    store.add(text, parse(text), NOW)
    return store


def test_an_exclusion_is_a_decision_with_a_name_and_a_reason_that_gateways_follow(
    crossfade: Crossfade, data: Path
) -> None:
    where = ("--data", str(data))
    because = ("--reason", "slow phones", "--actor", "ana")
    store, field = declared(data), "header:x-country"
    ran = crossfade("exclude", "ranker-v2", f"{field}=DE", *because, *where)
    assert (ran.code, ran.out) == (0, f"Kept {field}=DE on the champion, by ana: slow phones (entry 6)\n")
    entry = json.loads(crossfade("explain", "ranker-v2", "6", "--json", *where).out)
    assert (entry["rule"], entry["move"], entry["actor"]) == ("exclude", None, "ana")
    (seen,) = (one for one in Glance(store.data / FILE).rollouts() if one.rollout.name == "ranker-v2")
    assert routes(seen.rollout, seen.position).excluded == ((0, "DE"),)
    [rollout] = json.loads(crossfade("status", "--json", *where).out)["rollouts"]
    assert rollout["excluded"] == [f"{field}=DE"]
    assert f"kept on the champion: {field}=DE" in crossfade("status", *where).out
    ran = crossfade("include", "ranker-v2", f"{field}=DE", "--reason", "fixed", "--actor", "ben", *where)
    assert ran.out == f"Let {field}=DE be served like all others again, by ben: fixed (entry 7)\n"
    assert store.get("ranker-v2").position.excluded == ()
    assert ledger.verify(store.entries("ranker-v2"), store.head("ranker-v2")).intact


def test_what_cannot_be_excluded_is_told(crossfade: Crossfade, data: Path) -> None:
    where = ("--data", str(data))
    refused = crossfade("exclude", "ranker-v2", "header:x-app=5", "--reason", "why", *where)
    assert "the spec of ranker-v2 declares no segments" in refused.err
    declared(data)
    for segment, word, why in (
        ("header:x-app=5", "exclude", "names no segment that the spec of ranker-v2 declares"),
        ("header:x-country=DE", "include", "is not kept on the champion; segments that are: none"),
        ("DE", "exclude", "expected FIELD=VALUE"),
    ):
        ran = crossfade(word, "ranker-v2", segment, "--reason", "why", *where)
        assert ran.code != 0
        assert why in " ".join(ran.err.split())
