"""Two controllers on one store: one leads, the other takes over, and nothing is decided twice however they die."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from crossfade import ledger
from crossfade.rim import holder
from crossfade.rim.lake import Lake
from crossfade.rim.leading import SILENT, TAKEOVER, Candidate
from crossfade.rim.record import LiveRecord
from crossfade.rim.replaying import replay
from crossfade.rim.standing import move_by_hand
from crossfade.rim.store import StaleDecision, Store, StoreError
from crossfade.rim.stored import Deposed
from crossfade.rim.verifying import check
from crossfade.state import IllegalMove, Move, Phase

from .gateway_kit import ask, post
from .oversight_kit import Controllers, beats, begin, controllers, gateways, model

HERE = ("http://127.0.0.1:1", "http://127.0.0.1:2")
LEADS = """
import sys
from pathlib import Path
from crossfade.rim import holder
from crossfade.rim.store import Store
store = Store(Path(sys.argv[1]))
print(store.leaders.take(store.leaders.present(), holder.myself()))
"""
ELSEWHERE = {"pid": 4, "began": 1, "place": "another machine"}


def test_a_leader_keeps_others_out_for_as_long_as_it_is_heard(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.leaders.take(store.leaders.present(), ELSEWHERE) == 1
    other = Candidate(store)
    now = 0.0
    for _ in range(5):
        assert other.seek(now) is None
        assert other.seek(now + SILENT - 0.1) is None
        now += SILENT
        store.leaders.renew(1)
    assert other.seek(now) is None
    assert other.seek(now + SILENT) == 2
    with pytest.raises(Deposed):
        store.leaders.renew(1)


def test_one_that_let_go_or_died_is_followed_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.leaders.take(store.leaders.present(), ELSEWHERE) == 1
    store.leaders.release(1)
    assert Candidate(store).seek(0.0) == 2
    code = (
        "import sys; from pathlib import Path; from crossfade.rim import holder; from crossfade.rim.store import Store;"
    )
    code += "s = Store(Path(sys.argv[1])); print(s.leaders.take(s.leaders.present(), holder.myself()))"
    store.leaders.release(2)
    ran = subprocess.run([sys.executable, "-c", LEADS, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ran.stdout == "3\n"
    assert Candidate(store).seek(0.0) == 4


def test_of_two_who_see_the_same_one_leads(tmp_path: Path) -> None:
    one, other = Store(tmp_path), Store(tmp_path)
    seen = one.leaders.present()
    assert [one.leaders.take(seen, ELSEWHERE), other.leaders.take(seen, ELSEWHERE)] == [1, None]
    one.leaders.release(1)
    seen = one.leaders.present()
    assert [one.leaders.take(seen, ELSEWHERE), other.leaders.take(seen, ELSEWHERE)] == [2, None]


def test_no_write_of_one_that_was_deposed_is_taken(tmp_path: Path) -> None:
    old, new = begin(tmp_path, *HERE), Store(tmp_path)
    term = old.leaders.take(old.leaders.present(), ELSEWHERE)
    old.lead(term)
    old.beat()
    new.lead(new.leaders.take(new.leaders.present(), ELSEWHERE))
    before = (new.heartbeat(), new.version(), new.entries("ranker"))
    with pytest.raises(Deposed):
        old.act("ranker", Move.HOLD, actor="rule", rule="unmeasured", sentence="So.", at=1.0)
    with pytest.raises(Deposed):
        old.beat()
    with pytest.raises(Deposed):
        old.save_view("ranker", {})
    with pytest.raises(Deposed):
        old.seal(ledger.Seal(at=1.0, why="periodic"), 0)
    with pytest.raises(Deposed):
        old.note("ranker", actor="rule", rule="lease", sentence="So.", at=1.0)
    assert (new.heartbeat(), new.version(), new.entries("ranker")) == before
    assert old.leaders.present().term == 2
    new.beat()


def test_a_process_is_not_mistaken_for_one_of_the_same_number(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    mine = holder.myself()
    told = {**mine, "pid": child.pid, "began": holder._began(child.pid)}
    assert not holder.dead(told)
    # Another began under this number: it is not the one that was meant, and nobody may end it.
    assert holder.dead({**told, "began": 1})
    assert not holder.end({**told, "began": 1})
    assert not holder.end({**told, "place": "elsewhere"})
    assert not holder.dead({**told, "place": "elsewhere"})
    assert not holder.end(mine)
    assert child.poll() is None
    assert holder.end(told)
    assert child.wait(5) == -signal.SIGKILL
    assert holder.dead(told)


@pytest.mark.timeout(400)
async def test_two_controllers_for_twenty_seconds(tmp_path: Path) -> None:
    await ordeal(tmp_path, 20.0, seed=3, within=15.0)


@pytest.mark.full
@pytest.mark.timeout(900)
async def test_two_controllers_for_five_minutes(tmp_path: Path) -> None:
    await ordeal(tmp_path, float(os.environ.get("CROSSFADE_ORDEAL_SECONDS", "300")), seed=5, within=5.0)


async def ordeal(data: Path, seconds: float, seed: int, *, within: float) -> None:
    """Users, a person who holds and resumes, and controllers that are killed, stopped and gone on with at random."""
    rng = random.Random(seed)
    many = max(4, int(seconds / 4.0))
    steps = "[" + ", ".join(f"{5 + 60 * n / many:.2f}%" for n in range(many)) + "]"
    async with model(b'"one"') as one, model(b'"two"') as two:
        store = begin(data, one, two, steps=steps, hold_for="1s")
        with controllers(data, 2) as judging, gateways(data, 1) as [port]:
            counted: Counter[str] = Counter()
            waits = Takeovers(store, judging)
            doing = [_users(port, number, counted) for number in range(4)]
            doing += [_person(store, random.Random(seed), counted), waits.run()]
            tasks = [asyncio.ensure_future(one) for one in doing]
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline or counted["takeovers wanted"] < 2:
                await asyncio.sleep(rng.uniform(1.0, 3.0))
                await _attack(judging, waits, rng, counted)
            while waits.waiting:
                await asyncio.sleep(0.05)
            for number in range(2):
                judging.signal(number, signal.SIGCONT)
            await beats(store, 2)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for number in range(2):
                judging.signal(number, signal.SIGTERM)
            for number in range(2):
                await asyncio.to_thread(judging.running[number].wait, 60)
            said = judging.said()
    longest = max(waits.took)
    counted["takeovers"] = len(waits.took)
    print(f"{seconds:g} s: {dict(counted)}, the longest takeover {longest:.2f} s")
    _one_ledger(data, store, counted, seconds)
    assert counted["failed"] == 0
    assert longest < within, said


class Takeovers:
    """How long the store was without a living leader while somebody was ready to lead."""

    def __init__(self, store: Store, judging: Controllers) -> None:
        self.took: list[float] = []
        self._store, self._judging = store, judging
        self._wanted: tuple[float, int] | None = None

    def leader(self) -> int | None:
        return self._judging.number_of(self._store.leaders.present().holder)

    def struck(self) -> None:
        """The leader has just been hit."""
        self._wanted = (time.monotonic(), self._store.leaders.present().term)

    @property
    def waiting(self) -> bool:
        return self._wanted is not None

    def spared(self) -> None:
        """It goes on before anybody took over."""
        self._wanted = None

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            if self._wanted is not None:
                since, term = self._wanted
                leader = await asyncio.to_thread(self._store.leaders.present)
                if leader.term > term or time.monotonic() - since > 30.0:
                    self.took.append(time.monotonic() - since)
                    self._wanted = None


async def _attack(judging: Controllers, waits: Takeovers, rng: random.Random, counted: Counter[str]) -> None:
    """Hit one of them, as long as the other is there to take over; raise the dead."""
    for number in range(2):
        if judging.dead(number):
            judging.start(number)
            counted["restarts"] += 1
    while not all(judging.ready(number) for number in range(2)):
        await asyncio.sleep(0.1)
    while waits.waiting:
        await asyncio.sleep(0.05)
    if any(judging.dead(number) for number in range(2)):
        return
    leader = waits.leader()
    number = leader if leader is not None and rng.random() < 0.8 else rng.randrange(2)
    leads = leader == number
    what = rng.choice(["kill", "stop", "pause"])
    counted[what] += 1
    if leads and what != "pause":
        counted["takeovers wanted"] += 1
        waits.struck()
    judging.signal(number, signal.SIGKILL if what == "kill" else signal.SIGSTOP)
    if what == "pause":
        # Shorter than it takes to be deposed, and longer than a look.
        await asyncio.sleep(rng.uniform(0.2, 1.5))
    elif what == "stop":
        # It goes on when another leads already, if that has not ended it.
        await asyncio.sleep(rng.uniform(SILENT - 0.5, SILENT + 2.0))
        if leads and waits.waiting and waits.leader() == number:
            waits.spared()
    judging.signal(number, signal.SIGCONT)


async def _users(port: int, number: int, counted: Counter[str]) -> None:
    while True:
        number += 4
        answer = await ask(port, post(headers=b"X-User-Id: u%d\r\n" % number), 30)
        counted["answered" if answer.status == 200 else "failed"] += 1
        await asyncio.sleep(0.01)


async def _person(store: Store, rng: random.Random, counted: Counter[str]) -> None:
    while True:
        await asyncio.sleep(rng.uniform(1.0, 3.0))
        for move in (Move.HOLD, Move.RESUME):
            await asyncio.to_thread(_by_hand, store, move, counted)
            await asyncio.sleep(0.3)


def _by_hand(store: Store, move: Move, counted: Counter[str]) -> None:
    """Counted where it is made: who waits for it may be gone when it is."""
    try:
        move_by_hand(store, "ranker", move, actor="ben", reason="so", at=time.time())
        counted["by hand"] += 1
    except (IllegalMove, StaleDecision):
        pass
    except StoreError as error:
        # A stopped controller may keep the store for as long as it is stopped.
        counted["locked out" if "locked" in str(error) else "failed"] += 1


def _one_ledger(data: Path, store: Store, counted: Counter[str], seconds: float) -> None:
    entries = store.entries("ranker")
    assert ledger.verify(entries, store.head("ranker")).intact
    places = [(e.to_position["stage"], e.to_position["step"]) for e in entries if e.move == "advance" and e.to_position]
    assert len(places) == len(set(places)), "a move was made twice"
    assert places == sorted(places)
    assert len(places) >= (1 if seconds < 60 else 10)
    terms = [int(e.about["term"]) for e in entries if e.rule == TAKEOVER and e.about]
    assert terms == sorted(set(terms))
    # One that was killed before it could say that it had taken over is followed by one that says so.
    assert len(terms) >= counted["takeovers"] - 1
    assert sum(e.actor == "ben" for e in entries) == counted["by hand"]
    assert store.get("ranker").position.phase in (Phase.RUNNING, Phase.HELD, Phase.PROMOTED)
    lake = Lake(data)
    # What came in after the last look of the last leader.
    lake.compact_journals()
    rows = lake.table("exposed").column("decision_id").to_pylist()
    lake.close()
    assert len(rows) == len(set(rows))
    assert counted["answered"] <= len(rows)
    record = LiveRecord(data, "ranker")
    try:
        checked = check(record)
        assert checked.intact, checked.reason
        again = replay(record)
        assert not again.differing, [one.to_json() for one in again.differing]
    finally:
        record.close()
