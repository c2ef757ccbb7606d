"""Brings into the ledger what gateways recorded of leases: when they had not heard the controller, and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crossfade.approvals import people
from crossfade.rim.lake import Lake
from crossfade.rim.store import Store, Stored
from crossfade.state import ENDED, RULE, Phase

LEASE = "lease"
"""The rule under which the ledger has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One gateway that did not hear the controller any more."""

    worker: str
    lost: float
    """Seconds since the epoch."""
    back: float | None
    """None where it had not heard it again by then."""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"worker": self.worker, "lost": self.lost, "back": self.back}


class LeaseLosses:
    """What of the lease facts of one lake is in the ledgers of its rollouts."""

    def __init__(self, store: Store, lake: Lake) -> None:
        self._store, self._lake = store, lake
        self._version: int | None = None
        self._told: dict[str, dict[str, float]] = {}
        """Per rollout, up to when each gateway's losses are told."""

    def turn(self, at: float) -> int:
        """Write what is new, one entry a rollout under way; how many. Raises StoreError, LakeError."""
        version = self._lake.versions().get("lease")
        if version is None or version == self._version:
            return 0
        losses = paired(self._lake.table("lease").to_pylist())
        count = sum(self._tell(stored, losses, at) for stored in self._store.rollouts())
        self._version = version
        return count

    def _tell(self, stored: Stored, losses: Sequence[Loss], at: float) -> bool:
        if stored.position.phase is Phase.PENDING or stored.position.phase in ENDED:
            return False
        began, told = self._known(stored.name)
        new = [loss for loss in losses if loss.lost > max(began, told.get(loss.worker, began))]
        if not new:
            return False
        upto = {loss.worker: max(one.lost for one in new if one.worker == loss.worker) for loss in new}
        self._store.note(
            stored.name,
            actor=RULE,
            rule=LEASE,
            sentence=_sentence(new, stored.rollout.champion.name),
            at=at,
            about={"losses": [loss.to_json() for loss in new], "upto": {**told, **upto}},
        )
        self._told[stored.name] = {**told, **upto}
        return True

    def _known(self, name: str) -> tuple[float, dict[str, float]]:
        """When the rollout began, and up to when each gateway is told, also by controllers before this one."""
        entries = self._store.entries(name)
        began = next((entry.at for entry in entries if entry.move == "start"), float("inf"))
        if name not in self._told:
            said = next((entry.about for entry in reversed(entries) if entry.rule == LEASE), None)
            upto = said["upto"] if said else {}
            self._told[name] = {str(worker): float(when) for worker, when in upto.items()}
        return began, self._told[name]


def paired(rows: Sequence[Mapping[str, Any]]) -> list[Loss]:
    """Losses, each with when the same gateway heard the controller again, in the order of time."""
    found: list[Loss] = []
    for worker in sorted({str(row["worker"]) for row in rows}):
        lost: float | None = None
        for row in sorted((row for row in rows if row["worker"] == worker), key=lambda row: float(row["at"])):
            if not row["held"]:
                lost = float(row["at"]) if lost is None else lost
            elif lost is not None:
                found.append(Loss(worker=worker, lost=lost, back=float(row["at"])))
                lost = None
        if lost is not None:
            found.append(Loss(worker=worker, lost=lost, back=None))
    return sorted(found, key=lambda loss: (loss.lost, loss.worker))


def _sentence(losses: Sequence[Loss], champion: str) -> str:
    workers = people(sorted({loss.worker for loss in losses}), "and")
    first, backs = min(loss.lost for loss in losses), [loss.back for loss in losses]
    until = "and not again yet" if None in backs else f"until {_clock(max(back for back in backs if back is not None))}"
    return (
        f"{workers} did not hear the controller from {_clock(first)} {until}: only {champion} served there meanwhile."
    )


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%H:%M:%S UTC")
