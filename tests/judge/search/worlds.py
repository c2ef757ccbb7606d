"""Seeded rows in which one segment is harmed, or nobody, or everybody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossfade.judge.infer.question import Question
from crossfade.judge.moments import Floats
from crossfade.judge.search import Compared, Paired, Table, feature
from crossfade.judge.search.cells import Bools, Feature
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

LONG = 1e6
"""A time at which everything has come in."""

HARMED = "header:x-country=zz"
"""3 % of the rows."""


def question(
    limit: float | None = 0.005,
    *,
    name: str = "errors",
    better: Better = Better.LOWER,
    source: Source = Source.RESPONSE,
) -> Question:
    """What is asked of v2 against v1."""
    return Question(
        metric=Metric(name=name, source=source, kind=Kind.RATE, better=better),
        role="guardrail",
        limit=None if limit is None else Margin(value=limit, relative=False),
        arm="v2",
        baseline="v1",
        stage="ab",
        step=None,
        alpha_harm=0.05,
        alpha_safe=0.05,
    )


def features(chance: np.random.Generator, rows: int) -> tuple[Feature, ...]:
    """A declared country, of which one in 3 % of rows, an age, an app version and a platform."""
    countries = [f"c{i}" for i in range(15)] + ["zz"]
    return (
        feature("header:x-country", chance.choice(np.array(countries), rows, p=[0.97 / 15] * 15 + [0.03])),
        feature("json:$.age", np.char.mod("%d", chance.integers(18, 90, rows))),
        feature("header:x-app", np.char.mod("4.%d", chance.integers(0, 6, rows))),
        feature("header:x-platform", chance.choice(np.array(["ios", "android", "web", ""]), rows)),
    )


def units(
    seed: int,
    rows: int,
    *,
    base: float = 0.01,
    harm: float = 0.06,
    everyone: float = 0.0,
    share: float = 0.5,
    limit: float | None = 0.005,
    steps: tuple[float, ...] = (),
) -> Table:
    """Units of an A/B test (or of a canary's `steps`) whose country zz fails more often with the challenger."""
    chance = np.random.default_rng(seed)
    at = np.sort(chance.uniform(0.0, 7200.0, rows))
    known = features(chance, rows)
    step = np.minimum((at / 7200.0 * len(steps)).astype(np.int64), len(steps) - 1) if steps else np.zeros(rows, int)
    shares: Floats = np.asarray(steps)[step] if steps else np.full(rows, share)
    is_b = chance.random(rows) < shares
    event = chance.random(rows) < base + is_b * (everyone + harm * harmed(known))
    return Table(
        at=at,
        features=known,
        signals=(
            Compared(
                question=question(limit),
                is_b=is_b,
                use=np.ones(rows, dtype=bool),
                share=shares,
                step=step,
                event=event,
                happened=np.where(event, at, np.inf),
                counts_from=at,
                settled=False,
            ),
        ),
    )


def outcomes(seed: int, rows: int, *, base: float, harm: float, window: float = 600.0) -> Table:
    """The same where a purchase, known when a unit's window closes, is rarer in country zz with the challenger."""
    table = units(seed, rows, base=base, harm=-harm, limit=None)
    (signal,) = table.signals
    assert isinstance(signal, Compared)
    asked = question(None, name="purchase", better=Better.HIGHER, source=Source.OUTCOME)
    closed = table.at + window
    return replace(table, signals=(replace(signal, question=asked, happened=closed, counts_from=closed, settled=True),))


def pairs(seed: int, rows: int, *, noise: float = 0.01, harm: float = 0.3, limit: float = 0.05) -> Table:
    """Mirrored requests whose replies differ by chance, and more often in country zz."""
    chance = np.random.default_rng(seed)
    known = features(chance, rows)
    differs = chance.random(rows) < noise + harm * harmed(known)
    return Table(
        at=np.sort(chance.uniform(0.0, 7200.0, rows)),
        features=known,
        signals=(
            Paired(
                question=question(limit, name="disagreement"),
                use=np.ones(rows, dtype=bool),
                difference=differs.astype(np.int8),
            ),
        ),
    )


def harmed(known: tuple[Feature, ...]) -> Bools:
    """The rows of country zz."""
    country = known[0]
    return np.asarray(country.code == country.values.index("zz"))
