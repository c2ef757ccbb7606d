"""How many outcomes one reporter may send, so that none takes the port from the others.

A report is taken while its reporter owes nothing, and then counts in full, so that a large one is never impossible;
who owes waits until it is paid at the rate. What others send plays no part in it.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

BURST_SECONDS = 10.0
"""What a reporter that was silent may send at once, in seconds of its rate."""

MOST_REPORTERS = 10_000
"""Known at a time; beyond, those are forgotten who have been silent for longest."""

MOST_AT_ONCE = 8
"""Reports of one reporter that are being read at a time: each is held in memory until it is whole."""


_NOTHING = 1e-6
"""Outcomes that rounding may leave owed."""


@dataclass(slots=True)
class _Account:
    saved: float
    at: float


class Allowance:
    """What each reporter may still send. Times are seconds of any one clock."""

    def __init__(self, rate: float) -> None:
        """`rate`: outcomes a second for each; 0 for any number."""
        self._rate = rate
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._reading: dict[str, int] = {}
        self._lock = threading.Lock()

    def wait(self, who: str, now: float) -> int:
        """Whole seconds until this reporter's next report is taken; 0 for at once."""
        with self._lock:
            if self._reading.get(who, 0) >= MOST_AT_ONCE:
                return 1
            if not self._rate:
                return 0
            owed = -self._account(who, now).saved
            return max(1, math.ceil(owed / self._rate)) if owed > _NOTHING else 0

    def busy(self, who: str) -> bool:
        """Whether as many reports of this reporter are being read as may be."""
        with self._lock:
            return self._reading.get(who, 0) >= MOST_AT_ONCE

    def spend(self, who: str, outcomes: int, now: float) -> None:
        """So many outcomes were sent, good or bad."""
        if self._rate:
            with self._lock:
                self._account(who, now).saved -= outcomes

    def begin(self, who: str) -> None:
        """A report of theirs is being read."""
        with self._lock:
            self._reading[who] = self._reading.get(who, 0) + 1

    def end(self, who: str) -> None:
        """It is read, or will not be."""
        with self._lock:
            left = self._reading.get(who, 0) - 1
            if left > 0:
                self._reading[who] = left
            else:
                self._reading.pop(who, None)

    def _account(self, who: str, now: float) -> _Account:
        most = self._rate * BURST_SECONDS
        account = self._accounts.pop(who, None)
        if account is None:
            account = _Account(most, now)
        account.saved = min(most, account.saved + self._rate * max(0.0, now - account.at))
        account.at = max(account.at, now)
        self._accounts[who] = account
        while len(self._accounts) > MOST_REPORTERS:
            self._accounts.popitem(last=False)
        return account
