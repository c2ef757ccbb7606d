"""Calibration by bins: the numbers by hand, and an interval that holds however often one looks."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.judge.infer.calibration import calibration


def test_the_numbers_by_hand() -> None:
    truth = np.array([1.0, 0.0, 1.0, 1.0])
    told = calibration(truth, np.array([0.92, 0.94, 0.12, 1.0]), np.array([0.5, 0.5, 0.5, 0.5]), 0.05)
    bins = told["champion"]["bins"]
    assert [one["n"] for one in bins] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 3]
    assert (bins[9]["said"], bins[9]["came"]) == (pytest.approx(2.86 / 3), pytest.approx(2 / 3))
    assert (bins[0]["said"], bins[0]["came"]) == (None, None)
    assert told["champion"]["error"] == pytest.approx((0.86 + 0.88) / 4)
    assert told["challenger"]["error"] == pytest.approx(0.25)
    assert (told["labels"], told["lower"], told["confidence"]) == (4, None, 0.95)


def test_without_labels_nothing_is_said() -> None:
    told = calibration(np.zeros(0), np.zeros(0), np.zeros(0), 0.05)
    assert (told["champion"]["error"], told["difference"], told["lower"]) == (None, None, None)


@pytest.mark.parametrize("off", [0.0, 0.1])
def test_the_interval_covers_the_true_difference_at_every_look(off: float) -> None:
    """The champion is calibrated, the challenger is not by `off`: twelve looks at each of 200 runs."""
    rng = np.random.default_rng(11)
    missed, found, runs, looks = 0, 0, 200, np.unique(np.geomspace(150, 5000, 12).astype(int))
    for _ in range(runs):
        champion = rng.uniform(0.2, 0.8, 5000)
        truth = (rng.random(5000) < champion).astype(float)
        told = [calibration(truth[:n], champion[:n], champion[:n] + off, 0.05) for n in looks]
        missed += any(not one["lower"] <= off <= one["upper"] for one in told)
        found += told[-1]["lower"] > 0.0
    assert missed <= 0.05 * runs
    assert found == (runs if off else 0) or (not off and found <= 0.05 * runs)
