"""Timers, ids, request text and figures: the small parts the gateway is made of."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.facts import Dropped
from crossfade.rim import figures
from crossfade.rim.endpoints import endpoint
from crossfade.rim.identity import decision_id
from crossfade.rim.metrics_text import read_metrics
from crossfade.rim.telemetry import MOST_SERIES, Telemetry
from crossfade.rim.timers import TICK, Timers

from .facts_made import compared, exposed


class Rung:
    """Notes when its timers ring; may stop another as it does."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self.stops: dict[int, object] = {}
        self.timers: Timers

    def late(self, call: int) -> None:
        self.at[call] = time.monotonic()
        if call in self.stops:
            self.timers.stop(self.stops[call])  # type: ignore[arg-type]


async def test_timers_ring_once_in_time_unless_stopped() -> None:
    rung = Rung()
    timers = rung.timers = Timers(asyncio.get_running_loop(), time.monotonic)
    began = time.monotonic()
    handles = {number: timers.start(number / 100, rung, number) for number in range(1, 21)}
    for number in range(2, 21, 2):
        timers.stop(handles[number])
    await asyncio.sleep(0.35)
    assert list(rung.at) == list(range(1, 21, 2))
    for number, at in rung.at.items():
        assert at - began >= number / 100
    assert not timers._buckets
    timers.start(0.0, rung, 99)
    await asyncio.sleep(5 * TICK)
    assert 99 in rung.at


async def test_a_timer_may_stop_another_that_is_due_in_the_same_tick() -> None:
    rung = Rung()
    timers = rung.timers = Timers(asyncio.get_running_loop(), time.monotonic)
    timers.start(0.0, rung, 1)
    rung.stops[1] = timers.start(0.0, rung, 2)
    await asyncio.sleep(5 * TICK)
    assert list(rung.at) == [1]


@given(st.floats(0, 4e9))
def test_decision_ids_are_uuid7_of_their_moment(now: float) -> None:
    made = uuid.UUID(decision_id(now))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(now * 1000.0)


def test_decision_ids_differ() -> None:
    assert len({decision_id(1.0) for _ in range(10_000)}) == 10_000


def test_urls_are_taken_apart() -> None:
    plain = endpoint("http://models.example:8101/base/")
    assert (plain.host, plain.port, plain.tls, plain.base) == ("models.example", 8101, False, b"/base")
    assert endpoint("https://models.example").port == 443
    assert endpoint("http://[::1]:80/").host == "::1"
    with pytest.raises(ValueError, match="http:// or https://"):
        endpoint("ftp://x")


def test_figures_of_all_workers_are_one_text(tmp_path: Path) -> None:
    for worker in ("gateway-0", "gateway-1"):
        counts = Telemetry(worker)
        for number in range(3):
            counts.count(exposed(number, latency_ms=7.0))
            counts.count(compared(number, differs=number == 0))
        counts.count(Dropped(rollout="r1", at=1.0, worker=worker, reason="queue-full", count=5))
        figures.write(figures.path(tmp_path, worker), counts.encoded())
    (tmp_path / "run" / "metrics-torn.json").write_text("{")
    lines = read_metrics(tmp_path).splitlines()
    assert 'crossfade_compared_total{arm="v2",result="differs",rollout="r1",worker="gateway-1"} 1.0' in lines
    assert 'crossfade_dropped_total{reason="queue-full",rollout="r1",worker="gateway-0"} 5.0' in lines
    assert 'crossfade_arm_seconds_bucket{arm="v1",le="0.005",rollout="r1",worker="gateway-0"} 0.0' in lines
    assert 'crossfade_arm_seconds_bucket{arm="v1",le="0.01",rollout="r1",worker="gateway-0"} 3.0' in lines
    assert 'crossfade_arm_seconds_count{arm="v1",rollout="r1",worker="gateway-0"} 3.0' in lines


def test_label_values_are_bounded() -> None:
    counts = Telemetry("w")
    for number in range(MOST_SERIES + 50):
        counts.count(Dropped(rollout=f"r{number}", at=1.0, worker="w", reason="x", count=1))
    assert len(counts.figures.dropped) == MOST_SERIES + 1
    assert counts.figures.dropped["other\nother"] == 50
