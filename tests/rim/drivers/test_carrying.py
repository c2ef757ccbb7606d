"""A router that is gone holds a rollout, one that somebody else has set is set right, and Envoy follows under load."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from crossfade.live.routes import routes
from crossfade.rim.drivers.known import driver_of
from crossfade.rim.drivers.port import differences, order_of
from crossfade.rim.standing import move_by_hand
from crossfade.state import ROUTER, Move, Phase, Position
from rim.drivers.models import Model
from rim.drivers.routers import ENVOY, EVERY, NO_ENVOY, Running, envoy, until
from rim.drivers.test_rollouts import NAME, Deciding, deciding, traffic


def moved(one: Deciding, move: Move) -> None:
    move_by_hand(one.store, NAME, move, actor="ana", reason="to see it", at=time.time())


def tamper(router: Running) -> None:
    """Somebody else gives the challenger nearly everything."""
    if router.kind == "haproxy":
        line = f"set map {router.folder}/crossfade.map {NAME} 16000000|-\n"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(f"{router.folder}/admin.sock")
            sock.sendall(line.encode())
            sock.recv(100)
        return
    file = router.folder / "routes.yaml"
    document = yaml.safe_load(file.read_bytes())
    for route in document["resources"][0]["virtual_hosts"][0]["routes"]:
        for cluster in route["route"].get("weighted_clusters", {}).get("clusters", ()):
            cluster["weight"] = 950_000 if cluster["name"] == "v2" else 50_000
    draft = file.with_suffix(".mine")
    draft.write_text(json.dumps({**document, "version_info": "mine"}))
    draft.replace(file)


ONE, OTHER = EVERY
"""The second at full size only: what is tested here is the carrier."""


@pytest.mark.parametrize(
    "router", [ONE, pytest.param(*OTHER.values, marks=[*OTHER.marks, pytest.mark.full])], indirect=True
)
def test_a_router_that_is_gone_holds_the_rollout_and_one_that_was_set_is_set_right(
    router: Running, tmp_path: Path
) -> None:
    with deciding(tmp_path / "data", router) as one:
        until(lambda: one.turn() or one.follows(), 30.0, lambda: str(one.view()))
        one.start()
        until(lambda: one.turn() or (one.follows() and one.view()["router"]["agrees"]), 30.0, lambda: str(one.view()))

        tamper(router)
        until(lambda: one.turn() or one.view()["router"]["corrected"] == 1, 30.0, lambda: str(one.view()["router"]))
        until(lambda: any("by somebody else" in entry.sentence for entry in one.store.entries(NAME)), 30.0)

        router.stop()
        until(lambda: one.turn() or one.phase is Phase.HELD, 60.0, lambda: str(one.view()["router"]))
        one.turn()
        view = one.view()
        assert view["held"]["by"] == ROUTER
        assert view["tone"] == "amber"
        assert "cannot be asked" in view["sentence"]
        assert not view["router"]["agrees"]

        # What is taken back while it is gone is carried as soon as it is there.
        router.start()
        until(lambda: one.turn() or one.phase is Phase.RUNNING, 60.0, lambda: str(one.view()["router"]))
        [last] = [entry for entry in one.store.entries(NAME) if entry.move == Move.RESUME]
        assert (last.actor, last.rule) == (ROUTER, ROUTER)
        assert one.store.get(NAME).position.step_since == last.at, "the step's time begins anew"
        moved(one, Move.ROLLBACK)
        until(one.back, 30.0)
        assert {router.ask(f"user-{n}") for n in range(100)} == {"v1"}


@pytest.mark.skipif(ENVOY is None, reason=NO_ENVOY)
def test_envoy_follows_within_a_second_under_load(tmp_path: Path, served: dict[str, Model]) -> None:
    ports = {name: model.port for name, model in served.items()}
    spec = {"  - canary": "  - shadow: {mirror: 50%, until: {at_most: 1d}}\n  - canary"}
    with envoy(tmp_path, ports, spec=spec) as router, load(router), traffic(router) as answers:
        rollout, driver = router.rollout, driver_of(router.rollout)
        assert rollout.router is not None
        positions = [
            Position(phase=Phase.RUNNING),
            Position(phase=Phase.RUNNING, stage=1),
            Position(phase=Phase.RUNNING, stage=1, step=1),
            Position(phase=Phase.ROLLED_BACK, stage=1, step=1),
        ]
        took = {}
        for seq, position in enumerate(positions):
            order = order_of(routes(rollout, position), rollout.router, term=1, seq=seq)
            began = time.monotonic()
            driver.carry(order)
            until(lambda order=order: not differences(order, driver.read()), 30.0)  # type: ignore[misc]
            took[order.mark.mode, order.weight] = time.monotonic() - began
            count, since = len(answers), time.time()
            before = {name: model.asked for name, model in served.items()}
            until(lambda count=count: len(answers) > count + 20, 60.0)  # type: ignore[misc]
            asked = {name: model.asked - before[name] for name, model in served.items()}
            if order.mirror:
                assert asked["v2"] > 0.2 * asked["v1"], "copies go to the challenger"
                assert {arm for _, _, arm in answers} == {"v1"}, "and nobody sees its answers"
            if order.back:
                assert {arm for at, _, arm in answers if at > since} == {"v1"}
        assert {status for _, status, _ in answers} == {200}
    assert max(took.values()) < 1.0, took


@contextmanager
def load(router: Running) -> Iterator[None]:
    """Three users more that ask as fast as they are answered."""
    ended = threading.Event()

    def ask(own: Running, name: int) -> None:
        while not ended.is_set():
            own.ask(f"load-{name}-{time.monotonic_ns() % 1000}")

    threads = []
    for name in range(3):
        own = replace(router, _connection=None)
        threads.append(threading.Thread(target=ask, args=(own, name)))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(60)
