"""Effect sizes against scipy, and against what is known of them where nothing has changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from crossfade.judge.drift.effects import jensen_shannon, kolmogorov_smirnov, psi, psi_by_chance, wasserstein

samples = st.lists(st.integers(-20, 20).map(lambda n: n / 4.0), min_size=1, max_size=40)
cells = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=10).filter(
    lambda pairs: sum(a for a, _ in pairs) > 0 and sum(b for _, b in pairs) > 0
)


def points(values: list[float]) -> tuple[list[float], list[int]]:
    places, counts = np.unique(values, return_counts=True)
    return list(places), list(counts)


@pytest.mark.filterwarnings("ignore:divide by zero")
@given(samples, samples)
def test_distances_of_numbers_are_scipys(a: list[float], b: list[float]) -> None:
    ks = stats.ks_2samp(a, b, method="asymp").statistic
    assert kolmogorov_smirnov(points(a), points(b)) == pytest.approx(ks, abs=1e-12)
    assert wasserstein(points(a), points(b)) == pytest.approx(stats.wasserstein_distance(a, b), abs=1e-12)


@given(cells)
def test_divergence_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    assert jensen_shannon(a, b) == pytest.approx(jensenshannon(a, b, base=2) ** 2, abs=1e-9)


def test_the_index_is_the_published_sum_where_counts_are_large() -> None:
    then, now = np.array([0.25, 0.25, 0.25, 0.25]) * 1e9, np.array([0.4, 0.3, 0.2, 0.1]) * 1e9
    by_hand = sum((q - p) * np.log(q / p) for p, q in zip(then / 1e9, now / 1e9, strict=True))
    assert psi(then.astype(np.int64), now.astype(np.int64)) == pytest.approx(by_hand, abs=1e-6)
    assert by_hand == pytest.approx(0.2282, abs=1e-4)


@pytest.mark.parametrize("n", [200, 2000])
def test_by_chance_alone_the_index_is_what_it_is_said_to_be(n: int) -> None:
    """At 200 against 200 a third of clean checks are above 0.1, which is why nothing here compares with 0.1 alone."""
    rng = np.random.default_rng(3)
    draws = [rng.multinomial(n, np.full(10, 0.1), size=2) for _ in range(2000)]
    found = np.array([psi(a, b) for a, b in draws])
    mean, sd = psi_by_chance(*draws[0])
    assert np.mean(found) == pytest.approx(mean, rel=0.05)
    assert np.std(found) == pytest.approx(sd, rel=0.1)
    if n == 200:
        assert 0.25 < np.mean(found > 0.1) < 0.4


def test_nothing_to_compare_is_no_distance() -> None:
    assert kolmogorov_smirnov(([], []), ([1.0], [1])) == wasserstein(([1.0], [1]), ([], [])) == 0.0
