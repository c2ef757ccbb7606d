"""Facts for the tests of what keeps them."""

from __future__ import annotations

from typing import Any

from crossfade.facts import Compared, Exposed, Outcome, Shown

START = 1_700_000_000.0


def exposed(n: int, **changes: Any) -> Exposed:
    fields: dict[str, Any] = {
        "rollout": "r1",
        "revision": "abc",
        "decision_id": f"d{n}",
        "at": START + n * 0.01,
        "unit": f"u{n % 100}",
        "arm": "v1",
        "served_by": "v1",
        "mode": "ab",
        "stage": 0,
        "step": 0,
        "weight": 0.5,
        "status": 200,
        "failed": False,
        "reason": "",
        "latency_ms": 10.0,
        "total_ms": 11.0,
        "size": 100,
    }
    return Exposed(**(fields | changes))


def compared(n: int, **changes: Any) -> Compared:
    fields: dict[str, Any] = {
        "rollout": "r1",
        "revision": "abc",
        "decision_id": f"d{n}",
        "at": START + n * 0.01,
        "unit": f"u{n % 100}",
        "arm": "v2",
        "stage": 0,
        "champion_failed": False,
        "challenger_failed": False,
        "reason": "",
        "differs": False,
        "noise_differs": None,
        "champion_ms": 10.0,
        "challenger_ms": 12.0,
    }
    return Compared(**(fields | changes))


def shown(n: int, **changes: Any) -> Shown:
    fields: dict[str, Any] = {
        "rollout": "r1",
        "revision": "abc",
        "decision_id": f"d{n}",
        "at": START + n * 0.01,
        "unit": f"u{n}",
        "stage": 0,
        "method": "team-draft",
        "items": ("a", "b", "c"),
        "owners": ("v1", "v2", ""),
    }
    return Shown(**(fields | changes))


def outcome(key: str, **changes: Any) -> Outcome:
    fields: dict[str, Any] = {
        "outcome_id": key,
        "rollout": "",
        "decision_id": "",
        "unit": "",
        "name": "purchase",
        "value": 1.0,
        "item": "",
        "at": START,
        "received_at": START,
    }
    return Outcome(**(fields | changes))
