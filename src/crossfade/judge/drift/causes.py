"""Who has changed: an ordered tuple of small rules, each with a sentence. The first that speaks is the headline.

No rule knows which arm is the champion. An arm is named only where another arm, measured over the same time, stayed as
it was while its inputs did, too: what meets all arms at once is the world's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from crossfade.judge.drift.counts import Counts
from crossfade.judge.drift.family import needed
from crossfade.judge.drift.watch import Change

Cause = Literal["feed", "world", "model", "unclear", "none", "unmeasured"]

CONTRAST = 4.0
"""How many times the index of any other arm one must have, the other's noise counted in its favour. The index grows
with the square of a move, so this is twice as far."""

MOVED = 0.3
"""Standard deviations by which a mean has to move for the other arms to be asked whether theirs went along."""

NAMED = 3
"""Fields named in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule says."""

    cause: Cause
    sentence: str
    arm: str = ""
    """The arm that changed, for `model`."""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the rules look at."""

    changes: Sequence[Change]
    found: Sequence[Change]
    """Those that have changed."""

    def of(self, *sides: str) -> list[Change]:
        """What has changed on these sides."""
        return [change for change in self.found if change.side in sides]

    def others(self, change: Change) -> list[Change]:
        """The same field of other arms, as far as it is measured."""
        return [
            one
            for one in self.changes
            if one.measured and (one.side, one.field) == (change.side, change.field) and one.arm != change.arm
        ]

    def alone(self, change: Change) -> bool:
        """Whether this arm moved and every other that is measured did not, or far less."""
        others = self.others(change)
        return bool(others) and all(
            one not in self.found
            and change.beyond > CONTRAST * (one.beyond + 2.0 * (one.psi_noise or 0.0))
            and not _went_along(change, one)
            for one in others
        )

    def together(self, change: Change) -> bool:
        """Whether every other arm moved, too."""
        others = self.others(change)
        return bool(others) and all(one in self.found for one in others)


def causes(changes: Sequence[Change], alpha: float) -> tuple[Finding, ...]:
    """Everything that there is to say, the headline first; always at least one sentence."""
    limit = needed(changes, alpha)
    seen = Seen(changes=changes, found=[change for change in changes if change.changed(limit)])
    said = [finding for rule in RULES if (finding := rule(seen)) is not None]
    return (
        tuple(said[:1])
        if said and said[0].cause in ("none", "unmeasured")
        else tuple(finding for finding in said if finding.cause not in ("none", "unmeasured"))
    )


def broken_feed(seen: Seen) -> Finding | None:
    """Inputs are missing, constant, nested, or of a kind that never was: nobody's model is to blame."""
    broken = [change for change in seen.of("input") if change.broken]
    if not broken:
        return None
    return Finding(
        cause="feed",
        sentence=f"The feed is broken: {_listed([_how(change) for change in broken])}.",
        changes=tuple(broken),
    )


def changed_world(seen: Seen) -> Finding | None:
    """Inputs of everyone moved, or what all arms predict or lead to."""
    inputs = [change for change in seen.of("input") if not change.broken]
    # What models make of a broken feed says nothing of the world.
    both = [] if broken_feed(seen) else [change for change in seen.of("output", "outcome") if seen.together(change)]
    if not inputs and not both:
        return None
    told = []
    if inputs:
        told.append(f"inputs of everyone ({_listed([change.field for change in inputs])})")
    for side, word in (("output", "predictions"), ("outcome", "outcomes")):
        fields = list({change.field: None for change in both if change.side == side})
        if fields:
            told.append(f"{word} of all arms ({_listed(fields)})")
    return Finding(
        cause="world",
        sentence=f"The world changed: {_and(told)} are not as in the reference. No arm is blamed for it.",
        changes=(*inputs, *both),
    )


def changed_model(seen: Seen) -> Finding | None:
    """One arm moved while the others and everyone's inputs stayed."""
    if seen.of("input"):
        return None
    alone = [change for change in seen.of("output", "outcome") if seen.alone(change)]
    arms = {change.arm for change in alone}
    if len(arms) != 1:
        return None
    (arm,) = arms
    told = [
        f"its {word} ({_listed([_moved(change) for change in alone if change.side == side])})"
        for side, word in (("output", "predictions"), ("outcome", "outcomes"))
        if any(change.side == side for change in alone)
    ]
    others = _and(sorted({one.arm for change in alone for one in seen.others(change)}))
    return Finding(
        cause="model",
        sentence=f"{arm} changed: {_and(told)} are not as in the reference, while those of {others} and the inputs "
        "are.",
        arm=arm,
        changes=tuple(alone),
    )


def unclear(seen: Seen) -> Finding | None:
    """Something moved that is neither everybody's nor one arm's alone."""
    named = {id(change) for rule in (broken_feed, changed_world, changed_model)
             if (finding := rule(seen)) for change in finding.changes}  # fmt: skip
    left = [change for change in seen.of("output", "outcome") if id(change) not in named]
    if not left:
        return None
    fields = _listed([f"{change.field} of {change.arm}" for change in left])
    if seen.of("input"):
        why = "the inputs changed, too, so no model is blamed"
    elif not any(seen.others(change) for change in left):
        why = "no other arm is measured beside it, so world and model cannot be told apart"
    else:
        why = "other arms have too few requests, or moved as well, so world and model cannot be told apart"
    return Finding(cause="unclear", sentence=f"Not as in the reference: {fields}; {why}.", changes=tuple(left))


def nothing(seen: Seen) -> Finding | None:
    """All that could be measured is as it was."""
    measured = [change for change in seen.changes if change.measured]
    if not measured or seen.found:
        return None
    left = len(seen.changes) - len(measured)
    more = f"; {left} not measured" if left else ""
    fields = "field is" if len(measured) == 1 else "fields are"
    return Finding(cause="none", sentence=f"No drift found: {len(measured)} {fields} as in the reference{more}.")


def unmeasured(seen: Seen) -> Finding | None:
    """There is nothing to compare, or nothing to compare it with."""
    if any(change.measured for change in seen.changes):
        return None
    reasons = sorted({change.reason for change in seen.changes})
    why = reasons[0] if reasons else "nothing has been counted yet"
    return Finding(cause="unmeasured", sentence=f"Drift is not measured: {why}.")


RULES = (broken_feed, changed_world, changed_model, unclear, nothing, unmeasured)


def _went_along(change: Change, one: Change) -> bool:
    """Whether the other arm's mean may have moved half as far in the same direction, in the field's own units.

    The same move is a smaller index where an arm's values vary more, and is proven later.
    """
    mine, other = _move(change), _move(one)
    if mine is None or other is None or abs(mine[0]) < MOVED * mine[1]:
        return False
    return math.copysign(1.0, mine[0]) * other[0] + 2.0 * other[2] >= abs(mine[0]) / 2.0


def _move(change: Change) -> tuple[float, float, float] | None:
    """How far the mean moved (of rates: the share with an event), the deviation it had, and the move's error."""
    levels = [_level(change, counts) for counts in (change.then, change.now)]
    then, now = levels
    if then is None or now is None:
        return None
    return now[0] - then[0], then[1], then[1] * math.sqrt(1.0 / then[2] + 1.0 / now[2])


def _level(change: Change, counts: Counts | None) -> tuple[float, float, int] | None:
    """Mean, standard deviation and number of values."""
    if counts is None or not counts.asked:
        return None
    if change.side == "outcome" and counts.names:
        share = counts.names["event"] / counts.asked
        return share, math.sqrt(share * (1.0 - share)), counts.asked
    mean, sd = counts.mean, counts.sd
    return None if mean is None or sd is None else (mean, sd, counts.numbers)


def _how(change: Change) -> str:
    share = "" if change.broken_share is None else f"{change.broken_share:.0%}"
    match change.broken:
        case "missing":
            return f"{change.field} is missing in {share} of requests"
        case "constant":
            return f"{change.field} has one value in {share} of requests"
        case "unseen":
            return f"{change.field} has values never seen before in {share} of requests"
        case "nested":
            return f"{change.field} is a list or an object in {share} of requests"
        case "new":
            return f"{change.field} is new, in {share} of requests"
        case _:
            return change.field


def _moved(change: Change) -> str:
    """The field; of outcomes with where their share, or mean, went."""
    then, now = change.then, change.now
    if change.side != "outcome" or then is None or now is None or not then.asked or not now.asked:
        return change.field
    if then.mean is not None and now.mean is not None:
        return f"{change.field} {'fell' if now.mean < then.mean else 'rose'} from {then.mean:.4g} to {now.mean:.4g}"
    before, after = then.names["event"] / then.asked, now.names["event"] / now.asked
    return f"{change.field} {'fell' if after < before else 'rose'} from {before:.1%} to {after:.1%}"


def _listed(words: Sequence[str]) -> str:
    more = len(words) - NAMED
    return ", ".join(words[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
