"""Whatever becomes of a rollout's route, and whatever is wrong with other routers, its router is told to go back."""

from __future__ import annotations

import copy
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from crossfade.rim import holder
from crossfade.rim.controller import Controller
from crossfade.rim.drivers.carrier import Carrier
from crossfade.rim.following import LINGER
from crossfade.rim.standing import move_by_hand
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move
from rim.drivers.api_server import ApiServer, api_server
from rim.drivers.routers import until
from rim.drivers.test_kubernetes import OBJECTS, PLACES, ROUTERS, SPEC

OURS, THEIRS = "ranker-v2", "ranker-v3"
PATH = PLACES["istio"][0]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "data")) as found:
        yield found


def add(store: Store, server: ApiServer, folder: Path, *, name: str = OURS, at: str = "ranker") -> None:
    """A rollout behind an Istio, with a VirtualService of its own."""
    found = copy.deepcopy(OBJECTS["VirtualService"])
    found["metadata"]["name"] = at
    server.put(PATH.replace("ranker", at), found)
    line = ROUTERS["istio"].replace("virtual_service: ranker", f"virtual_service: {at}")
    text = SPEC.replace(OURS, name).replace("/ranker/infer", f"/{at}/infer")
    text += f"{line[:-2]}, kubeconfig: {server.kubeconfig(folder)}}}}}\n"
    store.add(text, parse(text), time.time())


def moved(store: Store, move: Move, name: str = OURS, *, ago: float = 0.0) -> None:
    move_by_hand(store, name, move, actor="ana", reason="to see it", at=time.time() - ago)
    store.beat()


def share(server: ApiServer, at: str = "ranker") -> float:
    """What the challenger has."""
    (_, other) = server.objects[PATH.replace("ranker", at)]["spec"]["http"][0]["route"]
    return float(other.get("weight", 0))


@contextmanager
def carrying(store: Store) -> Iterator[Carrier]:
    carrier = Carrier(store.data, term=None)
    try:
        yield carrier
    finally:
        carrier.close(back=False)


def carried(carrier: Carrier, store: Store, true: Any) -> None:
    until(lambda: carrier.turn() or true(), 30.0, lambda: str(carrier.standing(OURS)))


PYTHON = """\
name: ranker-v3
route: /v2/models/ranker/infer
protocol: json
unit: header:x-user-id
champion: {name: a, url: "python:"}
challenger: {name: b, url: "python:"}
metrics: {bought: {from: outcome, kind: rate, better: higher, window: 1h, guardrail: {margin: 1pp}}}
stages: [canary: {steps: [5%], hold_for: 10m}]
"""


def test_a_rollout_inside_of_programs_takes_no_route_from_a_router(
    store: Store, server: ApiServer, tmp_path: Path
) -> None:
    add(store, server, tmp_path)
    moved(store, Move.START)
    time.sleep(0.01)
    store.add(PYTHON, parse(PYTHON), time.time())
    moved(store, Move.START, THEIRS)
    with carrying(store) as carrier:
        carried(carrier, store, lambda: share(server) == 5)


@pytest.mark.parametrize("again", [False, True], ids=["the same controller", "another one"])
def test_a_rollback_is_carried_though_the_next_rollout_has_the_route(
    store: Store, server: ApiServer, tmp_path: Path, again: bool
) -> None:
    add(store, server, tmp_path)
    moved(store, Move.START)
    controller = Controller(store.data)
    carrier = controller.carrier
    carried(carrier, store, lambda: share(server) == 5 and follows(carrier))
    controller.turn()
    server.faults = [("GET", 503, 0.0)] * 3
    moved(store, Move.ROLLBACK)
    time.sleep(0.01)
    plain = SPEC.replace(OURS, THEIRS).replace("unit: request", "unit: header:x-user-id")
    store.add(plain, parse(plain), time.time())
    moved(store, Move.START, THEIRS)
    if again:
        controller.close()
        controller = Controller(store.data)
    carried(controller.carrier, store, lambda: share(server) == 0)
    controller.close()


def follows(carrier: Carrier) -> bool:
    standing = carrier.standing(OURS)
    return standing is not None and standing.agrees


def test_what_is_wrong_with_one_router_keeps_no_other_from_going_back(
    store: Store, server: ApiServer, tmp_path: Path
) -> None:
    add(store, server, tmp_path)
    add(store, server, tmp_path, name=THEIRS, at="second")
    for name in (OURS, THEIRS):
        moved(store, Move.START, name)
    carrier = Carrier(store.data, term=None)
    carried(carrier, store, lambda: share(server) == share(server, "second") == 5)
    # No answer that an API server gives, and none that a driver expects.
    del server.objects[PATH]["metadata"]
    carrier.close(back=True)
    assert share(server, "second") == 0


def test_a_rollout_that_has_ended_is_shown_for_as_long_as_its_router_has_not_gone_back(
    store: Store, server: ApiServer, tmp_path: Path
) -> None:
    def told() -> Any:
        return (store.view(OURS) or {}).get("router") or {}

    add(store, server, tmp_path)
    moved(store, Move.START, ago=2 * LINGER)
    controller = Controller(store.data)
    try:
        carried(controller.carrier, store, lambda: share(server) == 5)
        until(lambda: controller.carrier.turn() or controller.turn() or told().get("agrees"), 30.0)
        server.faults = [("GET", 503, 0.0)] * 100_000
        moved(store, Move.ROLLBACK, ago=LINGER + 60.0)
        until(lambda: controller.carrier.turn() or controller.turn() or not told()["agrees"], 30.0)
        server.faults = []
        carried(controller.carrier, store, lambda: share(server) == 0)
        until(lambda: controller.carrier.turn() or controller.turn() or told()["agrees"], 30.0)
    finally:
        controller.close()


def test_a_store_that_cannot_be_read_lets_the_lease_run_out(store: Store, server: ApiServer, tmp_path: Path) -> None:
    add(store, server, tmp_path)
    moved(store, Move.START)
    term = store.leaders.take(store.leaders.present(), holder.myself())
    assert term is not None
    later = 0.0
    carrier = Carrier(store.data, term=term, clock=lambda: time.time() + later)
    try:
        carried(carrier, store, lambda: share(server) == 5 and follows(carrier))
        with closing(sqlite3.connect(store.data / "state.db")) as file:
            file.executescript("DROP TABLE counters; DROP TABLE leader;")
        later = 60.0
        carried(carrier, store, lambda: share(server) == 0)
    finally:
        carrier.close(back=False)
