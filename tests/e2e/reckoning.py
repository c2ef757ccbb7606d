"""What came of a drill: each check is of what users saw, or of the facts and the ledger, and says what it measured."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from crossfade.rim.lake import Lake
from crossfade.rim.lake_place import settle

from .drill_kit import LEASE, STEPS, Drill, Happened, Users

ASKED = np.dtype(
    [
        ("id", "V16"),
        ("sent", "<f8"),
        ("answered", "<f8"),
        ("unit", "<u4"),
        ("gateway", "u1"),
        ("challenger", "u1"),
        ("pad", "V2"),
    ]
)
"""As steady_users.py writes it."""

BREAKS = ("broken", "refused", "no connection")
"""What the clients of a killed gateway see."""

HEARD = 0.6
"""Seconds from hearing nothing more to the end of the lease, beyond the lease: news are asked for every 0.25 s, looked
at every 0.1 s, and the machine has other work."""


def asked(users: Users) -> Any:
    """Every answer."""
    return np.concatenate([np.fromfile(file, dtype=ASKED) for file in users.files])


def errors(users: Users, happened: Happened) -> Counter[str]:
    """Errors by kind; raises AssertionError where one is not of a killed gateway's connections."""
    unexplained = [
        error
        for error in users.errors
        if error["kind"] not in BREAKS
        or not any(
            error["gateway"] == gateway and began - 0.5 <= error["at"] <= end + 1.0
            for gateway, began, end in happened.killed
        )
    ]
    assert not unexplained, unexplained[:5]
    return Counter(error["kind"] for error in users.errors)


def exposure(said: Any, happened: Happened) -> dict[str, float]:
    """Users of the challenger are never more than planned, nor any where the lease has run out; the shares seen."""
    buckets = np.array(
        [xxhash.xxh3_64_intdigest(f"alpha:u{n}".encode()) / 2.0**64 for n in range(said["unit"].max() + 1)]
    )
    seen = said[said["challenger"] == 1]
    place = buckets[seen["unit"]]
    assert (place < STEPS[1]).all()
    assert (place[seen["answered"] < happened.raised] < STEPS[0]).all()
    for gateways, began, end in happened.deaf:
        inside = seen[(seen["sent"] > began + LEASE + HEARD) & (seen["answered"] < end)]
        late = inside[np.isin(inside["gateway"], list(gateways))]
        assert not len(late), f"{len(late)} exposed after the lease, up to {late['sent'].max() - began:.2f} s"
    shares = {}
    for step, (begin, end) in enumerate([(0.0, happened.raised), (happened.raised + 1.0, happened.stopped)]):
        some = said[(said["sent"] > begin) & (said["sent"] < end)]
        shares[f"share at {STEPS[step]:.0%}"] = float(some["challenger"].mean())
        assert shares[f"share at {STEPS[step]:.0%}"] <= STEPS[step] + 4.0 * (0.25 / max(len(some), 1)) ** 0.5 + 0.01
    return shares


def after_the_rollback(said: Any, happened: Happened, cut: int) -> tuple[float, float]:
    """Seconds after it at which the last user was sent to the challenger: by reachable gateways, and by one cut off."""
    seen = said[said["challenger"] == 1]
    last = [max(0.0, float(seen["sent"][seen["gateway"] == n].max()) - happened.stopped) for n in range(3)]
    return max(value for n, value in enumerate(last) if n != cut), last[cut]


def gaps(said: Any, happened: Happened) -> dict[str, list[float]]:
    """By failure, the longest time for which a gateway gave nobody the challenger's answer, in seconds."""
    seen = said[said["challenger"] == 1]
    found: dict[str, list[float]] = {}
    for what, began, end in happened.failures:
        longest = 0.0
        for gateway in range(3):
            times = seen["sent"][(seen["gateway"] == gateway) & (seen["sent"] > began) & (seen["sent"] < end)]
            longest = max(longest, float(np.diff(np.sort(np.concatenate([[began], times, [end]]))).max()))
        found.setdefault(what.replace("_", " "), []).append(longest)
    return found


def processors() -> tuple[int, int]:
    """What this machine's processors have done so far: all, and nothing."""
    told = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return sum(told), told[3] + told[4]


def busy(before: tuple[int, int], after: tuple[int, int]) -> float:
    """The share of their time in which they did something."""
    return 1.0 - (after[1] - before[1]) / max(after[0] - before[0], 1)


def lag(said: Any) -> tuple[float, float, float]:
    """Milliseconds to an answer: the median, 99 % and the longest."""
    took = 1000.0 * (said["answered"] - said["sent"])
    return float(np.median(took)), float(np.quantile(took, 0.99)), float(took.max())


def facts(folder: Path, lake: str, said: Any, happened: Happened) -> dict[str, int]:
    """Every answer is in the tables once, and nothing in them exposes beyond the plan."""
    settle(folder / "look", lake)
    tables = Lake(folder / "look")
    table = tables.table("exposed").select(["decision_id", "arm", "at", "weight", "served_by"])
    outcomes = tables.table("outcome")["outcome_id"].to_pylist()
    tables.close()
    recorded = _sorted(pc.replace_substring(table["decision_id"], "-", ""))
    told = np.sort(np.array([id_.tobytes().hex() for id_ in said["id"]], dtype="S32"))
    assert len(np.unique(recorded)) == len(recorded), "a fact is there twice"
    assert len(np.unique(told)) == len(told)
    lost = np.setdiff1d(told, recorded, assume_unique=True)
    assert not len(lost), f"{len(lost)} of {len(told)} answers are not in the tables, such as {lost[0].decode()}"
    assert len(outcomes) == len(set(outcomes)), "an outcome is there twice"
    weights = table["weight"].to_numpy()
    assert weights.max() <= STEPS[1]
    assert weights[table["at"].to_numpy() < happened.raised].max() <= STEPS[0]
    return {"answers": len(told), "facts": len(recorded), "outcomes": len(outcomes)}


def _sorted(ids: pa.ChunkedArray) -> Any:
    return np.sort(np.array(ids.to_pylist(), dtype="S32"))


def table(rows: dict[str, object]) -> str:
    """What was measured, a line each."""
    width = max(map(len, rows))
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows.items())


def settled(drill: Drill) -> None:
    """What every host had to say of its facts is in the tables; raises AssertionError otherwise."""
    from crossfade.rim import batches
    from crossfade.rim.lake_place import Place

    assert not Place(drill.folder / "c0").names("journals")
    for name in ("g0", "g1", "g2", "o"):
        for journal in batches.journals(drill.folder / name):
            connection = batches.connect(journal)
            assert not batches.raw(connection, 0, 1), f"{journal} has facts that were not sent"
            connection.close()
