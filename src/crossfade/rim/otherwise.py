"""What another policy would have decided on the facts of a rollout, up to the first move that differs from the record.

After that move users would have been served otherwise, and of that there are no facts: nobody can say what came next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from crossfade.judge.assess import assess
from crossfade.judge.decide import decide
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence
from crossfade.judge.seen import seen_of
from crossfade.ledger import Entry
from crossfade.rim.record import AnyRecord
from crossfade.rim.replaying import Facts, chains, looking, spec_of
from crossfade.spec.model import Canary, Rollout, stage_name
from crossfade.state import ENDED, RULE, Phase, Position, planned_weight

LOOKS = 60
"""Looks in all, spread over the recorded time; the recorded controller looked every second."""

NEAR = 2.0
"""Seconds before a recorded move in which another look would say no more than that facts take a moment to come in."""


class CannotCompare(ValueError):
    """The other spec asks for what the facts do not hold; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Otherwise:
    """How far two policies went together, and where they parted."""

    revision: str
    agreed: Sequence[int]
    """Entries whose moves the other policy would have made, too, or that a person made."""
    at: float | None = None
    """When they parted; None when they did not."""
    recorded: str = ""
    decided: Decision | None = None
    """What the other policy said then."""
    evidence: Sequence[Evidence] = ()
    looks: int = 0

    def to_json(self) -> dict[str, Any]:
        """The record for programs."""
        decided = self.decided
        return {
            "schema": "crossfade.otherwise/1",
            "revision": self.revision,
            "agreed": list(self.agreed),
            "looks": self.looks,
            "differs": None
            if decided is None
            else {
                "at": self.at,
                "recorded": self.recorded,
                "move": decided.move,
                "rule": decided.rule,
                "sentence": decided.sentence,
                "evidence": [line.to_json() for line in self.evidence],
            },
        }


def otherwise(record: AnyRecord, other: Rollout, *, looks: int | None = None, threads: int = 2) -> Otherwise:
    """Follow the record under another spec. Raises CannotCompare, LakeError, StoreError."""
    looks = LOOKS if looks is None else looks
    entries, seals = chains(record)
    moves = [entry for entry in entries if entry.move is not None]
    if not moves:
        raise CannotCompare(f"{record.told.name} has not started: there is nothing to follow")
    for entry in moves:
        _fits(spec_of(record, entry), other, Position.from_json(entry.to_position or {}))
    facts = Facts(record, seals)
    span = max(moves[-1].at - moves[0].at, 1.0)
    agreed, count = [moves[0].n], 0
    for last, entry in pairwise(moves):
        position = Position.from_json(last.to_position or {})
        if position.phase is Phase.PENDING or position.phase in ENDED:
            agreed.append(entry.n)
            continue
        if entry.sealed is None and not entry.facts:
            # A person's move: what was sealed in the end holds all that was known then, and a look knows its time.
            facts.last()
        else:
            facts.at(entry)
        times = list(_times(last.at, entry.at, looks, span))
        with looking(facts, threads) as look:
            for at in times:
                count += 1
                found = look(other, position, at)
                evidence = assess(other, found)
                decision = decide(other, position, evidence, at, seen_of(found))
                if _agrees(entry, decision, at):
                    continue
                return Otherwise(
                    revision=other.revision,
                    agreed=agreed,
                    at=at,
                    recorded=_recorded(entry),
                    decided=decision,
                    evidence=evidence,
                    looks=count,
                )
        agreed.append(entry.n)
    return Otherwise(revision=other.revision, agreed=agreed, looks=count)


def _agrees(entry: Entry, decision: Decision, at: float) -> bool:
    """Whether the other policy did what was done: nothing before the next entry, and then its move.

    Where a person moved, it does not matter what a rule would have done at that very moment.
    """
    if at < entry.at:
        return decision.move is None
    return entry.actor != RULE or decision.move == entry.move


def _recorded(entry: Entry) -> str:
    return f"{entry.move} at entry {entry.n}: {entry.sentence}"


def _times(since: float, until: float, looks: int, span: float) -> Iterator[float]:
    """Times to look at, the last of them `until` itself."""
    some = max(1, round(looks * (until - since) / span))
    between = (since + (until - since) * k / some for k in range(1, some))
    yield from (at for at in between if until - at > NEAR)
    yield until


def _fits(was: Rollout, other: Rollout, position: Position) -> None:
    """Raises CannotCompare where the facts were not collected for such a spec."""
    for what, mine, theirs in (
        ("name", was.name, other.name),
        ("champion", was.champion.name, other.champion.name),
        ("challengers", [arm.name for arm in was.challengers], [arm.name for arm in other.challengers]),
        ("unit", str(was.unit), str(other.unit)),
        ("salt", was.salt or was.name, other.salt or other.name),
    ):
        if mine != theirs:
            raise CannotCompare(f"its {what} is {theirs}, and the facts are those of {mine}; keep what was, to compare")
    for index in range(position.stage + 1):
        there = stage_name(other.stages[index]) if index < len(other.stages) else "nothing"
        if there != stage_name(was.stages[index]):
            raise CannotCompare(
                f"its stage {index + 1} is {there}, and the facts are those of {stage_name(was.stages[index])}: what "
                "other users would have met is not recorded"
            )
        before, stage = was.stages[index], other.stages[index]
        steps = range(len(before.steps)) if isinstance(before, Canary) else range(1)
        reached = [step for step in steps if index < position.stage or step <= position.step]
        for step in reached:
            short = isinstance(stage, Canary) and step >= len(stage.steps)
            if short or planned_weight(was, index, step) != planned_weight(other, index, step):
                raise CannotCompare(
                    f"stage {index + 1} ({there}) has other shares of units, and facts were recorded under "
                    f"{planned_weight(was, index, step):.4g}; change margins, alpha, metrics and times, not shares"
                )
