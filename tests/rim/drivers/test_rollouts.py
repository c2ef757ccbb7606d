"""Whole rollouts behind real routers: positions carried, what happened read from access logs, decisions by evidence."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crossfade.rim.controller import Controller
from crossfade.rim.exposures import reading
from crossfade.rim.exposures.arriving import Arriving
from crossfade.rim.exposures.following import Follower
from crossfade.rim.exposures.inbox import ExposureInbox
from crossfade.rim.standing import move_by_hand
from crossfade.rim.store import Store
from crossfade.state import Move, Phase
from rim.drivers.models import Model
from rim.drivers.routers import EVERY, Running, until

NAME = "ranker-v2"


class Deciding:
    """A controller at work on one rollout, whose facts come from the router's access log."""

    def __init__(self, data: Path, router: Running) -> None:
        self.data, self.router = data, router
        self.store = Store(data)
        self.store.add(router.spec, router.rollout, time.time())
        self.controller = Controller(data)
        self.follower = Follower(router.log, data / "note.json")
        self.inbox, self.arriving = ExposureInbox(data), Arriving(data, self.store)
        self.rejected: list[Any] = []

    def turn(self) -> None:
        """One look of the controller, over all that the log has by now."""
        while lines := self.follower.lines():
            now = time.time()
            found = reading.read_items(map(reading.logged, lines), self.arriving.context(now))
            self.inbox.accept(found.exposures, now)
            self.rejected += found.rejected
            self.follower.done()
        self.controller.turn()
        # Looks that come as fast as they can take the processor from the router.
        time.sleep(0.1)

    def view(self) -> dict[str, Any]:
        return self.store.view(NAME) or {}

    @property
    def phase(self) -> Phase:
        return self.store.get(NAME).position.phase

    def follows(self) -> bool:
        standing, stored = self.controller.carrier.standing(NAME), self.store.get(NAME)
        return standing is not None and not standing.of(stored.rollout, stored.position, time.time())

    def back(self) -> bool:
        standing = self.controller.carrier.standing(NAME)
        return standing is not None and standing.planned and standing.order.back

    def start(self) -> None:
        move_by_hand(self.store, NAME, Move.START, actor="ana", reason="the tests pass", at=time.time())


@contextmanager
def deciding(data: Path, router: Running) -> Iterator[Deciding]:
    """A controller that looks and carries."""
    one = Deciding(data, router)
    one.controller.carrier.start()
    try:
        yield one
    finally:
        one.controller.carrier.close(back=True)
        one.controller.close()
        one.follower.close()
        one.inbox.close()
        one.store.close()


@contextmanager
def traffic(router: Running) -> Iterator[list[tuple[float, int, str]]]:
    """Users that ask one after the other, until the end; when each began to, how it was answered, and by whom."""
    answers: list[tuple[float, int, str]] = []
    ended = threading.Event()

    def ask() -> None:
        user = 0
        while not ended.is_set():
            user, began = user + 1, time.time()
            status, arm = router.answer(f"user-{user}")
            answers.append((began, status, arm))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join(60)


@pytest.mark.parametrize("router", EVERY, indirect=True)
def test_a_bad_challenger_is_rolled_back_on_the_live_router(
    router: Running, served: dict[str, Model], tmp_path: Path
) -> None:
    with deciding(tmp_path / "data", router) as one, traffic(router) as answers:
        one.turn()
        until(one.follows, 30.0, lambda: str(one.view()))
        one.start()
        until(lambda: any(arm == "v2" for _, _, arm in answers), 30.0)
        one.turn()
        assert one.phase is Phase.RUNNING
        assert one.view()["router"]["agrees"]
        served["v2"].status = 500
        until(lambda: one.turn() or one.phase is Phase.ROLLED_BACK, 60.0, lambda: str(one.view()["lines"]))
        moved = time.time()
        until(one.back, 30.0)
        since, count = time.time(), len(answers)
        took = since - moved
        until(lambda: len(answers) > count + 50, 60.0)
        assert {arm for at, _, arm in answers if at > since} == {"v1"}, "it was met after it was taken back"
        one.turn()
        view, entries = one.view(), one.store.entries(NAME)
    assert took < 1.0
    assert not one.rejected
    assert [entry.rule for entry in entries if entry.move == Move.ROLLBACK] == ["harm"]
    [errors] = [line for line in view["evidence"] if line["metric"] == "errors"]
    assert errors["verdict"] == "harmful"
    assert min(errors["units"].values()) > 0
    assert any("access log" in said for said in errors["assumptions"])
    assert "rolled_back" in view["phase"]
    assert any(entry.rule == "router" for entry in entries)
