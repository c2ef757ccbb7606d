"""What others are told of a rollout: one event for each entry of its ledger, with the sentence that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crossfade.ledger import Entry
from crossfade.spec.model import Notify

SOURCE = "urn:crossfade"
TYPE = "dev.crossfade.rollout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that happened."""

    id: str
    """The same however often it is told."""
    rollout: str
    kind: str
    """A move's name, `note`, `fault`, `approval` or `test`."""
    at: float
    sentence: str
    details: Mapping[str, Any]

    @property
    def title(self) -> str:
        """For the top of a mail."""
        return f"{self.rollout}: {self.details.get('phase') or self.kind}".replace("_", " ")

    def cloud_event(self) -> dict[str, Any]:
        """As CloudEvents 1.0, structured."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": f"{SOURCE}:{self.rollout}",
            "type": f"{TYPE}.{self.kind}",
            "subject": self.rollout,
            "time": datetime.fromtimestamp(self.at, UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": {"rollout": self.rollout, "kind": self.kind, "sentence": self.sentence, **self.details},
        }


def of_entry(entry: Entry) -> Notice | None:
    """What an entry says; None for one that is no news, such as a recorded spec."""
    if entry.kind == "spec":
        return None
    position = entry.to_position or {}
    details = {
        "n": entry.n,
        "hash": entry.hash,
        "revision": entry.revision,
        "move": entry.move,
        "rule": entry.rule,
        "actor": entry.actor,
        "phase": position.get("phase"),
        "stage": position.get("stage"),
        "step": position.get("step"),
    }
    return Notice(
        id=f"{entry.rollout}-{entry.n}-{entry.hash[:16]}",
        rollout=entry.rollout,
        kind=entry.move or "note",
        at=entry.at,
        sentence=entry.sentence,
        details=details,
    )


def of_wanted(rollout: str, view: Mapping[str, Any], n: int, at: float) -> Notice | None:
    """That somebody's approval is waited for, as the page says it; None where it is not. `n` is the entry since which
    nothing has changed that it could depend on."""
    asked = view.get("approval")
    if not asked or not asked["waiting"] or not asked["missing"]:
        return None
    return Notice(
        id=f"{rollout}-approval-{n}",
        rollout=rollout,
        kind="approval",
        at=at,
        sentence=f"{view['sentence']} `crossfade approve {rollout} --reason … --shown {asked['shown'][:12]}`",
        details={
            "n": n,
            "stage": asked["stage"],
            "revision": asked["revision"],
            "wanted": asked["wanted"],
            "missing": asked["missing"],
            "given": [one["by"] for one in asked["given"]],
            "shown": asked["shown"],
        },
    )


def of_faults(rollout: str, told: int, count: int, at: float) -> Notice:
    """Faults of ours since the last time somebody was told."""
    new = count - told
    return Notice(
        id=f"{rollout}-faults-{count}",
        rollout=rollout,
        kind="fault",
        at=at,
        sentence=f"{new:,} more fault{'s' * (new != 1)} of Crossfade's own ({count:,} in all): "
        "the logs of the gateways say what went wrong.",
        details={"faults": count, "new": new},
    )


def of_test(rollout: str, at: float) -> Notice:
    """What `crossfade notify test` sends."""
    return Notice(
        id=f"{rollout}-test-{int(at)}",
        rollout=rollout,
        kind="test",
        at=at,
        sentence="This is a test: you would be told here of what happens to this rollout.",
        details={},
    )


def wanted(notify: Notify, notice: Notice) -> bool:
    """Whether somebody wants to know."""
    return not notify.on or notice.kind in notify.on or notice.kind == "test"
