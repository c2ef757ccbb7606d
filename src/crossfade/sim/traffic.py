"""Open-loop users in a process of their own: Poisson arrivals that do not wait for replies, and their late outcomes.

`python -m crossfade.sim.traffic CONFIG.json` runs until SIGTERM, keeps its tally in a file that is always whole,
and prints it as the last line. A failed request is counted by kind and never sent again.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import uvloop

from crossfade.sim.http import Answer, Client, Refused, Reset
from crossfade.sim.reports import Habits, Sender, schedule
from crossfade.sim.units import Population, Unit
from crossfade.sim.world import Unusable, World

DECISION_HEADER = "x-crossfade-decision"
_LATENCIES_KEPT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What to send, where, and how fast."""

    host: str = "127.0.0.1"
    port: int
    control_port: int
    path: str
    world: str
    tally: str
    rate: float = 300.0
    """Mean arrivals per second."""
    pool: int = 60_000
    seed: int = 0
    habits: Habits = field(default_factory=Habits)

    def save(self, path: Path) -> None:
        """Write the configuration as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Config:
        """The inverse of `save`."""
        stored = json.loads(path.read_text())
        return cls(**{**stored, "habits": Habits(**stored["habits"])})


@dataclass(slots=True)
class Tally:
    """What the users saw."""

    requests: int = 0
    answered: int = 0
    wrong: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """By kind: `refused`, `timeout`, `status 500`, `unusable`, …"""
    reset_in_flight: int = 0
    """Connections that died under a request; kept apart because a killed gateway cannot answer them."""
    unjoined: int = 0
    """Good answers that carried no decision id."""
    units: set[str] = field(default_factory=set)
    latency_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES_KEPT))

    def to_json(self) -> dict[str, Any]:
        """JSON scalars; `failed` sums every kind but `reset_in_flight`."""
        ordered = sorted(self.latency_ms)
        return {
            "requests": self.requests,
            "answered": self.answered,
            "wrong": self.wrong,
            "failed": sum(self.failures.values()),
            "failures": dict(self.failures),
            "reset_in_flight": self.reset_in_flight,
            "unjoined": self.unjoined,
            "units": len(self.units),
            "latency_ms": {
                name: ordered[int(q * (len(ordered) - 1))] if ordered else None
                for name, q in (("p50", 0.5), ("p99", 0.99))
            },
        }


class Traffic:
    """The users of one route."""

    def __init__(self, config: Config, world: World) -> None:
        self._config = config
        self._world = world
        self._rng = Random(config.seed)
        self._population = Population(config.pool, Random(config.seed + 1))
        self._client = Client(config.host, config.port)
        self._in_flight: set[asyncio.Task[None]] = set()
        self.tally = Tally()
        self.sender = Sender(Client(config.host, config.control_port))

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then let the last answers and outcomes in."""
        sending = asyncio.create_task(self.sender.run(time.time, stop))
        writing = asyncio.create_task(self._keep_tally())
        await self._arrive(stop)
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=3.0)
        writing.cancel()
        await asyncio.gather(sending, writing, return_exceptions=True)
        # Everything reported now is early or late like any other report; the run is over either way.
        await self.sender.flush(time.time() + 60.0)
        self._write()

    async def _arrive(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not stop.is_set():
            due += self._rng.expovariate(self._config.rate)
            pause = due - loop.time()
            if pause > 0.0:
                await asyncio.sleep(pause)
            task = asyncio.create_task(self._ask(self._population.draw(self._rng), self.tally.requests))
            self.tally.requests += 1
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    async def _ask(self, unit: Unit, number: int) -> None:
        self.tally.units.add(unit.name)
        row, body = self._world.ask(self._rng, f"q{self._config.seed}-{number}")
        headers = {"content-type": "application/json", "x-user-id": unit.name, "x-country": unit.country}
        began = time.perf_counter()
        try:
            answer = await self._client.post(self._config.path, body, headers)
        except Refused:
            self.tally.failures["refused"] += 1
        except Reset:
            self.tally.reset_in_flight += 1
        except TimeoutError:
            self.tally.failures["timeout"] += 1
        else:
            self.tally.latency_ms.append((time.perf_counter() - began) * 1000.0)
            self._received(row, answer)

    def _received(self, row: int, answer: Answer) -> None:
        if answer.status != 200:
            self.tally.failures[f"status {answer.status}"] += 1
            return
        try:
            reaction = self._world.react(row, answer.body, self._rng)
        except Unusable:
            self.tally.failures["unusable"] += 1
            return
        self.tally.answered += 1
        self.tally.wrong += reaction.wrong
        decision = answer.headers.get(DECISION_HEADER, "")
        if not decision:
            self.tally.unjoined += 1
            return
        self.sender.add(schedule(reaction.happenings, decision, time.time(), self._config.habits, self._rng))

    async def _keep_tally(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._write()

    def report(self) -> dict[str, Any]:
        """The tally with what became of the outcomes."""
        sender = self.sender
        outcomes = {
            "accepted": sender.accepted,
            "duplicates": sender.duplicates,
            "rejected": sender.rejected,
            "retried_batches": sender.retries,
            "unsent": sender.pending,
            "last_problem": sender.last_problem,
        }
        return {**self.tally.to_json(), "outcomes": outcomes}

    def _write(self) -> None:
        target = Path(self._config.tally)
        draft = target.with_suffix(".tmp")
        draft.write_text(json.dumps(self.report()))
        draft.replace(target)


async def _main(config: Config, world: World) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    traffic = Traffic(config, world)
    await traffic.run(stop)
    print(json.dumps(traffic.report()), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Send the traffic that a configuration file describes."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if len(arguments) != 1:
        print("usage: python -m crossfade.sim.traffic CONFIG.json", file=sys.stderr)
        return 2
    config = Config.load(Path(arguments[0]))
    uvloop.run(_main(config, World.load(Path(config.world))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
