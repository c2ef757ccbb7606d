"""Outcomes on their way: when each is reported, twice, late or never, and the sender that does not lose any.

`schedule` is pure. The sender keeps every outcome until the control port has acknowledged it, under the same
outcome id, so a console that dies in between neither loses nor doubles one.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from crossfade.sim.http import Client
from crossfade.sim.world import Happening

PATH = "/api/v1/outcomes"
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How outcomes come in. Times are seconds, shares are fractions in 0–1."""

    median: float = 0.6
    spread: float = 0.35
    """Standard deviation of the log delay."""
    never: float = 0.05
    twice: float = 0.05


def schedule(
    happenings: Iterable[Happening], decision: str, now: float, habits: Habits, rng: Random
) -> list[tuple[float, dict[str, Any]]]:
    """(due, outcome) pairs for one answer. Each outcome draws its own delay, so they overtake one another."""
    due: list[tuple[float, dict[str, Any]]] = []
    for index, happening in enumerate(happenings):
        if rng.random() < habits.never:
            continue
        at = now + rng.lognormvariate(math.log(habits.median), habits.spread)
        outcome: dict[str, Any] = {
            "outcome_id": f"{decision}-{index}",
            "decision_id": decision,
            "name": happening.name,
            "value": happening.value,
            "at": at,
        }
        if happening.item:
            outcome["item"] = happening.item
        due.append((at, outcome))
        if rng.random() < habits.twice:
            due.append((at + rng.random(), outcome))
    return due


@dataclass(slots=True)
class Sender:
    """Posts due outcomes in batches, again and again until acknowledged."""

    client: Client
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    retries: int = 0
    last_problem: str = ""
    _heap: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=itertools.count)

    def add(self, due: Iterable[tuple[float, dict[str, Any]]]) -> None:
        """Keep outcomes until they are due."""
        for at, outcome in due:
            heapq.heappush(self._heap, (at, next(self._order), outcome))

    @property
    def pending(self) -> int:
        """Outcomes not yet acknowledged."""
        return len(self._heap)

    async def flush(self, now: float) -> bool:
        """Send what is due; False when the control port did not take it and it is kept for later."""
        while self._heap and self._heap[0][0] <= now:
            batch: list[tuple[float, int, dict[str, Any]]] = []
            while self._heap and self._heap[0][0] <= now and len(batch) < _BATCH:
                batch.append(heapq.heappop(self._heap))
            taken = False
            try:
                taken = await self._post([outcome for _, _, outcome in batch])
            finally:
                # Also when cancelled in the middle: what is not acknowledged is still owed.
                if not taken:
                    self.retries += 1
                    for entry in batch:
                        heapq.heappush(self._heap, entry)
            if not taken:
                return False
        return True

    async def _post(self, outcomes: list[dict[str, Any]]) -> bool:
        body = json.dumps(outcomes).encode()
        try:
            answer = await self.client.post(PATH, body, {"content-type": "application/json"})
        except (ConnectionError, TimeoutError) as problem:
            self.last_problem = str(problem)
            return False
        if answer.status != 202:
            self.last_problem = f"status {answer.status}: {answer.body[:200].decode(errors='replace')}"
            return False
        said = json.loads(answer.body)
        self.accepted += int(said.get("accepted", 0))
        self.duplicates += int(said.get("duplicates", 0))
        self.rejected += len(said.get("rejected", ()))
        return True

    async def run(self, clock: Callable[[], float], stop: asyncio.Event, every: float = 0.25) -> None:
        """Flush until `stop`; a batch on its way is waited for, so that its acknowledgement is not lost."""
        while not stop.is_set():
            taken = await self.flush(clock())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every if taken else 2 * every)
