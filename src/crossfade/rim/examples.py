"""Examples of mirrored replies that differ: sampled, redacted, bounded, in a folder of their own that may be encrypted.

A gateway's worker writes one small SQLite file; nothing waits for it, and what does not fit is counted and left out.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from crossfade.facts import Compared
from crossfade.live.assign import bucket
from crossfade.live.compare.kinds import CATASTROPHIC, UNUSABLE
from crossfade.live.compare.redact import redacted, rules
from crossfade.live.exchange.examine import about_body
from crossfade.live.exchange.pairs import Answer, Compare
from crossfade.live.protocols import wire
from crossfade.live.protocols.base import Invalid
from crossfade.rim.revisions import StoreError
from crossfade.spec.model import Protocol

log = logging.getLogger("crossfade.examples")

FOLDER = "examples"
"""Below the data folder; only its owner may look into it."""

LARGEST = 64 * 1024
"""Bytes of a reply that is looked at for an example."""

MOST_TEXT = 16 * 1024
"""Characters kept of one reply, after redaction."""

OF_EACH = 5
"""Examples of each field that are kept whatever the share."""

WAITING = 64

_TABLE = """
CREATE TABLE IF NOT EXISTS examples (rollout TEXT NOT NULL, arm TEXT NOT NULL, stage INTEGER NOT NULL,
    decision_id TEXT NOT NULL, at REAL NOT NULL, fields TEXT NOT NULL, replies BLOB NOT NULL)
"""


class Examples:
    """Keeps examples of one worker. `offer` never blocks; a thread writes."""

    def __init__(self, data: Path, worker: str) -> None:
        self._path = data / FOLDER / f"{worker}.db"
        self._queue: SimpleQueue[tuple[Compare, Compared] | None] = SimpleQueue()
        self._seen: Counter[tuple[str, str, str]] = Counter()
        self._thread: threading.Thread | None = None
        self.left_out = 0
        """Examples that came faster than they could be written."""

    def offer(self, pair: Compare, fact: Compared) -> None:
        """Keep a pair as an example if it is one, and if it is drawn."""
        wanted = pair.examples
        if wanted is None or not (fact.differs or fact.reason in UNUSABLE):
            return
        if max(len(pair.champion.body), len(pair.challenger.body)) > LARGEST or self._queue.qsize() >= WAITING:
            self.left_out += 1
            return
        ways = [(fact.rollout, fact.arm, way) for way in (fact.fields or (fact.reason,))]
        fresh = [way for way in ways if self._seen[way] < OF_EACH]
        if not fresh and bucket("example", fact.decision_id) >= wanted.share:
            return
        self._seen.update(fresh)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="examples", daemon=True)
            self._thread.start()
        self._queue.put((pair, fact))

    def close(self) -> None:
        """Write what was taken, and end."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=5.0)

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                os.chmod(self._path, 0o600)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute("PRAGMA secure_delete=ON")
                connection.execute(_TABLE)
                while (taken := self._queue.get()) is not None:
                    try:
                        self._keep(connection, *taken)
                    except sqlite3.Error:
                        self.left_out += 1
                        log.exception("an example could not be written")
        except (OSError, sqlite3.Error):
            log.exception("examples of differing replies are not kept")

    def _keep(self, connection: sqlite3.Connection, pair: Compare, fact: Compared) -> None:
        hidden = rules(pair.redact)
        replies = {side: shown(pair, answer, hidden) for side, answer in
                   (("champion", pair.champion), ("challenger", pair.challenger))}  # fmt: skip
        row = (
            fact.rollout,
            fact.arm,
            fact.stage,
            fact.decision_id,
            fact.at,
            json.dumps(list(zip(fact.fields, fact.kinds, strict=False)) or [["$", fact.reason]]),
            zlib.compress(
                json.dumps({**replies, "segments": list(fact.segments)}, ensure_ascii=False, default=str).encode(
                    errors="surrogatepass"
                )
            ),
        )
        connection.execute("INSERT INTO examples VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        most = pair.examples.most if pair.examples is not None else 0
        connection.execute(
            "DELETE FROM examples WHERE rollout = ? AND rowid NOT IN"
            " (SELECT rowid FROM examples WHERE rollout = ? ORDER BY rowid DESC LIMIT ?)",
            (fact.rollout, fact.rollout, most),
        )


def shown(pair: Compare, answer: Answer, hidden: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    """What is kept of one reply: its fields without what is hidden, or why there are none."""
    if answer.failure or answer.head is None:
        return {"failed": answer.failure or "broken"}
    found = wire(Protocol(pair.protocol)).prediction(about_body(answer.head), answer.body)
    if isinstance(found, Invalid):
        # What cannot be taken apart cannot be redacted either: nothing of it is kept but what is a document after all.
        return {"failed": found.reason, **_document(answer.body, hidden)}
    return _bounded(redacted(found.fields, hidden))


def _document(body: bytes, hidden: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    try:
        doc = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(doc, dict):
        return {}
    return _bounded(redacted({f"$['{name}']": value for name, value in doc.items()}, hidden))


def _bounded(fields: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(fields, ensure_ascii=False, default=str)
    return {"fields": fields} if len(text) <= MOST_TEXT else {"cut": text[:MOST_TEXT], "characters": len(text)}


def kept(
    data: Path,
    rollout: str,
    *,
    field: str = "",
    arm: str = "",
    kind: str = "",
    within: tuple[int, str] | None = None,
    most: int = 20,
) -> list[dict[str, Any]]:
    """Examples of a rollout, the latest first; of one field, challenger, kind of difference or segment where asked
    for: the place of its field among those of the spec, and its value."""
    found: list[dict[str, Any]] = []
    for file in sorted((data / FOLDER).glob("*.db")):
        found += _read(file, rollout)
    chosen = [one for one in found if (not arm or one["arm"] == arm) and _has(one, field, kind) and _in(one, within)]
    return sorted(chosen, key=lambda one: (-one["at"], one["id"]))[:most]


def forget(data: Path, decisions: Collection[str]) -> int:
    """Delete examples of these decisions, so that nothing of them is left in the files; how many. Raises StoreError."""
    count, told = 0, sorted(decisions)
    for file in sorted((data / FOLDER).glob("*.db")):
        try:
            with closing(sqlite3.connect(file, isolation_level=None, timeout=10.0)) as connection:
                connection.execute("PRAGMA secure_delete=ON")
                connection.execute("CREATE TEMP TABLE mine (id TEXT PRIMARY KEY)")
                connection.executemany("INSERT OR IGNORE INTO mine VALUES (?)", [(one,) for one in told])
                gone = "DELETE FROM examples WHERE decision_id IN (SELECT id FROM mine)"
                count += connection.execute(gone).rowcount
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise StoreError(f"cannot delete examples from {file}: {error}; it is tried again") from error
    return count


def age(data: Path, rollout: str, before: float) -> int:
    """Delete a rollout's examples from before a time; how many."""
    count = 0
    for file in sorted((data / FOLDER).glob("*.db")):
        try:
            with closing(sqlite3.connect(file, isolation_level=None, timeout=10.0)) as connection:
                connection.execute("PRAGMA secure_delete=ON")
                gone = connection.execute("DELETE FROM examples WHERE rollout = ? AND at < ?", (rollout, before))
                count += gone.rowcount
        except sqlite3.Error as error:
            log.warning("examples in %s cannot be deleted now: %s", file, error)
    return count


def _has(example: Mapping[str, Any], field: str, kind: str) -> bool:
    """Whether a pair differs in a field or below it, in that way."""
    return any(
        (not kind or one["kind"] == kind)
        and (not field or one["path"] == field or one["path"].startswith((f"{field}.", f"{field}[")))
        for one in example["fields"]
    )


def _in(example: Mapping[str, Any], within: tuple[int, str] | None) -> bool:
    if within is None:
        return True
    place, value = within
    segments = example.get("segments", ())
    return place < len(segments) and segments[place] == value


def _read(file: Path, rollout: str) -> Iterator[dict[str, Any]]:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)) as connection:
            rows = connection.execute(
                "SELECT arm, stage, decision_id, at, fields, replies FROM examples WHERE rollout = ?", (rollout,)
            ).fetchall()
    except sqlite3.Error as error:
        log.warning("examples in %s cannot be read: %s", file, error)
        return
    for arm, stage, decision, at, fields, replies in rows:
        ways = [{"path": path, "kind": kind} for path, kind in json.loads(fields)]
        unusable = any(way["kind"] in (*CATASTROPHIC, *UNUSABLE) for way in ways)
        told = {"id": decision, "arm": arm, "stage": stage, "at": at, "fields": ways, "unusable": unusable}
        yield {**told, **json.loads(zlib.decompress(replies))}
