"""Late labels on bundled data: real models, one in shadow; labels come minutes later, and the better one is named."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.facts import Compared, Outcome
from crossfade.judge.assess import assess
from crossfade.judge.decide import Progress, decide
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.moments import ScoredMoments
from crossfade.rim.engine import Engine
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.spec.model import Better, Kind, Margin, Metric, Predicted, Rollout, Shadow, Source, Until
from crossfade.state import Move, Phase, Position
from rim.by_hand import ROLLOUT
from rim.facts_made import START, compared, outcome

HERE = Position(phase=Phase.RUNNING, stage_since=START, step_since=START)
WINDOW = 900.0


class Kept:
    def __init__(self, data: Path) -> None:
        self.lake = Lake(data)
        self.journal = Journal(data, "w0")
        self.inbox = OutcomeInbox(data)
        self.engine = Engine(self.lake, threads=1)

    def add(self, pairs: Sequence[Compared], reports: Sequence[Outcome]) -> None:
        if pairs:
            self.journal.append(list(pairs))
        self.inbox.accept(list(reports))
        self.lake.compact_journals()

    def line(self, rollout: Rollout, now: float) -> Evidence:
        """The line on labels, asked both ways."""
        kept = self.engine.measure(rollout, HERE, now)
        anew = self.engine.measure(rollout, HERE, now, facts=kept.facts)
        (line,) = (line for line in assess(rollout, kept) if line.metric == "quality")
        assert line == next(line for line in assess(rollout, anew) if line.metric == "quality")
        return line


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.engine.close()
    made.inbox.close()
    made.journal.close()
    made.lake.close()


def rollout(kind: Kind, predicted: Predicted, **changes: Any) -> Rollout:
    better = Better.HIGHER if kind in (Kind.ACCURACY, Kind.AUC, Kind.NDCG) else Better.LOWER
    quality = Metric(
        name="quality", source=Source.PREDICTION, kind=kind, better=better, window=WINDOW, goal=True, outcome="label"
    )
    return replace(
        ROLLOUT,
        challengers=ROLLOUT.challengers[:1],
        metrics=(replace(quality, **changes),),
        stages=(Shadow(until=Until(requests=100)), *ROLLOUT.stages[1:]),
        prediction=predicted,
    )


@dataclass(frozen=True)
class Task:
    """Two models' predictions on rows they never saw, and the truth."""

    truth: np.ndarray
    worse: np.ndarray
    better: np.ndarray


@cache
def digits() -> Task:
    datasets = pytest.importorskip("sklearn.datasets", reason="SCIKIT-LEARN IS NOT INSTALLED: no real models to label")
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    x, y = datasets.load_digits(return_X_y=True)
    tree = DecisionTreeClassifier(max_depth=8, random_state=0).fit(x[:600], y[:600])
    linear = LogisticRegression(C=0.01, max_iter=300).fit(x[:600], y[:600])
    return Task(y[600:], tree.predict_proba(x[600:]), linear.predict_proba(x[600:]))


@cache
def tumours() -> Task:
    datasets = pytest.importorskip("sklearn.datasets", reason="SCIKIT-LEARN IS NOT INSTALLED: no real models to label")
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    tree = DecisionTreeClassifier(max_depth=1, random_state=0).fit(x[:120], y[:120])
    linear = LogisticRegression().fit(x[:120], y[:120])
    return Task(y[120:], tree.predict_proba(x[120:])[:, 1], linear.predict_proba(x[120:])[:, 1])


@cache
def diabetes() -> Task:
    datasets = pytest.importorskip("sklearn.datasets", reason="SCIKIT-LEARN IS NOT INSTALLED: no real models to label")
    from sklearn.linear_model import Ridge
    from sklearn.tree import DecisionTreeRegressor

    x, y = datasets.load_diabetes(return_X_y=True)
    tree = DecisionTreeRegressor(random_state=0).fit(x[:100], y[:100])
    linear = Ridge(alpha=0.1).fit(x[:100], y[:100])
    return Task(y[100:], tree.predict(x[100:]), linear.predict(x[100:]))


def offline(kind: Kind, truth: np.ndarray, said: np.ndarray) -> float:
    """What the evaluation of scikit-learn says of all rows."""
    from sklearn import metrics

    match kind:
        case Kind.ACCURACY:
            return float(metrics.accuracy_score(truth, said.argmax(1) if said.ndim > 1 else said >= 0.5))
        case Kind.AUC:
            return float(metrics.roc_auc_score(truth, said))
        case Kind.LOG_LOSS:
            said = np.clip(said, 0.001, 0.999 if said.ndim == 1 else 1.0)
            if said.ndim > 1:
                return float(-np.log(said[np.arange(len(truth)), truth]).mean())
            return float(metrics.log_loss(truth, said))
        case Kind.BRIER if said.ndim == 1:
            return float(metrics.brier_score_loss(truth, said))
        case Kind.RMSE:
            return float(metrics.root_mean_squared_error(truth, said))
    return float(metrics.mean_absolute_error(truth, said))


def numbers(said: Any) -> tuple[float, ...]:
    return tuple(map(float, said)) if np.ndim(said) else (float(said),)


PROBABILITY, VALUE = Predicted(probability="$.p"), Predicted(value="$.y")


@pytest.mark.parametrize(
    ("task", "kind", "predicted"),
    [
        (digits, Kind.ACCURACY, PROBABILITY),
        (digits, Kind.LOG_LOSS, PROBABILITY),
        (tumours, Kind.AUC, PROBABILITY),
        (diabetes, Kind.RMSE, VALUE),
        pytest.param(tumours, Kind.LOG_LOSS, PROBABILITY, marks=pytest.mark.full),
        pytest.param(tumours, Kind.BRIER, PROBABILITY, marks=pytest.mark.full),
        pytest.param(diabetes, Kind.MAE, VALUE, marks=pytest.mark.full),
    ],
)
def test_the_better_model_is_named_from_shadow_alone(kept: Kept, task: Any, kind: Kind, predicted: Predicted) -> None:
    """Labels come two to ten minutes after the request, in any order; looks are taken all the while."""
    data: Task = task()
    asked = rollout(kind, predicted)
    rng = random.Random(5)
    order = rng.sample(range(len(data.truth)), len(data.truth))
    pairs, reports = [], []
    for n, row in enumerate(order):
        at = START + n * 2.0
        said = {"champion_numbers": numbers(data.worse[row]), "challenger_numbers": numbers(data.better[row])}
        pairs.append(compared(n, at=at, **said))
        received = at + rng.uniform(120.0, 600.0)
        reports.append(
            outcome(
                f"o{n}",
                decision_id=f"d{n}",
                unit="",
                rollout="",
                name="label",
                value=float(data.truth[row]),
                at=received,
                received_at=received,
            )
        )
    true = offline(kind, data.truth, data.better) - offline(kind, data.truth, data.worse)
    verdicts, before = [], START - 1.0
    for now in np.linspace(START + 600.0, pairs[-1].at + WINDOW, 5):
        fresh = [report for report in reports if before < report.received_at <= now]
        kept.add([pair for pair in pairs if before < pair.at <= now], rng.sample(fresh, len(fresh)))
        before = now
        line = kept.line(asked, float(now))
        verdicts.append(line.verdict)
        assert line.lower is None or line.lower <= true
        assert line.upper is None or true <= line.upper
    assert Verdict.HARMFUL not in verdicts
    assert verdicts[-1] is Verdict.SAFE, line
    assert line.estimate == pytest.approx(true, rel=1e-9)
    assert line.values == {
        "v1": pytest.approx(offline(kind, data.truth, data.worse)),
        "v2": pytest.approx(offline(kind, data.truth, data.better)),
    }
    assert line.units == {"v1": len(order), "v2": len(order)}
    decision = decide(asked, HERE, [line, *_others(asked, kept, float(now))], float(now), Progress(mirrored=len(order)))
    assert decision.move is Move.ADVANCE
    assert "quality proven safe" in decision.sentence


def _others(asked: Rollout, kept: Kept, now: float) -> list[Evidence]:
    return [line for line in assess(asked, kept.engine.measure(asked, HERE, now)) if line.metric != "quality"]


def test_the_worse_model_is_rolled_back_before_anybody_met_it(kept: Kept) -> None:
    data = digits()
    asked = rollout(Kind.ACCURACY, PROBABILITY, goal=False, guardrail=Margin(value=0.02, relative=False))
    pairs = [
        compared(n, at=START + n, champion_numbers=numbers(data.better[n]), challenger_numbers=numbers(data.worse[n]))
        for n in range(600)
    ]
    reports = [
        outcome(
            f"o{n}",
            decision_id=f"d{n}",
            unit="",
            rollout="",
            name="label",
            value=float(data.truth[n]),
            at=START + n + 200.0,
            received_at=START + n + 200.0,
        )
        for n in range(600)
    ]
    kept.add(pairs, reports)
    now = START + 600.0 + WINDOW
    line = kept.line(asked, now)
    assert line.verdict is Verdict.HARMFUL
    decision = decide(asked, HERE, [line], now, Progress(mirrored=600))
    assert (decision.move, decision.rule) == (Move.ROLLBACK, "harm")
    assert "quality of v2 is at least" in decision.sentence


def test_what_counts_is_the_last_label_inside_the_window(kept: Kept) -> None:
    asked = rollout(Kind.MAE, VALUE)
    said = {"champion_numbers": (0.0,), "challenger_numbers": (0.0,)}
    kept.add(
        [*(compared(n, at=START, **said) for n in range(5)), compared(5, at=START + 500.0, **said), compared(6)],
        [
            outcome("a", decision_id="d0", unit="", rollout="", name="label", value=1.0, received_at=START + 10.0),
            outcome("b", decision_id="d0", unit="", rollout="", name="label", value=2.0, received_at=START + 20.0),
            outcome("c", decision_id="d1", unit="", rollout="", name="label", value=4.0, received_at=START + 901.0),
            outcome("d", decision_id="d2", unit="", rollout="", name="other", value=8.0, received_at=START + 10.0),
            outcome("e", decision_id="d3", unit="", rollout="", name="label", value=16.0, received_at=START + 900.0),
            outcome("f", decision_id="d5", unit="", rollout="", name="label", value=32.0, received_at=START + 510.0),
        ],
    )
    moments = kept.engine.measure(asked, HERE, START + 1000.0).metrics["quality", "v2"]
    assert isinstance(moments, ScoredMoments)
    assert sorted(moments.truth) == [2.0, 16.0]
    assert (moments.closed, moments.immature, moments.unlike) == (5, 1, 0)


def test_no_label_may_be_a_label_too(kept: Kept) -> None:
    asked = rollout(Kind.ACCURACY, PROBABILITY, absent=0.0)
    kept.add(
        [compared(n, champion_numbers=(0.9,), challenger_numbers=(0.1,)) for n in range(40)],
        [outcome("a", decision_id="d0", unit="", rollout="", name="label", value=1.0, received_at=START + 9.0)],
    )
    line = kept.line(asked, START + 1000.0)
    assert line.values == {"v1": 1 / 40, "v2": 39 / 40}


def test_classes_by_name_and_labels_that_fit_nothing(kept: Kept) -> None:
    asked = rollout(Kind.ACCURACY, Predicted(label="$.label"))
    pairs = [compared(n, champion_names=("cat",), challenger_names=("dog",)) for n in range(3)]
    items = ("cat", "dog", "")
    kept.add(
        pairs,
        [
            outcome(
                f"o{n}",
                decision_id=f"d{n}",
                unit="",
                rollout="",
                name="label",
                item=items[n],
                value=1.0,
                received_at=START + 9.0,
            )
            for n in range(3)
        ],
    )
    moments = kept.engine.measure(asked, HERE, START + 1000.0).metrics["quality", "v2"]
    assert isinstance(moments, ScoredMoments)
    assert (moments.a.tolist(), moments.b.tolist(), moments.unlike) == ([1.0, 0.0], [0.0, 1.0], 1)


def test_ranked_lists_are_judged_by_the_gains_of_their_items(kept: Kept) -> None:
    """The example of the literature: gains 3, 2, 3, 0, 1, 2 give 0.94881."""
    asked = rollout(Kind.NDCG, Predicted(items="$.items"))
    gains = dict(zip("abcdef", (3.0, 2.0, 3.0, 0.0, 1.0, 2.0), strict=True))
    kept.add(
        [compared(0, champion_names=tuple("abcdef"), challenger_names=tuple("acbfed"))],
        [
            outcome(
                f"o{item}",
                decision_id="d0",
                unit="",
                rollout="",
                name="label",
                item=item,
                value=gain,
                received_at=START + 9.0,
            )
            for item, gain in gains.items()
        ],
    )
    moments = kept.engine.measure(asked, HERE, START + 1000.0).metrics["quality", "v2"]
    assert isinstance(moments, ScoredMoments)
    assert (moments.a.tolist(), moments.b.tolist()) == ([pytest.approx(0.94881, abs=1e-5)], [pytest.approx(1.0)])


OWN = """
def profit(truth, said):
    # What an offer to a customer who would leave is worth, by whether it was made.
    return 5.0 * truth - 1.0 if said >= 0.5 else 0.0

def broken(truth, said):
    raise ValueError("no price list")
"""


def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_own.py").write_text(OWN)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def test_a_score_of_the_user_s_own_names_the_better_model(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _own(tmp_path, monkeypatch)
    data = tumours()
    asked = rollout(Kind.SCORE, PROBABILITY, score="shop_own:profit", better=Better.HIGHER)
    n = len(data.truth)
    said = [
        {"champion_numbers": numbers(data.worse[i]), "challenger_numbers": numbers(data.better[i])} for i in range(n)
    ]
    labels = [
        outcome(
            f"o{i}",
            decision_id=f"d{i}",
            unit="",
            rollout="",
            name="label",
            value=float(data.truth[i]),
            received_at=START + i + 200.0,
        )
        for i in range(n)
    ]
    kept.add([compared(i, at=START + i, **said[i]) for i in range(n)], labels)
    line = kept.line(asked, START + n + WINDOW)

    def profit(p: np.ndarray) -> float:
        return float(np.where(p >= 0.5, 5.0 * data.truth - 1.0, 0.0).mean())

    assert line.values == {"v1": pytest.approx(profit(data.worse)), "v2": pytest.approx(profit(data.better))}
    true = profit(data.better) - profit(data.worse)
    assert line.estimate == pytest.approx(true)
    assert (line.lower or 0.0) < true < (line.upper or 0.0)
    assert any(one.startswith("scored by shop_own:profit, source sha256 ") for one in line.assumptions)


def test_a_score_that_fails_leaves_its_metric_unmeasured(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _own(tmp_path, monkeypatch)
    asked = rollout(Kind.SCORE, PROBABILITY, score="shop_own:broken")
    kept.add(
        [compared(0, champion_numbers=(0.9,), challenger_numbers=(0.1,))],
        [outcome("a", decision_id="d0", unit="", rollout="", name="label", value=1.0, received_at=START + 9.0)],
    )
    line = kept.line(asked, START + 1000.0)
    assert (line.verdict, line.estimate) == (Verdict.UNMEASURED, None)
    assert "shop_own:broken failed: ValueError: no price list" in line.reason


def test_labels_of_units_count_for_each_unit_s_first_prediction(kept: Kept) -> None:
    asked = rollout(Kind.MAE, VALUE, by_unit=True)
    kept.add(
        [
            compared(0, unit="a", at=START, champion_numbers=(1.0,), challenger_numbers=(2.0,)),
            compared(1, unit="a", at=START + 5.0, champion_numbers=(7.0,), challenger_numbers=(7.0,)),
            compared(2, unit="b", at=START, champion_numbers=(1.0,), challenger_numbers=(1.0,)),
            compared(3, unit="c", at=START, champion_failed=True),
            compared(4, unit="c", at=START + 5.0, champion_numbers=(3.0,), challenger_numbers=(3.0,)),
            compared(5, unit="", at=START, champion_numbers=(9.0,), challenger_numbers=(9.0,)),
        ],
        [
            outcome("a1", decision_id="", unit="a", rollout="r1", name="label", value=4.0, received_at=START + 10.0),
            outcome("a2", decision_id="", unit="a", rollout="r1", name="label", value=5.0, received_at=START + 20.0),
            outcome("a3", decision_id="", unit="a", rollout="r1", name="label", value=6.0, received_at=START + 901.0),
            outcome("b1", decision_id="d2", unit="", rollout="", name="label", value=8.0, received_at=START + 10.0),
            outcome("b2", decision_id="", unit="b", rollout="r2", name="label", value=8.0, received_at=START + 10.0),
            outcome("c1", decision_id="", unit="c", rollout="r1", name="label", value=3.5, received_at=START + 10.0),
        ],
    )
    now = START + 1000.0
    moments = kept.engine.measure(asked, HERE, now).metrics["quality", "v2"]
    assert isinstance(moments, ScoredMoments)
    assert sorted(zip(moments.truth, moments.a, moments.b, strict=True)) == [(3.5, -0.5, -0.5), (5.0, -4.0, -3.0)]
    assert moments.closed == 3
    assert "of each unit its first prediction in the stage counts" in moments.assumptions[0]
    silent = kept.engine.measure(rollout(Kind.MAE, VALUE, by_unit=True, absent=0.0), HERE, now).metrics["quality", "v2"]
    assert isinstance(silent, ScoredMoments)
    assert len(silent.truth) == 3
