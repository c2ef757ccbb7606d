"""Rows carried to where outcomes are kept: batch by batch, each durable before the next, and what was refused told.

Nothing has to be undone when this is cut off: outcomes are recognised by their ids, so whatever was carried already
counts as a duplicate the next time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from crossfade.rim.outcome_rows import Mapped, Row, RowsError

if TYPE_CHECKING:
    from crossfade.client.outcomes import Port
    from crossfade.rim.inbox import OutcomeInbox

PATIENCE = 120.0
"""Seconds for which a control port that does not answer is tried again."""


class Undelivered(Exception):
    """The outcomes could not be handed over; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one batch."""

    accepted: int
    duplicates: int
    rejected: Sequence[Mapping[str, Any]]
    """`index` in the batch and `problem`."""


class Carrier(Protocol):
    """Takes a batch of items; it is durable when the answer is given. Raises Undelivered."""

    def carry(self, items: Sequence[Mapping[str, Any]]) -> Answer: ...


class ToFolder:
    """Straight into the inbox of a data folder."""

    def __init__(self, inbox: OutcomeInbox, known: Collection[str], recorded: Callable[[str, str], str]) -> None:
        self._inbox, self._known, self._recorded = inbox, known, recorded

    def carry(self, items: Sequence[Mapping[str, Any]]) -> Answer:
        """Read as the control port would, so that both say the same of the same row."""
        from crossfade.console import outcomes
        from crossfade.rim.batches import JournalError

        found = outcomes.read(
            json.dumps(items).encode(), lines=False, now=time.time(), known=self._known, recorded=self._recorded
        )
        try:
            taken = self._inbox.accept(found.outcomes)
        except JournalError as error:
            raise Undelivered(str(error)) from error
        return Answer(accepted=taken.accepted, duplicates=taken.duplicates, rejected=found.refused(taken.conflicts))


class ToPort:
    """Through the API of a control port."""

    def __init__(self, port: Port, *, patience: float = PATIENCE) -> None:
        self._port, self._patience = port, patience

    def carry(self, items: Sequence[Mapping[str, Any]]) -> Answer:
        """Post until there is an answer; the ids in a batch stay the same however often that takes."""
        from crossfade.client.outcomes import RETRIED

        wait, deadline = 0.1, time.monotonic() + self._patience
        while True:
            status, answer = self._port.post(items)
            if status == 202 and isinstance(answer, dict):
                return Answer(
                    accepted=int(answer["accepted"]), duplicates=int(answer["duplicates"]), rejected=answer["rejected"]
                )
            if status == 413 and len(items) > 1:
                return self._halves(items)
            if status is not None and status not in RETRIED:
                raise Undelivered(f"the control port answered {status}: {answer}")
            if time.monotonic() >= deadline:
                raise Undelivered(f"no answer for {self._patience:.0f} s: {answer}")
            time.sleep(max(wait, self._port.retry_after))
            wait = min(wait * 2.0, 10.0)

    def _halves(self, items: Sequence[Mapping[str, Any]]) -> Answer:
        half = len(items) // 2
        first, second = self.carry(items[:half]), self.carry(items[half:])
        moved = [dict(found, index=int(found["index"]) + half) for found in second.rejected]
        return Answer(
            accepted=first.accepted + second.accepted,
            duplicates=first.duplicates + second.duplicates,
            rejected=[*first.rejected, *moved],
        )


@dataclass(slots=True, kw_only=True)
class Totals:
    """What became of the rows so far."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    last: int = 0
    """Number of the last row that was dealt with."""


class Notebook:
    """Where an import stands, in a file that is replaced whole: the source and the mapping it is about, and totals."""

    def __init__(self, path: Path | None, about: Mapping[str, Any]) -> None:
        self._path, self._about = path, dict(about)

    def read(self) -> Totals:
        """The totals to go on from. Raises RowsError when they are about something else."""
        if self._path is None or not self._path.exists():
            return Totals()
        try:
            kept = json.loads(self._path.read_text())
            about, totals = kept["about"], Totals(**kept["totals"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RowsError(f"{self._path} is no note of an import ({error}); name another file") from error
        if about != self._about:
            raise RowsError(
                f"{self._path} is about another source or mapping, or the source has changed since; remove it to "
                "begin again, which counts nothing twice"
            )
        return totals

    def write(self, totals: Totals) -> None:
        """Keep the totals; what they say is durable already."""
        if self._path is None:
            return
        pending = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        pending.write_text(json.dumps({"about": self._about, "totals": asdict(totals)}))
        os.replace(pending, self._path)


class Rejects:
    """A file of rows that were not kept, a JSON object a line; made when there is the first."""

    def __init__(self, path: Path, *, append: bool) -> None:
        self.path = path
        self._mode = "a" if append else "w"
        self._file: IO[str] | None = None

    def note(self, row: Row, problem: str) -> None:
        """One row and why."""
        if self._file is None:
            self._file = open(self.path, self._mode, encoding="utf-8")  # noqa: SIM115
        found = {"row": row.number, "problem": problem, "columns": row.columns}
        self._file.write(json.dumps(found, ensure_ascii=False, default=str) + "\n")

    def flush(self) -> None:
        """On the disk for whoever looks."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Done."""
        if self._file is not None:
            self._file.close()


def carry_all(
    found: Iterable[Row],
    mapped: Mapped,
    carrier: Carrier,
    totals: Totals,
    rejects: Rejects,
    *,
    batch: int,
    done: Callable[[Totals], None],
) -> None:
    """Carry every row, `batch` at a time; `done` is called after each. Raises RowsError and Undelivered."""
    waiting: list[tuple[Row, dict[str, Any]]] = []
    last = totals.last

    def deliver() -> None:
        if waiting:
            answer = carrier.carry([item for _, item in waiting])
            totals.accepted += answer.accepted
            totals.duplicates += answer.duplicates
            totals.rejected += len(answer.rejected)
            for refused in answer.rejected:
                rejects.note(waiting[int(refused["index"])][0], str(refused["problem"]))
            waiting.clear()
        rejects.flush()
        totals.last = last
        done(totals)

    for row in found:
        totals.rows += 1
        last = row.number
        item = mapped.item(row)
        if isinstance(item, str):
            totals.rejected += 1
            rejects.note(row, item)
        else:
            waiting.append((row, item))
        if len(waiting) >= batch:
            deliver()
    deliver()
