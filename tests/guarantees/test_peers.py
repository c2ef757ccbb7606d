"""What stops other tools does not stop a challenger that is the champion, and it gets to the end."""

from __future__ import annotations

import numpy as np
import pytest

from . import peers
from .worlds import holds

FAST, FULL = 4, 1000


@pytest.mark.parametrize("setting", [peers.FLAGGER, peers.ARGO], ids=["flagger", "argo"])
def test_healthy_traffic_is_promoted(setting):
    assert peers.ended(peers.rehearsed(setting, FAST)) == (0, FAST)


def test_noisy_fields_are_not_flagged():
    assert peers.fields(np.random.default_rng(2), 10, 4) == 0


def test_the_rules_of_other_tools_do_what_is_said_of_them():
    """As they were first simulated: 49, 99, 88, and of Kayenta 1.3, 58 and 99 of a hundred."""
    rng, runs = np.random.default_rng(1), 300
    found = [peers.flagger(rng, runs), peers.argo(rng, runs), peers.diffy(rng, 100) * 3]
    found += [peers.kayenta(rng, correlation, runs) for correlation in (0.0, 0.5, 0.8)]
    assert np.array(found) / runs == pytest.approx([0.49, 0.99, 0.88, 0.013, 0.58, 0.99], abs=0.1)


@pytest.mark.full
def test_healthy_traffic_is_seldom_rolled_back():
    for setting in (peers.FLAGGER, peers.ARGO):
        assert holds(peers.ended(peers.rehearsed(setting, FULL))[0], FULL, 0.05)
    assert holds(peers.fields(np.random.default_rng(2), FULL), FULL, 0.05)
