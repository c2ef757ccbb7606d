"""Whole rollouts with ten metrics and twenty segments, decided look by look as the controller does it.

A unit's ten values hang together, as those of people do; segments are of very different sizes, and their values are not
known beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import norm

from crossfade.judge.assess import assess
from crossfade.judge.decide import decide
from crossfade.judge.measure.measured import Measured, Progress, Segment, Segmented
from crossfade.judge.measure.spread import SUPPORT
from crossfade.judge.moments import MeanMoments, Moments, RateMoments
from crossfade.judge.seen import seen_of
from crossfade.judge.segments import harmed
from crossfade.spec.model import (
    Ab,
    Arm,
    Better,
    Canary,
    Field,
    From,
    Kind,
    Margin,
    Metric,
    Protocol,
    Rollout,
    Source,
    Until,
)
from crossfade.state import ENDED, Move, Phase, Position, apply, weight

BEGAN = 1_790_000_000.0
COUNTRY = Field(source=From.HEADER, name="x-country")
SEGMENTS = 20
LARGE = 0.28
"""Share of the largest segment; each of the others has about as much less as cities do, the smallest 1.4 %."""

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.01, 0.05)
NOTHING = Margin(value=0.0, relative=False)


def metrics() -> tuple[Metric, ...]:
    """Six rates of outcomes, two of failures and two means, none of which may be worse at all."""
    found = [
        Metric(name=f"outcome-{n}", source=Source.OUTCOME, kind=Kind.RATE, better=Better.LOWER, window=0.0)
        for n in range(6)
    ]
    found += [
        Metric(name=f"failure-{n}", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER) for n in range(2)
    ]
    found += [
        Metric(name=f"cost-{n}", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.LOWER, window=0.0)
        for n in range(2)
    ]
    return tuple(
        Metric(name=one.name, source=one.source, kind=one.kind, better=one.better, window=one.window, guardrail=NOTHING)
        for one in found
    )


def rollout() -> Rollout:
    """A canary of two steps, and a test of half of the units."""
    return Rollout(
        name="r",
        route="/r",
        protocol=Protocol.JSON,
        unit=Field(source=From.HEADER, name="x-user"),
        champion=Arm(name="v1", url="http://127.0.0.1:1"),
        challengers=(Arm(name="v2", url="http://127.0.0.1:2"),),
        metrics=metrics(),
        stages=(Canary(steps=(0.05, 0.25), hold_for=300.0), Ab(weight=0.5, until=Until(at_most=3600.0))),
        segments=(COUNTRY,),
    )


def shares() -> np.ndarray:
    """How large the segments are."""
    sizes = 1.0 / np.arange(1, SEGMENTS + 1)
    return np.asarray(sizes / sizes.sum())


@dataclass(frozen=True, kw_only=True)
class Harm:
    """A challenger that is worse in one segment alone."""

    segment: int
    metric: int
    """One of the rates."""
    rate: float


@dataclass(kw_only=True)
class Traffic:
    """The units of one stage, slice by slice, in arrays over segments and slices."""

    rng: np.random.Generator
    sizes: np.ndarray
    harm: Harm | None
    step: list[int] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    units: list[np.ndarray] = field(default_factory=list)
    """Per slice: counts of shape (arms, segments)."""
    events: list[np.ndarray] = field(default_factory=list)
    """Of shape (rates, arms, segments)."""
    sums: list[np.ndarray] = field(default_factory=list)
    """Of shape (means, sum and squares, arms, segments)."""
    order: list[int] = field(default_factory=list)
    """Segments as they came to have enough units."""

    def come(self, many: int, step: int, share: float) -> None:
        """So many units enter, and what becomes of them is known at once."""
        rng = self.rng
        where = rng.choice(len(self.sizes), many, p=self.sizes)
        arm = (rng.random(many) < share).astype(np.int64)
        self._reach(where)
        cell = arm * len(self.sizes) + where
        shape = (2, len(self.sizes))
        latent = rng.normal(size=many)
        counted = []
        for number, rate in enumerate(RATES):
            own = 0.6 * latent + 0.8 * rng.normal(size=many)
            chance = np.full(many, rate)
            if self.harm is not None and self.harm.metric == number:
                chance[(where == self.harm.segment) & (arm == 1)] = self.harm.rate
            counted.append(np.bincount(cell[norm.cdf(own) < chance], minlength=cell_count(shape)).reshape(shape))
        sums = []
        for _ in range(2):
            value = np.exp(0.6 * latent + 0.8 * rng.normal(size=many))
            parts = (np.bincount(cell, weights=part, minlength=cell_count(shape)) for part in (value, value**2))
            sums.append([part.reshape(shape) for part in parts])
        self.step.append(step)
        self.share.append(share)
        self.units.append(np.bincount(cell, minlength=cell_count(shape)).reshape(shape))
        self.events.append(np.array(counted))
        self.sums.append(np.array(sums))

    def _reach(self, where: np.ndarray) -> None:
        before = sum((one.sum(axis=0) for one in self.units), np.zeros(len(self.sizes), dtype=np.int64))
        found = []
        for segment in np.flatnonzero(before < SUPPORT).tolist():
            came = np.flatnonzero(where == segment)
            if before[segment] + len(came) >= SUPPORT:
                found.append((int(came[SUPPORT - 1 - before[segment]]), segment))
        self.order += [segment for _, segment in sorted(found)]

    def moments(self, number: int, segment: int | None) -> Moments:
        """What is known of one metric, in one segment or in all."""
        which = slice(None) if segment is None else slice(segment, segment + 1)
        units = np.array([one[:, which].sum(axis=1) for one in self.units])
        step, share = np.array(self.step), np.array(self.share)
        if number >= len(RATES):
            sums = np.array([one[number - len(RATES)][:, :, which].sum(axis=2) for one in self.sums])
            steps = np.unique(step)
            rows = [step == one for one in steps]
            total = {
                f"{name}_{arm}": np.array([sums[row, part, place].sum() for row in rows])
                for part, name in enumerate(("sum", "squares"))
                for place, arm in enumerate("ab")
            }
            counts = {f"n_{arm}": np.array([units[row, place].sum() for row in rows]) for place, arm in enumerate("ab")}
            return MeanMoments(step=steps, **counts, **total)
        events = np.array([one[number][:, which].sum(axis=1) for one in self.events])
        settled = number < 6
        return RateMoments(
            step=step,
            bucket=np.arange(len(step)),
            share=share,
            n_a=units[:, 0],
            k_a=events[:, 0],
            n_b=units[:, 1],
            k_b=events[:, 1],
            settled=settled,
            seen_a=None if settled else units[:, 0],
            seen_b=None if settled else units[:, 1],
        )


def cell_count(shape: tuple[int, int]) -> int:
    return shape[0] * shape[1]


def measured(asked: Rollout, position: Position, traffic: Traffic, now: float) -> Measured:
    """The look that an engine would give."""
    names = [metric.name for metric in asked.metrics]
    seen = sum(traffic.units, np.zeros((2, len(traffic.sizes)), dtype=np.int64))
    here = np.array([one for one, step in zip(traffic.units, traffic.step, strict=True) if step == position.step])
    segments = tuple(
        Segment(field=str(COUNTRY), value=f"c{one}", place=place, units=int(seen[:, one].sum()))
        for place, one in enumerate(traffic.order)
    )
    progress = Progress(
        requests=int(seen.sum()),
        units={"v1": int(seen[0].sum()), "v2": int(seen[1].sum())},
        step_units={"v1": int(here[:, 0].sum()), "v2": int(here[:, 1].sum())} if len(here) else {},
    )
    return Measured(
        rollout=asked.name,
        stage=position.stage,
        step=position.step,
        mode="",
        since=position.stage_since,
        now=now,
        metrics={(name, "v2"): traffic.moments(number, None) for number, name in enumerate(names)},
        progress=progress,
        segments=Segmented(
            segments=segments,
            metrics={
                (name, "v2", one.name): traffic.moments(number, int(one.value[1:]))
                for number, name in enumerate(names)
                for one in segments
            },
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Why one rollout ended: the rule that took a wrong (or right) turn, and the segment that was named first."""

    rule: str
    segments: tuple[str, ...]


def run(seed: int, *, rate: float = 20.0, harm: Harm | None = None, looks: int = 8) -> Ended:
    """One rollout of so many units a second, looked at so many times a step, until harm is claimed or time is up."""
    asked, rng = rollout(), np.random.default_rng(seed)
    position = apply(asked, Position(), Move.START, BEGAN)
    now, traffic = BEGAN, Traffic(rng=rng, sizes=shares(), harm=harm)
    while True:
        stage = asked.stages[position.stage]
        lasts = 300.0 if isinstance(stage, Canary) else 3600.0
        passed = lasts / looks
        now += passed
        traffic.come(int(rng.poisson(rate * passed)), position.step, weight(asked, position))
        found = measured(asked, position, traffic, now)
        evidence = assess(asked, found)
        decision = decide(asked, position, evidence, now, seen_of(found))
        if decision.rule in ("harm", "segment") and decision.move is not None:
            return Ended(rule=decision.rule, segments=tuple(one.value for one in harmed(asked, evidence)))
        if decision.move is None:
            continue
        before, position = position, apply(asked, position, decision.move, now, held_for=decision.held_for)
        if position.phase in ENDED or position.phase is Phase.PROMOTED:
            return Ended(rule=decision.rule, segments=())
        if position.stage != before.stage:
            traffic = Traffic(rng=rng, sizes=shares(), harm=harm)


HARMED = Harm(segment=8, metric=2, rate=0.2)
"""Three units in a hundred, which come to harm four times as often."""


def false_alarms(runs: int) -> int:
    """Of rollouts with equal arms, those in which anything is called harmful: the whole, or any segment."""
    return sum(run(seed).rule in ("harm", "segment") for seed in range(runs))


def named(runs: int) -> tuple[int, int]:
    """Of rollouts that harm one segment: those that name it first, and those that name another."""
    found = [run(100_000 + seed, harm=HARMED) for seed in range(runs)]
    right = sum(one.segments[:1] == (f"c{HARMED.segment}",) for one in found)
    wrong = sum(any(name != f"c{HARMED.segment}" for name in one.segments) for one in found)
    return right, wrong
