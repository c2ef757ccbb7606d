"""Means adjusted for what a model predicted of a unit in the shadow, and what no arm can reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

from crossfade.facts import Fact
from crossfade.judge.evidence import Evidence
from crossfade.judge.infer import infer
from crossfade.judge.measure import assemble
from crossfade.judge.moments import MeanMoments
from crossfade.rim.engine import Engine
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.spec.model import Ab, Better, Kind, Metric, Rollout, Shadow, Source
from crossfade.state import Phase, Position
from rim.by_hand import ROLLOUT
from rim.facts_made import START, compared, exposed, outcome

UNITS = 1_200
ENTER = START + 100.0
HERE = Position(phase=Phase.RUNNING, stage=1, stage_since=ENTER, step_since=ENTER)
PLAIN = Metric(
    name="plain", source=Source.OUTCOME, kind=Kind.MEAN, better=Better.HIGHER, window=10.0, outcome="progression"
)
GUESSED = replace(PLAIN, name="guessed", predicted="champion")


def rollout() -> Rollout:
    stages = (Shadow(), Ab(weight=0.5))
    return replace(ROLLOUT, challengers=ROLLOUT.challengers[:1], metrics=(PLAIN, GUESSED), stages=stages)


class Tried:
    def __init__(self, data: Path) -> None:
        self.lake, self.journal, self.inbox = Lake(data), Journal(data, "w0"), OutcomeInbox(data)
        self.engine = Engine(self.lake, threads=1)

    def add(self, facts: list[Fact]) -> None:
        self.journal.append(facts)
        self.lake.compact_journals()

    def moments(self) -> dict[str, MeanMoments]:
        measured = self.engine.measure(rollout(), HERE, ENTER + 100.0)
        found = {}
        for name in ("plain", "guessed"):
            moments = measured.metrics[name, "v2"]
            assert isinstance(moments, MeanMoments)
            found[name] = moments
        return found


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[Tried]:
    one = Tried(tmp_path)
    yield one
    one.engine.close()
    one.journal.close()
    one.lake.close()


def visits(tried: Tried, truth: np.ndarray) -> None:
    tried.add([exposed(n, unit=f"u{n}", arm=("v1", "v2")[n % 2], stage=1, at=ENTER + 1.0) for n in range(len(truth))])
    told = [
        outcome(f"o{n}", decision_id=f"d{n}", name="progression", value=float(value), at=ENTER, received_at=ENTER + 2.0)
        for n, value in enumerate(truth)
    ]
    tried.inbox.accept(told)
    tried.lake.compact_journals()


def line(metric: Metric, moments: MeanMoments) -> Evidence:
    given = {"role": "goal", "limit": None, "arm": "v2", "baseline": "v1", "stage": "ab", "step": None}
    return infer(metric, moments, **given, alpha_harm=0.05, alpha_safe=0.05)


def width(evidence: Evidence) -> float:
    assert evidence.lower is not None
    assert evidence.upper is not None
    return evidence.upper - evidence.lower


def mirrored(n: int, unit: int, value: float, **changes: object) -> Fact:
    return compared(n, decision_id=f"m{n}", unit=f"u{unit}", champion_numbers=(value,), **changes)


def test_a_real_model_explains_what_units_differ_by(tried: Tried) -> None:
    """Patients; two in three came in the shadow, where a ridge regression, trained on others, said how ill they get."""
    x, y = load_diabetes(return_X_y=True)
    model = Ridge(alpha=0.1).fit(x[:142], y[:142])
    rng = np.random.default_rng(8)
    who = rng.integers(142, len(y), UNITS)
    tried.add([mirrored(n, n, float(model.predict(x[who[n] : who[n] + 1])[0])) for n in range(UNITS) if n % 3])
    visits(tried, y[who] + np.where(np.arange(UNITS) % 2, 5.0, 0.0))
    moments = tried.moments()
    plain, guessed = line(PLAIN, moments["plain"]), line(GUESSED, moments["guessed"])
    assert "explains" in guessed.reason
    narrower = width(guessed) / width(plain)
    known = np.arange(UNITS) % 3 > 0
    explained = known.mean() * np.corrcoef(model.predict(x[who[known]]), y[who[known]])[0, 1] ** 2
    print(f"interval {narrower:.3f} of the plain one, {1 - narrower**2:.0%} of the variance; {guessed.reason}")
    assert narrower == pytest.approx((1.0 - explained) ** 0.5, abs=0.04)
    assert guessed.estimate == pytest.approx(5.0, abs=width(guessed) / 2)


def test_what_is_predicted_after_the_first_exposure_changes_nothing(tried: Tried) -> None:
    truth = np.arange(40.0) % 7
    tried.add([mirrored(n, n, n % 5.0) for n in range(40)])
    visits(tried, truth)
    before = tried.moments()["guessed"]
    late = [mirrored(100 + n, n, 1e6 * (n % 2), at=ENTER + 1.0 + n % 3, stage=n % 2) for n in range(40)]
    tried.add([*late, mirrored(200, 3, 1e6, champion_failed=True), mirrored(201, 4, 1e301)])
    after = tried.moments()["guessed"]
    for name in ("cov_sum_a", "cov_squares_b", "cov_products_a", "n_a"):
        assert getattr(after, name).tolist() == getattr(before, name).tolist()
    # Seen later, but said before: it counts, and in its unit's mean.
    tried.add([mirrored(300, 1, 9.0)])
    assert tried.moments()["guessed"].cov_sum_b.sum() == pytest.approx(before.cov_sum_b.sum() + (9.0 - 1.0) / 2)


def test_units_that_nobody_saw_before_count_as_the_average_one() -> None:
    """Equal to what the sums of the filled column give."""
    rng = np.random.default_rng(5)
    arm, known = np.array(["v1", "v2"])[rng.integers(0, 2, 500)], rng.random(500) < 0.6
    x, y = rng.normal(3.0, 1.0, 500), rng.normal(0.0, 1.0, 500)
    filled = np.where(known, x, x[known].mean())
    rows: dict[str, list[float]] = {}
    for one in ("v1", "v2"):
        here = arm == one
        told = here & known
        sums = {
            "n": here.sum(),
            "total": y[here].sum(),
            "squares": (y[here] ** 2).sum(),
            "cov_sum": x[told].sum(),
            "cov_squares": (x[told] ** 2).sum(),
            "cov_products": (x[told] * y[told]).sum(),
            "cov_known": told.sum(),
            "cov_met": y[told].sum(),
        }
        for name, value in sums.items():
            rows.setdefault(name, []).append(value)
    columns = {name: np.array(column) for name, column in rows.items()}
    keys = {"arm": np.array(["v1", "v2"]), "step": np.zeros(2, dtype=np.int64), "weight": np.full(2, 0.5)}
    moments = assemble.mean({**keys, **columns, "closed": np.ones(2, dtype=bool)}, "v1", "v2")
    for side, one in (("a", "v1"), ("b", "v2")):
        here = arm == one
        assert getattr(moments, f"cov_sum_{side}") == pytest.approx([filled[here].sum()])
        assert getattr(moments, f"cov_squares_{side}") == pytest.approx([(filled[here] ** 2).sum()])
        assert getattr(moments, f"cov_products_{side}") == pytest.approx([(filled[here] * y[here]).sum()])


def test_a_guess_is_not_counted_as_an_outcome(tried: Tried) -> None:
    tried.add([mirrored(n, n, 1.0) for n in range(10)])
    visits(tried, np.ones(6))
    measured = tried.engine.measure(rollout(), HERE, ENTER + 100.0)
    assert measured.progress.received is not None
    assert measured.progress.received.received == 6
