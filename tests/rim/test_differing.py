"""Differences by field, from the facts in the lake: the same sums as by hand, also over what earlier versions wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossfade.facts import Compared
from crossfade.rim.differing import Differing
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake, columns
from crossfade.spec.model import Canary, Comparison, Rollout, Shadow
from crossfade.state import Position
from view.sample import ROLLOUT

from .facts_made import compared

SHADOWED = replace(ROLLOUT, name="r1", stages=(Shadow(gates=(("disagreement", 0.05),)), Canary(steps=(0.1,))))
PATHS = ("$.a", "$.b", "$.c")


def keep(folder: Path, facts: Iterable[Compared]) -> None:
    journal, lake = Journal(folder, "w0"), Lake(folder)
    journal.append(list(facts))
    lake.compact_journals()
    lake.close()
    journal.close()


def pair(n: int, ours: tuple[str, ...], noise: tuple[str, ...] | None = None, **more: Any) -> Compared:
    given: dict[str, Any] = {
        "differs": bool(ours),
        "noise_differs": None if noise is None else bool(noise),
        "fields": ours,
        "kinds": ("value",) * len(ours),
        "noise_fields": noise or (),
        "among": 10 if ours or noise else 0,
    }
    return compared(n, **(given | more))


def arm(folder: Path, rollout: Rollout = SHADOWED, position: Position | None = None) -> dict[str, Any]:
    (found,) = Differing(folder).of(rollout, position or Position())["arms"]
    return found


def line(record: dict[str, Any], path: str) -> dict[str, Any]:
    return next(one for one in record["fields"] if one["path"] == path)


fields = st.lists(st.sampled_from(PATHS), unique=True, max_size=3).map(tuple)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(fields, st.none() | fields), min_size=1, max_size=30))
def test_sums_are_those_by_hand(tmp_path_factory: pytest.TempPathFactory, pairs: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("data")
    keep(folder, (pair(n, ours, noise) for n, (ours, noise) in enumerate(pairs)))
    record = arm(folder)
    twice = [(set(ours), set(noise)) for ours, noise in pairs if noise is not None]
    assert (record["pairs"], record["twice"]) == (len(pairs), len(twice))
    assert record["disagreement"]["differing"] == sum(bool(ours) for ours, _ in pairs)
    for path in PATHS:
        differing = sum(path in ours for ours, _ in pairs)
        noisy = sum(path in noise for _, noise in twice)
        if not differing and not noisy:
            assert path not in [one["path"] for one in record["fields"]]
            continue
        found = line(record, path)
        assert found["differing"] == differing
        assert found["noise"] == (noisy / len(twice) if twice else None)
        excess = sum((path in ours) - (path in noise) for ours, noise in twice) / len(twice) if twice else None
        if found["verdict"] != "unmeasured" and twice:
            assert found["excess"] == pytest.approx(excess)


def test_a_change_beyond_noise_is_named_with_decisions_to_look_at(tmp_path: Path) -> None:
    facts = [pair(n, ("$.a",) if n % 5 == 0 else ("$.b",), ("$.b",)) for n in range(500)]
    keep(tmp_path, facts)
    record = arm(tmp_path)
    assert line(record, "$.a")["verdict"] == "harmful"
    assert line(record, "$.b")["verdict"] != "harmful"
    assert record["fields_never_differing"] == 8
    assert record["margin"] == 0.05
    assert {one["id"] for one in record["examples"] if one["path"] == "$.a"} <= {f"d{n}" for n in range(0, 500, 5)}


def test_replies_nobody_can_use_have_a_line_of_their_own(tmp_path: Path) -> None:
    failed = {"challenger_failed": True, "differs": False}
    facts = [pair(n, (), **({**failed, "reason": "nan"} if n % 10 == 0 else {})) for n in range(300)]
    facts += [pair(300 + n, (), **failed, reason="timeout") for n in range(50)]
    facts += [pair(400 + n, ("$.a",), kinds=("shape",)) for n in range(10)]
    keep(tmp_path, facts)
    record = arm(tmp_path)
    assert record["pairs"] == 310
    assert (record["catastrophic"]["differing"], record["catastrophic"]["verdict"]) == (40, "harmful")
    assert record["failed"]["challenger"] == {"nan": 30, "timeout": 50}


def test_muted_fields_are_shown_with_the_reason(tmp_path: Path) -> None:
    keep(tmp_path, [pair(n, ("$.meta.t",), differs=False) for n in range(100)])
    record = arm(tmp_path, replace(SHADOWED, compare=(Comparison(path="$.meta", mute="a time"),)))
    assert line(record, "$.meta.t")["muted"] == "a time"
    assert record["disagreement"]["differing"] == 0


def test_facts_of_an_earlier_version_are_counted_as_far_as_they_tell(tmp_path: Path) -> None:
    """They name the fields, not how they differ, nor where the champion differs from itself."""
    old = [pair(n, ("$.a",), () if n < 10 else ("$.a",)) for n in range(20)]
    table = columns("compared", old).drop_columns(["kinds", "noise_fields", "among"])
    write_deltalake(str(tmp_path / "lake" / "compared"), table)
    record = arm(tmp_path)
    assert (record["pairs"], record["twice"]) == (20, 10)
    assert line(record, "$.a")["kinds"] == {"value": 20}
    keep(tmp_path, [pair(20 + n, ("$.a",), ("$.a",), kinds=("order",)) for n in range(5)])
    record = arm(tmp_path)
    assert (record["pairs"], record["twice"]) == (25, 15)
    assert line(record, "$.a")["kinds"] == {"value": 20, "order": 5}


def test_new_facts_are_seen_and_each_challenger_has_its_own(tmp_path: Path) -> None:
    differing = Differing(tmp_path)
    assert differing.of(SHADOWED, Position())["reason"] == "no mirrored request has been compared yet"
    keep(tmp_path, [pair(0, ("$.a",))])
    assert [one["pairs"] for one in differing.of(SHADOWED, Position())["arms"]] == [1]
    keep(tmp_path, [pair(1, (), arm="v3"), pair(2, ("$.a",))])
    found = {one["arm"]: one["pairs"] for one in differing.of(SHADOWED, Position())["arms"]}
    assert found == {"v2": 2, "v3": 1}
    assert differing.of(replace(SHADOWED, name="other"), Position())["available"] is False


def test_a_rollout_without_a_shadow_says_so(tmp_path: Path) -> None:
    said = Differing(tmp_path).of(replace(SHADOWED, stages=(Canary(steps=(0.1,)),)), Position())
    assert (said["available"], "no shadow stage" in said["reason"]) == (False, True)


def test_a_field_muted_by_hand_is_shown_and_does_not_count(tmp_path: Path) -> None:
    """The mute came after the pairs: what they were recorded with says what is left."""
    keep(
        tmp_path,
        [
            *(pair(n, ("$.took", "$.took.a"), ("$.took",)) for n in range(50)),
            *(pair(n, ("$.tooken",), ()) for n in range(50, 60)),
            pair(60, ("$.took",), (), kinds=("nan",)),
        ],
    )
    before = arm(tmp_path)
    assert (before["disagreement"]["differing"], before["catastrophic"]["differing"]) == (61, 1)
    found = arm(tmp_path, position=Position(muted=(("$.took", "a time"),)))
    assert (found["disagreement"]["differing"], found["disagreement"]["noise"]) == (10, 0.0)
    assert found["catastrophic"]["differing"] == 0
    assert {one["path"]: one["muted"] for one in found["fields"]} == {
        "$.took": "a time", "$.took.a": "a time", "$.tooken": None
    }  # fmt: skip
    assert line(found, "$.took")["differing"] == 51


def test_latency_and_cost_are_paired_by_unit(tmp_path: Path) -> None:
    facts = [
        pair(n, (), unit=f"u{n % 200}", champion_ms=10.0 + n % 7, challenger_ms=13.0 + n % 7, champion_cost=2.0,
             challenger_cost=None if n % 10 == 0 else 1.5)
        for n in range(400)
    ]  # fmt: skip
    keep(tmp_path, facts)
    told = arm(tmp_path)
    latency, cost = told["latency"], told["cost"]
    assert (latency["units"], latency["pairs"], latency["missing"]) == (200, 400, 0)
    assert latency["difference"] == pytest.approx(3.0)
    assert latency["lower"] <= 3.0 <= latency["upper"]
    assert (cost["units"], cost["pairs"], cost["missing"]) == (180, 360, 40)
    assert (cost["champion"]["mean"], cost["challenger"]["mean"], cost["difference"]) == (2.0, 1.5, -0.5)


def test_pairs_of_which_a_field_was_not_measured_are_left_out_and_told(tmp_path: Path) -> None:
    why = "shop:embed did not answer within 2 s"
    keep(tmp_path, [pair(n, (), unmeasured=(f"$.a: {why}",) if n < 3 else ()) for n in range(10)])
    told = arm(tmp_path)
    assert (told["pairs"], told["unmeasured"]) == (7, {"$.a": {why: 3}})
    assert told["cost"] is None
