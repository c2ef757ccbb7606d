"""Of all that was found, what to tell: each harm once, in the smallest segment that explains it.

A segment that contains harmed units is harmed on average, so a true finding about one country is one about every
segment that overlaps it. What is told must still be harmed without the units of what was told before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crossfade.judge.evidence import Evidence
from crossfade.judge.search.cells import Bools, inside, told
from crossfade.judge.search.memory import Hypothesis
from crossfade.judge.search.proof import strength
from crossfade.judge.search.table import Signal

EVERYONE = "all units"
"""What explains a segment whose harm is no other than that of everyone else."""

BEYOND = 2.0
"""How many times the harm of everyone else a segment's must be, at least, to be told beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A hypothesis with the rows of its cell and what those say that came in after it was proposed."""

    hypothesis: Hypothesis
    signal: Signal
    members: Bools
    later: Bools
    """All rows that came in after it was proposed, in the cell or not."""
    line: Evidence
    e_value: float


Explained = tuple[Tested, str | None]
"""Something found, and what explains it instead, if anything does."""

Test = Callable[[Signal, Bools], Evidence]


def sort_out(found: Sequence[Tested], test: Test, alpha: float) -> list[Explained]:
    """All of those found, the strongest first."""
    questions: dict[tuple[str, str], list[Tested]] = {}
    for one in found:
        questions.setdefault((one.hypothesis.metric, one.hypothesis.arm), []).append(one)
    sorted_out = [explained for group in questions.values() for explained in _one_question(group, test, alpha)]
    return sorted(sorted_out, key=lambda explained: -explained[0].e_value)


def _one_question(group: Sequence[Tested], test: Test, alpha: float) -> list[Explained]:
    left = sorted(group, key=lambda one: -one.e_value)
    kept: list[Tested] = []
    explained: list[Explained] = []
    while left:
        best = _narrowed(left[0], left[1:], test)
        left.remove(best)
        rest = best.members & best.later
        for one in kept:
            rest &= ~one.members
        if not kept or strength(test(best.signal, rest)) >= 1.0 / alpha:
            kept.append(best)
            explained.append((best, None))
        else:
            most = max(kept, key=lambda one: int((one.members & best.members).sum()))
            explained.append((best, told(most.hypothesis.cell)))
    return [(one, why or (EVERYONE if _no_more(one, test, alpha) else None)) for one, why in explained]


def _narrowed(best: Tested, others: Sequence[Tested], test: Test) -> Tested:
    """The part of a segment that all its harm lies in, where such a part was found, too."""
    for place, one in enumerate(others):
        mine, theirs = best.hypothesis, one.hypothesis
        if inside(theirs.cell, mine.cell) and theirs.cell != mine.cell:
            outside = test(best.signal, best.members & best.later & ~one.members)
            if strength(outside) < 1.0:
                return _narrowed(one, others[place + 1 :], test)
    return best


def _no_more(one: Tested, test: Test, alpha: float) -> bool:
    """Whether everyone else is shown to be harmed, and the segment not by far more."""
    others = test(one.signal, one.later & ~one.members)
    if strength(others) < 1.0 / alpha or not others.estimate:
        return False
    # The end of the interval nearest to no difference is what is proven.
    proven = one.line.lower if others.estimate > 0.0 else one.line.upper
    return proven is None or proven / others.estimate < BEYOND
