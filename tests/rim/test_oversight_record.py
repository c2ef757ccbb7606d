"""The ledger of a run tells everything that was done to it and by whom, one kind of entry after the other."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import httpx
import pytest

from crossfade import ledger
from crossfade.console.app import create_app
from crossfade.facts import Lease
from crossfade.ledger import KINDS, Entry, kind_of
from crossfade.rim.approving import approve_by_hand
from crossfade.rim.controller import Controller
from crossfade.rim.dossier import gather
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lease_losses import paired
from crossfade.rim.muting import mute_by_hand
from crossfade.rim.reads import Reads
from crossfade.rim.record import LiveRecord
from crossfade.rim.standing import move_by_hand, standing
from crossfade.rim.store import Store
from crossfade.rim.tokens import Tokens
from crossfade.rim.verifying import check
from crossfade.spec.parse import parse
from crossfade.view.dossier import dossier

from .facts_made import START
from .gateway_kit import ask, post
from .oversight_kit import SPEC as WIRED
from .oversight_kit import controllers, gateways, model
from .recorded import NAME, SPEC, make

pytestmark = pytest.mark.timeout(400)

APPROVED = SPEC.replace("at_most: 1d}}", "at_most: 1d}, approve: [ana, ben]}")
CHANGED = APPROVED.replace("watch: 20s", "watch: 25s")


def test_one_of_each_kind_is_in_the_ledger_of_a_run(tmp_path: Path) -> None:
    done: set[str] = set()

    def after(store: Store, now: float) -> None:
        if "manual" not in done:
            for what in ("hold", "resume"):
                move_by_hand(store, NAME, what, actor="ben", reason="a look", at=now, by={"through": "test"})  # type: ignore[arg-type]
            for on in (True, False):
                mute_by_hand(store, NAME, "$.took_ms", actor="ben", reason="a clock", at=now, on=on)
            store.add(CHANGED, parse(CHANGED), now)
            journal = Journal(tmp_path, "gateway-0")
            journal.append([Lease(at=now + at, worker="gateway-0", held=at > 1.5) for at in (1.0, 2.0)])
            journal.close()
            Reads(store).note(NAME, "ana", {"through": "test"}, now)
            # Another controller that found the one before dead would say so.
            store.note(NAME, actor="rule", rule="takeover", sentence="So.", at=now, about={"term": 2})
            done.add("manual")
        approval = standing(store, NAME, now)["approval"]
        if approval and approval["waiting"]:
            by = {"through": "token", "token": "ana", "roles": ["approver"]}
            approve_by_hand(store, NAME, actor="ana", reason="read it", at=now, by=by)

    make(tmp_path, wrong=0.05, spec=APPROVED, after=after)
    store = Store(tmp_path)
    entries = store.entries(NAME)
    assert {kind_of(entry) for entry in entries} == set(KINDS) - {"forgotten"}, "forgetting has tests of its own"
    assert ledger.verify(entries, store.head(NAME)).intact
    [loss] = [entry for entry in entries if kind_of(entry) == "lease"]
    assert loss.about is not None
    assert [(one["worker"], one["back"] - one["lost"]) for one in loss.about["losses"]] == [("gateway-0", 1.0)]
    assert "gateway-0 did not hear the controller from" in loss.sentence
    assert "only v1 served there meanwhile" in loss.sentence
    [override] = [entry for entry in entries if kind_of(entry) == "override"]
    assert override.about == {"instead_of": "Held by ben: a look"}
    record = LiveRecord(tmp_path, NAME)
    try:
        checked = check(record)
        assert (checked.intact, checked.unsealed) == (True, [])
        told = dossier(gather(record, now=START + 3600.0))
    finally:
        record.close()
    people = next(part for part in told["parts"] if part["id"] == "people")
    said = str(people["blocks"])
    assert "ab: ana or ben" in said
    assert "token ana (approver)" in said
    assert "ana acted with a right that includes to hold it and to roll it back." in said
    assert "It was held or rolled back by ben." in said
    assert any("who else could have stopped it" in line for line in people["missing"])
    incidents = str(next(part for part in told["parts"] if part["id"] == "incidents")["blocks"])
    assert loss.sentence in incidents


def test_losses_are_told_once_also_by_the_next_controller(tmp_path: Path) -> None:
    make(tmp_path, wrong=0.4, ticks=2, a_tick=40)
    store, journal = Store(tmp_path), Journal(tmp_path, "gateway-0")
    now = START + 100.0

    def look() -> list[Entry]:
        controller = Controller(tmp_path, clock=lambda: now)
        controller.turn()
        controller.turn()
        controller.close()
        return [entry for entry in store.entries(NAME) if entry.rule == "lease"]

    journal.append(
        [Lease(at=START - 50.0, worker="gateway-0", held=False), Lease(at=START - 40.0, worker="gateway-0", held=True)]
    )
    assert look() == []
    journal.append([Lease(at=START + 50.0, worker=f"gateway-{n}", held=False) for n in (0, 1)])
    [first] = look()
    assert "gateway-0 and gateway-1 did not hear the controller" in first.sentence
    assert "not again yet" in first.sentence
    journal.append([Lease(at=START + 60.0, worker="gateway-0", held=True)])
    assert look() == [first]
    journal.append([Lease(at=START + 70.0, worker="gateway-0", held=False)])
    [_, second] = look()
    assert second.about is not None
    assert [one["worker"] for one in second.about["losses"]] == ["gateway-0"]
    journal.close()
    store.close()


def test_losses_and_returns_are_paired() -> None:
    rows = [
        {"worker": worker, "at": at, "held": held}
        for worker, at, held in [
            ("b", 5.0, True),
            ("a", 1.0, True),
            ("a", 2.0, False),
            ("b", 3.0, False),
            ("a", 9.0, False),
            ("a", 4.0, True),
        ]
    ]
    assert [(one.worker, one.lost, one.back) for one in paired(rows)] == [
        ("a", 2.0, 4.0),
        ("b", 3.0, 5.0),
        ("a", 9.0, None),
    ]


async def test_every_use_of_a_token_that_changed_something_has_its_name(tmp_path: Path) -> None:
    make(tmp_path, wrong=0.4, ticks=2, a_tick=40)
    store, inbox = Store(tmp_path), OutcomeInbox(tmp_path)
    headers = {
        "authorization": "Bearer " + Tokens(tmp_path).add("ben", ["operator"], at=time.time(), by="root"),
    }
    before = len(store.entries(NAME))
    app = create_app(store, inbox, tmp_path, token=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
        at = f"/api/v1/rollouts/{NAME}"
        for act in ("hold", "resume", "advance", "rollback"):
            assert (await client.post(f"{at}/{act}", json={"reason": "x"}, headers=headers)).status_code == 200
        for act in ("mute", "unmute"):
            body = {"reason": "x", "field": "$.took_ms"}
            assert (await client.post(f"{at}/{act}", json=body, headers=headers)).status_code == 200
        assert (await client.post(f"{at}/resume", json={"reason": "x"}, headers=headers)).status_code == 409
    new = store.entries(NAME)[before:]
    assert len(new) == 6
    assert all(entry.by == {"through": "token", "token": "ben", "roles": ["operator"]} for entry in new)
    assert all(entry.actor == "ben" for entry in new)
    inbox.close()
    store.close()


async def test_a_controller_that_was_silent_is_in_the_ledger_when_it_is_back(tmp_path: Path) -> None:
    async with model(b'"one"') as one, model(b'"two"') as two:
        store = Store(tmp_path)
        text = WIRED.format(one=one, two=two, lease="1s", steps="[98%]", hold_for="10m")
        store.add(text, parse(text), time.time())
        store.act("ranker", "start", actor="ann", rule="manual", sentence="So.", at=time.time())  # type: ignore[arg-type]
        with controllers(tmp_path) as judging, gateways(tmp_path, 1) as [port]:
            deadline = time.monotonic() + 60
            while (await ask(port, post(), 20)).body != b'"two"':
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            judging.signal(0, signal.SIGKILL)
            while (await ask(port, post(), 20)).body != b'"one"':
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            await asyncio.to_thread(judging.running[0].wait, 10)
            judging.start(0)
            while {"lease", "takeover"} - {entry.rule for entry in store.entries("ranker")}:
                assert time.monotonic() < deadline + 60, judging.said()
                await asyncio.sleep(0.1)
        [taken] = [entry for entry in store.entries("ranker") if entry.rule == "takeover"]
        assert "had died" in taken.sentence
        assert ledger.verify(store.entries("ranker"), store.head("ranker")).intact
