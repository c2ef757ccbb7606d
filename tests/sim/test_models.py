"""The arrays that the servers run are the models that scikit-learn fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.tree import DecisionTreeClassifier

from crossfade.sim import models, training
from crossfade.sim.models import Ranker
from crossfade.sim.training import Trained


def test_the_arrays_predict_what_scikit_learn_predicts() -> None:
    x, y = load_digits(return_X_y=True)
    x = x / 16.0
    tree = DecisionTreeClassifier(random_state=1).fit(x[:900], y[:900])
    linear = LogisticRegression(max_iter=300).fit(x[:900], y[:900])
    assert np.array_equal(training._tree(tree).predict(x), tree.predict(x))
    assert np.array_equal(training._linear(linear, width=64).predict(x), linear.predict(x))


def test_the_ranker_finds_the_nearest_neighbours(trained: dict[str, Trained]) -> None:
    ranker = trained["ranking"].challenger
    assert isinstance(ranker, Ranker)
    oracle = NearestNeighbors(n_neighbors=ranker.depth).fit(ranker.documents)
    for row in trained["ranking"].rows[:20]:
        distances, _ = oracle.kneighbors([row])
        found = [ranker.ids.index(i) for i in ranker.search(row)]
        ours = np.sqrt(np.square(ranker.documents[found] - row).sum(axis=1))
        assert ours == pytest.approx(distances[0])


@pytest.mark.parametrize("seed", range(4))
def test_the_good_challenger_is_better_and_the_bad_one_worse_on_held_out_rows(seed: int) -> None:
    good, bad, ranking = (training.train(name, seed) for name in ("good", "bad", "ranking"))
    assert good.challenger_score - good.champion_score > 0.08
    assert bad.champion_score > 0.94
    assert 0.6 < bad.challenger_score < 0.78
    assert ranking.challenger_score - ranking.champion_score > 0.1


def test_training_is_a_function_of_its_seed() -> None:
    one, two, other = (training.train("bad", seed) for seed in (5, 5, 6))
    assert np.array_equal(one.rows, two.rows)
    assert one.champion_score == two.champion_score
    assert not np.array_equal(one.rows, other.rows)


@pytest.mark.parametrize("scenario", ["good", "bad", "ranking"])
def test_a_saved_model_comes_back_the_same(scenario: str, trained: dict[str, Trained], tmp_path: Path) -> None:
    rows = trained[scenario].rows[:50]
    for model in (trained[scenario].champion, trained[scenario].challenger):
        models.save(model, tmp_path / "m.npz")
        again = models.load(tmp_path / "m.npz")
        assert type(again) is type(model)
        if isinstance(model, Ranker) and isinstance(again, Ranker):
            assert [again.search(row) for row in rows] == [model.search(row) for row in rows]
        elif not isinstance(model, Ranker) and not isinstance(again, Ranker):
            assert np.array_equal(again.predict(rows), model.predict(rows))


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="no model of a known kind"):
        models.load(tmp_path / "m.npz")
