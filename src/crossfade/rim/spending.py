"""What shadows may spend in a day: requests that are mirrored, and what challengers' replies to them cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from crossfade.live.routes import Route, RouteTable
from crossfade.rim.endpoints import Endpoint, endpoint
from crossfade.spec.copies import PerDay

DAY: Final = 86_400.0


@dataclass(slots=True)
class _Spent:
    day: int
    requests: int = 0
    cost: float = 0.0


def at_once(table: RouteTable, workers: int) -> dict[Endpoint, int]:
    """How many copies each of `workers` may have under way at addresses for which a spec says so; at least one."""
    found: dict[Endpoint, int] = {}
    for route in table.routes:
        if route.at_once is not None:
            most = max(1, route.at_once // workers)
            for arm in (route.champion, *route.challengers):
                where = endpoint(arm.url)
                found[where] = min(most, found.get(where, most))
    return found


class Spending:
    """One worker's part of the budgets: each of `workers` may spend an equal share, a day of UTC at a time."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._spent: dict[str, _Spent] = {}

    def admits(self, route: Route, now: float) -> bool:
        """Whether one more request may be mirrored today; if so it is counted."""
        allowed = route.per_day
        if allowed is None:
            return True
        spent = self._today(route.rollout, now)
        if not self._left(allowed, spent):
            return False
        spent.requests += 1
        return True

    def cost(self, rollout: str, cost: float, now: float) -> None:
        """A challenger's reply cost so much."""
        self._today(rollout, now).cost += cost

    def _today(self, rollout: str, now: float) -> _Spent:
        day = math.floor(now / DAY)
        spent = self._spent.get(rollout)
        if spent is None or spent.day != day:
            spent = self._spent[rollout] = _Spent(day)
        return spent

    def _left(self, allowed: PerDay, spent: _Spent) -> bool:
        if allowed.requests is not None and spent.requests >= math.ceil(allowed.requests / self._workers):
            return False
        # What is under way is not known yet: a budget of cost is overrun by that much at most.
        return allowed.cost is None or spent.cost < allowed.cost / self._workers
