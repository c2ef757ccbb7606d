"""Latencies that hang together in time: the load of both arms does no harm, an arm's own hosts none in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from . import hosts, ten_latencies
from .worlds import holds

FAST, FULL = 12, 1000
HALF_HOUR, FIVE_MINUTES = 1800.0, 300.0


def test_the_same_model_is_seldom_called_slow_however_its_latency_hangs_together():
    for kind, blocks in (("load", None), ("hosts", HALF_HOUR)):
        assert holds(hosts.alarms(kind, 0.5, FAST, blocks=blocks), FAST, hosts.ALPHA)


def test_without_blocks_noisy_hosts_would_be_taken_for_the_model():
    assert hosts.alarms("hosts", 0.5, FAST, blocks=None) >= 3


def test_a_slower_model_is_found_in_a_few_blocks():
    rng, asked = np.random.default_rng(62), hosts.question(HALF_HOUR)
    worlds = (hosts.latencies(rng, "hosts", 0.5, 600, 120.0, factor=1.5, together=30) for _ in range(8))
    assert np.median([hosts.decided(world, asked, 20) for world in worlds]) <= 10


@pytest.mark.full
@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("share", [0.05, 0.5])
@pytest.mark.parametrize(("kind", "blocks"), [("load", None), ("hosts", HALF_HOUR), ("requests", FIVE_MINUTES)])
def test_the_same_model_is_seldom_called_either(kind, blocks, share, safe):
    times = hosts.alarms(kind, share, FULL, blocks=blocks, safe=safe)
    print(f"{kind}, {share:.0%}, {'safe' if safe else 'harmful'}: {times} of {FULL}")
    assert holds(times, FULL, hosts.ALPHA)


@pytest.mark.full
def test_at_its_margin_it_is_seldom_called_either():
    for safe in (False, True):
        assert holds(hosts.alarms("hosts", 0.5, FULL, blocks=HALF_HOUR, margin=0.2, safe=safe), FULL, hosts.ALPHA)


def test_ten_that_wander_stop_nothing():
    assert not any(ten_latencies.stopped(seed, ten_latencies.rollout("30m"), 0.8) for seed in range(2))


@pytest.mark.full
def test_ten_that_wander_seldom_stop_anything():
    assert holds(ten_latencies.alarms(0.8, 200, "30m"), 200, 0.05)
