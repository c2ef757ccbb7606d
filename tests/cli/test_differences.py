"""`crossfade differences`: the fields of a rollout's mirrored replies, from its own lake."""

from __future__ import annotations

import json
from pathlib import Path

from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from rim.facts_made import compared

from .conftest import Crossfade


def test_nothing_compared_is_said(crossfade: Crossfade, data: Path) -> None:
    ran = crossfade("differences", "ranker-v2", "--data", str(data))
    assert (ran.code, ran.out) == (0, "ranker-v2: nothing to show: no mirrored request has been compared yet\n")


def test_fields_are_shown_with_decisions_to_look_at(crossfade: Crossfade, data: Path) -> None:
    journal, lake = Journal(data, "w0"), Lake(data)
    more = {"rollout": "ranker-v2", "differs": True, "noise_differs": False, "fields": ("$.items[*].score", "$.x")}
    journal.append([compared(n, **more, kinds=("value", "type"), among=5) for n in range(60)])
    lake.compact_journals()
    ran = crossfade("differences", "ranker-v2", "--data", str(data))
    assert ran.code == 0
    assert "ranker-v2: v2 against the champion  60 pairs" in ran.out
    assert "✖ $.x  harmful" in ran.out
    assert "decision d" in ran.out
    assert "3 fields never differ" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    (arm,) = json.loads(crossfade("differences", "ranker-v2", "--data", str(data), "--json").out)["arms"]
    assert {one["path"]: one["kind"] for one in arm["fields"]} == {"$.items[*].score": "value", "$.x": "type"}
    journal.close()
    lake.close()


def test_an_unknown_name_is_wrong_use(crossfade: Crossfade, data: Path) -> None:
    ran = crossfade("differences", "ranker-2", "--data", str(data))
    assert (ran.code, "did you mean ranker-v2?" in ran.err) == (2, True)
