"""What every driver promises, asked of the real router that it drives, with real requests through it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from crossfade.live.routes import champion_only, routes
from crossfade.rim.drivers.known import DRIVERS, driver_of
from crossfade.rim.drivers.port import (
    Driver,
    Fenced,
    Mark,
    Misplaced,
    Order,
    Unable,
    Unreachable,
    differences,
    order_of,
)
from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse
from crossfade.spec.routers import LIMITS
from crossfade.state import Phase, Position
from rim.drivers.routers import EVERY, Running, blocks, until

UNITS = [f"user-{n}" for n in range(400)]
WITHIN = 1.0
"""Seconds in which a router has to do what it was told."""


def order(rollout: Rollout, phase: Phase = Phase.RUNNING, *, step: int = 0, term: int = 1, seq: int = 1) -> Order:
    """What a position asks of the rollout's router."""
    assert rollout.router is not None
    return order_of(routes(rollout, Position(phase=phase, step=step)), rollout.router, term=term, seq=seq)


def carried(driver: Driver, wanted: Order) -> float:
    """Carry an order; the seconds it took until the router was read to obey it."""
    began = time.monotonic()
    driver.carry(wanted)
    until(lambda: not differences(wanted, driver.read()), 30.0, lambda: str(driver.read()))
    return time.monotonic() - began


def answers(driver: Driver) -> bool:
    """Whether the router can be asked: its other ports may be open before."""
    try:
        driver.read()
    except Unreachable:
        return False
    return True


def test_every_driver_says_what_it_can() -> None:
    assert set(DRIVERS) == set(LIMITS)


@pytest.mark.parametrize("router", EVERY, indirect=True)
def test_units_keep_their_arm_while_weights_grow_and_all_go_back(router: Running) -> None:
    rollout, driver = router.rollout, driver_of(router.rollout)
    assert set(router.arms(UNITS[:20]).values()) == {"v1"}, "before Crossfade has said anything, the champion serves"

    first = order(rollout)
    carried(driver, first)
    few = router.arms(UNITS)
    assert driver.read().mark == first.mark
    assert 0.02 < sum(arm == "v2" for arm in few.values()) / len(few) < 0.2

    second = order(rollout, step=1, seq=2)
    took = carried(driver, second)
    many = router.arms(UNITS)
    assert took < WITHIN
    assert 0.4 < sum(arm == "v2" for arm in many.values()) / len(many) < 0.6
    assert not [unit for unit in UNITS if few[unit] == "v2" and many[unit] != "v2"], "a unit moved back"
    assert router.arms(UNITS[:50]) == {unit: many[unit] for unit in UNITS[:50]}, "a unit that returns has its arm"
    assert {router.ask("") for _ in range(30)} == {"v1"}, "who names no unit has the champion"
    assert {router.ask(unit, "/elsewhere") for unit in UNITS[:30]} == {"v1"}, "other paths are not the rollout's"
    assert {router.ask(unit, "/v2/models/ranker/inferior") for unit in UNITS[:30]} == {"v1"}

    back = order(rollout, Phase.ROLLED_BACK, seq=3)
    assert back.back
    assert carried(driver, back) < WITHIN
    assert set(router.arms(UNITS).values()) == {"v1"}
    driver.close()


@pytest.mark.parametrize("router", EVERY, indirect=True)
def test_who_was_promoted_serves_everyone(router: Running) -> None:
    rollout, driver = router.rollout, driver_of(router.rollout)
    for phase in (Phase.PROMOTED, Phase.FINISHED):
        carried(driver, order(rollout, phase))
        assert {router.ask(unit) for unit in UNITS[:30]} == {"v2"}
    driver.close()


@pytest.mark.parametrize("router", EVERY, indirect=True)
def test_a_controller_that_was_deposed_writes_nothing(router: Running) -> None:
    rollout, driver = router.rollout, driver_of(router.rollout)
    carried(driver, order(rollout, Phase.ROLLED_BACK, term=7))
    with pytest.raises(Fenced, match="later leadership"):
        driver.carry(order(rollout, step=1, term=6))
    assert set(router.arms(UNITS[:50]).values()) == {"v1"}
    carried(driver, order(rollout, step=1, term=8))
    driver.close()


@pytest.mark.parametrize("router", EVERY, indirect=True)
def test_what_a_router_cannot_do_is_refused_and_changes_nothing(router: Running) -> None:
    rollout, driver = router.rollout, driver_of(router.rollout)
    carried(driver, order(rollout))
    merging = order(rollout, step=1)
    with pytest.raises(Unable, match="merge lists"):
        driver.carry(replace(merging, mark=replace(merging.mark, mode="interleave")))
    assert not differences(order(rollout), driver.read())
    driver.close()


@pytest.mark.parametrize("router", EVERY, indirect=True)
def test_a_router_that_is_gone_is_told_and_found_again(router: Running) -> None:
    rollout, driver = router.rollout, driver_of(router.rollout)
    carried(driver, order(rollout, step=1))
    router.stop()
    with pytest.raises(Unreachable, match="cannot be asked"):
        driver.read()
    with pytest.raises(Unreachable):
        driver.carry(order(rollout, step=1, seq=2))
    router.start()
    until(lambda: answers(driver), 60.0)
    wanted = order(rollout, step=1, seq=3)
    carried(driver, wanted)
    assert {router.ask(unit) for unit in UNITS[:40]} == {"v1", "v2"}
    driver.close()


@pytest.mark.parametrize("router", EVERY[1:], indirect=True)
def test_of_several_haproxies_those_that_can_go_back_do(router: Running) -> None:
    rollout = router.rollout
    carried(driver_of(rollout), order(rollout, step=1))
    assert rollout.router is not None
    settings = (("sockets", f"unix:{router.folder}/gone.sock"), *rollout.router.settings)
    several = replace(rollout, router=replace(rollout.router, settings=settings))
    driver = driver_of(several)
    with pytest.raises(Unreachable):
        driver.carry(order(several, step=1, seq=2))
    with pytest.raises(Unreachable):
        driver.carry(order(several, Phase.ROLLED_BACK, seq=3))
    assert set(router.arms(UNITS[:40]).values()) == {"v1"}


@pytest.mark.parametrize("router", EVERY[1:], indirect=True)
def test_nobody_has_to_keep_a_challengers_backend_to_take_it_back(router: Running) -> None:
    rollout = router.rollout
    carried(driver_of(rollout), order(rollout, step=1))
    assert rollout.router is not None
    away = replace(rollout, router=replace(rollout.router, arms=(("v2", "taken-down"),)))
    with pytest.raises(Misplaced, match="no backend named taken-down"):
        driver_of(away).carry(order(away, step=1, seq=2))
    carried(driver_of(away), order(away, Phase.ROLLED_BACK, seq=3))
    assert set(router.arms(UNITS[:40]).values()) == {"v1"}


def test_a_mark_is_read_back_as_it_was_written() -> None:
    mark = Mark(rollout="a.b-c_d", revision="ab12", mode="canary", stage=1, step=2, weight=0.1, term=3, seq=4)
    assert Mark.read(str(mark)) == mark
    for other in (
        "",
        "models",
        "crossfade|",
        "crossfade|a|b|c|x|1|0.1|1|1",
        "crossfade|a|b|c|0|1|1.5|1|1",
        str(mark)[1:],
    ):
        assert Mark.read(other) is None


def test_nobody_is_exposed_where_the_gateway_would_expose_nobody() -> None:
    rollout = parse(blocks("envoy.md")["spec.yaml"])
    assert rollout.router is not None
    route = champion_only(routes(rollout, Position(phase=Phase.RUNNING, step=1)))
    assert order_of(route, rollout.router, term=1, seq=1).back
