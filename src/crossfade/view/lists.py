"""Interleaved lists in words: some as users saw them, with whose each item was, and how evenly places were dealt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crossfade.judge.evidence import Verdict
from crossfade.spec.model import Rollout
from crossfade.view.words import percent, whole

if TYPE_CHECKING:
    from crossfade.judge.dealt import Dealt, Slot

Record = dict[str, Any]


def absent(rollout: Rollout, reason: str) -> Record:
    """The record where there is nothing to show."""
    return {"name": rollout.name, "available": False, "reason": reason, "method": None, "arms": []}


def fairness(rollout: Rollout, arm: str, told: Dealt, slots: Sequence[Slot]) -> Record:
    """How evenly places were dealt, in one sentence and place by place."""
    rows = []
    for place, slot in enumerate(slots):
        owned = slot.champion + slot.challenger
        rows.append(
            {
                "slot": place + 1,
                "champion": slot.champion,
                "challenger": slot.challenger,
                "nobody": slot.nobody,
                "share": slot.challenger / owned if owned else None,
                "worth": slot.total / slot.graded if slot.graded else None,
            }
        )
    return {
        "units": told.units,
        "e_value": told.e_value,
        "needed": told.needed,
        "verdict": str(told.verdict),
        "slots": rows,
        "text": _evenly(rollout.champion.name, arm, told, slots),
    }


def _evenly(champion: str, arm: str, told: Dealt, slots: Sequence[Slot]) -> str:
    of = f"the first lists of {whole(told.units)} units"
    if told.e_value is None or told.worst is None:
        return "No place has had an owner yet."
    value = f"e-value {_large(told.e_value)}, {_large(told.needed)} would prove it"
    if told.verdict is Verdict.HARMFUL:
        slot = slots[told.worst]
        return (
            f"Places were not dealt evenly in {of} (e-value {_large(told.e_value)} ≥ {_large(told.needed)}): at place "
            f"{told.worst + 1} the item was {arm}'s {whole(slot.challenger)} times and {champion}'s "
            f"{whole(slot.champion)} times. Do not trust the preference before you know why."
        )
    if told.verdict is Verdict.UNMEASURED:
        return f"Too few to tell whether places are dealt evenly: {of} ({value})."
    return f"Nothing says that places are dealt unevenly, in {of} ({value})."


def sample(
    rollout: Rollout,
    arm: str,
    row: Mapping[str, Any],
    clicks: Mapping[str, Mapping[str, int]],
) -> Record:
    """One list; `clicks` says by item which outcomes came how often."""
    slots, picks = [], Counter[str]()
    for place, (item, owner) in enumerate(zip(row["items"], row["owners"], strict=True)):
        engaged = dict(clicks.get(item, {}))
        if engaged:
            picks[owner] += 1
        worth = row["credits"][place] / 1e6 if row["credits"] else None
        slots.append({"slot": place + 1, "item": item, "owner": owner, "worth": worth, "engaged": engaged})
    champion = rollout.champion.name
    parts = [f"{whole(picks[who])} of {who}" for who in (arm, champion) if picks[who]]
    parts += [f"{whole(picks[''])} of nobody"] if picks[""] else []
    return {
        "decision_id": row["decision_id"],
        "at": row["at"],
        "slots": slots,
        "picked": {"champion": picks[champion], "challenger": picks[arm], "nobody": picks[""]},
        "text": f"Picked: {', '.join(parts)}" if parts else "Nothing picked",
    }


def counted(lists: int, clicked: int, excluded: Mapping[str, int]) -> str:
    """How many lists there were, and how many of them say nothing."""
    told = f"{whole(lists)} lists were shown; of {whole(clicked)} something was picked"
    if lists:
        told += f" ({percent(clicked / lists)})"
    if excluded:
        reasons = ", ".join(f"{whole(count)} {reason}" for reason, count in sorted(excluded.items()))
        told += f"; {whole(sum(excluded.values()))} more are no evidence: {reasons}"
    return f"{told}."


def _large(value: float) -> str:
    return "over a million" if value > 1e6 else whole(round(value)) if value >= 10.0 else f"{value:.2g}"
