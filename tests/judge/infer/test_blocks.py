"""Latency in blocks: what wanders with its host is no evidence, what stays slow is, and only whole blocks count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossfade.judge.evidence import Verdict
from crossfade.judge.infer import answer
from crossfade.judge.infer.restarts import tape
from crossfade.judge.moments import QuantileMoments
from guarantees.hosts import latencies, question
from guarantees.worlds import quantiles_until

BLOCK = 1800.0


def world(seed: int, factor: float = 1.0, kind: str = "hosts", minutes: int = 600) -> QuantileMoments:
    return latencies(np.random.default_rng(seed), kind, 0.5, minutes, 120.0, factor=factor)


def test_what_stays_slow_is_found_and_the_interval_says_by_how_much():
    line = answer(question(BLOCK, margin=0.2), world(1, factor=2.0))
    assert line.verdict is Verdict.HARMFUL
    assert line.lower < line.estimate == pytest.approx(line.values["v1"], rel=0.2)
    assert line.lower > line.limit


def test_within_its_margin_it_is_proven_safe():
    assert answer(question(BLOCK, margin=0.5), world(2, minutes=900)).verdict is Verdict.SAFE


def test_an_open_block_says_nothing_so_that_no_look_can_choose_its_end():
    moments, asked = world(3, factor=2.0), question(BLOCK)
    found = [answer(asked, quantiles_until(moments, minutes)) for minutes in (361, 375, 390)]
    assert found[0].e_value == found[1].e_value == found[2].e_value
    assert answer(asked, quantiles_until(moments, 391)).e_value > found[0].e_value


def test_verdicts_take_six_blocks():
    moments = world(4, factor=3.0)
    lines = [answer(question(BLOCK), quantiles_until(moments, 30 * blocks + 1)) for blocks in range(1, 9)]
    assert [line.verdict for line in lines[:6]] == [Verdict.UNMEASURED] + [Verdict.UNDECIDED] * 5
    assert "no whole block of 1800 s" in lines[0].reason
    assert lines[7].verdict is Verdict.HARMFUL


def test_blocks_grow_until_the_smaller_arm_has_enough():
    moments = latencies(np.random.default_rng(5), "load", 0.01, 600, 60.0)
    assert moments.counts_b.sum() < 500
    assert answer(question(60.0), moments).verdict is Verdict.UNMEASURED


def test_a_segment_tells_its_slices_by_another_clock():
    moments = replace(world(6, factor=2.0), bucket=np.arange(600) % 60 + 8, step=np.arange(600) // 60)
    whole, part = (answer(replace(question(60.0), segment=one), moments) for one in (None, "c=DE"))
    assert whole.e_value != part.e_value


def test_what_begins_late_is_not_looked_for():
    assert tape(question(BLOCK), world(7)) is None
    assert tape(question(None), world(7)) is not None
