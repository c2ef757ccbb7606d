"""Moments by segment: a unit stays where its first request put it, and the segments add up to the whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossfade.facts import Compared
from crossfade.judge.measure import Measured, spread
from crossfade.judge.moments import BINS, MeanMoments, PairedMoments, QuantileMoments, RateMoments, RatioMoments
from crossfade.rim.engine import Engine, session
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from rim.by_hand import ROLLOUT, Naive, World, make
from rim.engine.test_law import METRICS
from rim.facts_made import START, exposed

SPEC = replace(
    ROLLOUT,
    metrics=(
        *ROLLOUT.metrics,
        *(
            replace(m, name=f"{m.name}-too", outcome="money", per=m.per and "purchase")
            for m in METRICS
            if not m.differing
        ),
    ),
)
COUNTRY, PLATFORM = (str(field) for field in ROLLOUT.segments)
NOW = START + 70.0


@pytest.fixture(autouse=True)
def soon_apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(spread, "SUPPORT", 10)
    before = dict(session._compiled)
    session._compiled.clear()
    yield
    session._compiled.clear()
    session._compiled.update(before)


def look(data: Path, world: World, now: float = NOW) -> Measured:
    """One look at a world, kept up in three ticks, and held against one query of everything."""
    lake, inbox, journal = Lake(data), OutcomeInbox(data), Journal(data, "w0")
    engine = Engine(lake, threads=1)
    inbox.accept(world.outcomes)
    for tick in range(3):
        journal.append(world.facts[tick::3])
        lake.compact_journals()
        found = engine.measure(SPEC, world.position, now)
    anew = engine.measure(SPEC, world.position, now, facts=found.facts)
    assert anew.segments.segments == found.segments.segments
    assert anew.segments.others == found.segments.others
    engine.close()
    lake.close()
    return found


def first_said(naive: Naive) -> dict[str, dict[str, str]]:
    """Per field the value of each unit at its first request."""
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for unit, fact in naive.entered.items():
        for place, field in enumerate((COUNTRY, PLATFORM)):
            said[field][unit] = fact.segments[place] if len(fact.segments) > place else ""
    return said


@pytest.mark.parametrize(
    ("stage", "steps"), [(1, (0.0, 30.0, 50.0)), pytest.param(3, (0.0,), marks=pytest.mark.full), (4, (0.0,))]
)
def test_units_are_counted_where_their_first_request_put_them(tmp_path, stage, steps):
    world = make(90 + stage, stage, steps=steps)
    found = look(tmp_path, world)
    naive = Naive(world, NOW)
    said = first_said(naive)
    units = {(one.field, one.value): one.units for one in found.segments.segments}
    for field in (COUNTRY, PLATFORM):
        counted = Counter(said[field].values())
        assert {value: n for (of, value), n in units.items() if of == field} == dict(counted)
    assert found.segments.others == {}
    for arm in ("v2", "v3"):
        for segment in found.segments.segments:
            inside = {u for u, value in said[segment.field].items() if value == segment.value}
            moments = found.segments.metrics["errors", arm, segment.name]
            assert isinstance(moments, RateMoments)
            entered = Counter(naive.entered[unit].arm for unit in inside)
            assert (moments.n_a.sum(), moments.n_b.sum()) == (entered["v1"], entered[arm])
            fallen = Counter({f.unit: f.arm for f in reversed(naive.scope) if f.failed and f.unit in inside}.values())
            assert (moments.k_a.sum(), moments.k_b.sum()) == (fallen["v1"], fallen[arm])


@pytest.mark.parametrize(("stage", "steps"), [(1, (0.0, 30.0, 50.0)), pytest.param(3, (0.0,), marks=pytest.mark.full)])
def test_segments_add_up_to_the_whole(tmp_path, stage, steps):
    found = look(tmp_path, make(60 + stage, stage, steps=steps))
    kinds = set()
    for (metric, arm), whole in found.metrics.items():
        for field in (COUNTRY, PLATFORM):
            parts = [
                found.segments.metrics[metric, arm, one.name] for one in found.segments.segments if one.field == field
            ]
            kinds.add(type(whole))
            for name in type(whole).__dataclass_fields__:
                if name in ("step", "bucket", "share", "settled", "low") or getattr(whole, name) is None:
                    continue
                told = [_laid_out(part, name) for part in parts]
                assert np.sum(told, axis=0) == pytest.approx(_laid_out(whole, name), rel=1e-12), (metric, name)
    assert kinds == {RateMoments, MeanMoments, QuantileMoments, RatioMoments}


def _laid_out(moments, name):
    """A field summed over its rows; of a histogram all bins, as each begins and ends where its own values do."""
    summed = np.sum(getattr(moments, name), axis=0)
    if not isinstance(moments, QuantileMoments) or not np.ndim(summed):
        return summed
    return np.pad(summed, (moments.low, BINS - moments.low - len(summed)))


def value_of(pair: Compared) -> str:
    return pair.segments[0] if pair.segments else ""


def test_pairs_of_a_shadow_have_their_own_values(tmp_path):
    world = make(33, 0)
    found = look(tmp_path, world)
    pairs = Naive(world, NOW).pairs()
    values = Counter(value_of(f) for f in pairs)
    assert {one.value: one.units for one in found.segments.segments if one.field == COUNTRY} == values
    for arm in ("v2", "v3"):
        for value, name in (("de", "de"), ("fr", "fr"), ("", "absent")):
            mine = [f for f in pairs if f.arm == arm and value_of(f) == value]
            failed = found.segments.metrics["errors", arm, f"{COUNTRY}={name}"]
            assert isinstance(failed, PairedMoments)
            assert failed.plus.sum() == sum(f.challenger_failed and not f.champion_failed for f in mine)
            assert failed.minus.sum() == sum(f.champion_failed and not f.challenger_failed for f in mine)
            differs = found.segments.gates["disagreement", arm, f"{COUNTRY}={name}"]
            twice = [f for f in mine if not (f.champion_failed or f.challenger_failed) and f.noise_differs is not None]
            assert isinstance(differs, PairedMoments)
            assert differs.plus.sum() == sum(f.differs and not f.noise_differs for f in twice)


def test_values_beyond_the_first_are_counted_together(tmp_path, monkeypatch):
    monkeypatch.setattr(spread, "MOST", 2)
    facts = [
        exposed(
            n, at=START + n / 10, unit=f"u{n}", arm="v1", mode="ab", stage=3, segments=(("de", "fr", "it", "x")[n % 4],)
        )
        for n in range(38)
    ]
    world = World(stage=3, steps=(0.0,), end=10.0, facts=facts)
    found = look(tmp_path, world)
    assert [one.name for one in found.segments.segments] == [
        f"{COUNTRY}=de",
        f"{COUNTRY}=fr",
        f"{PLATFORM}=absent",
    ]
    # "it" and "x" came to nine units each: too few, whatever the others have.
    assert found.segments.others == {COUNTRY: (18, 2)}


def test_a_value_that_changes_later_moves_nobody(tmp_path):
    """Also where the earlier of two requests is recorded after the later one."""
    facts = []
    for n in range(12):
        common = {"unit": f"u{n}", "arm": "v1", "mode": "ab", "stage": 3}
        facts.append(exposed(2 * n, at=START + 20.0, segments=("late", "web"), **common))
        facts.append(exposed(2 * n + 1, at=START + 1.0 + n / 10, segments=("de", "web"), **common))
    found = look(tmp_path, World(stage=3, steps=(0.0,), end=30.0, facts=facts))
    assert [one.name for one in found.segments.segments] == [f"{COUNTRY}=de", f"{PLATFORM}=web"]
    assert [one.units for one in found.segments.segments] == [12, 12]
