"""Harm outranks everything: a proven harm, or a spent budget, takes the challenger away at once."""

from __future__ import annotations

from crossfade.judge.decide import say
from crossfade.judge.decide.budget import spent
from crossfade.judge.decide.look import Look, preferred
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.state import Move, Phase


def harm(look: Look) -> Decision | None:
    """Rolls back on any harmful line, also while held and after promotion."""
    if look.position.phase not in (Phase.RUNNING, Phase.HELD, Phase.PROMOTED):
        return None
    proven = [line for line in look.evidence if line.verdict is Verdict.HARMFUL]
    if proven:
        worst = min(proven, key=_order)
        more = f" {len(proven) - 1} more harmful." if len(proven) > 1 else ""
        liked = " Its ranking was preferred all the same." if any(map(_liked, look.evidence)) else ""
        did = "Demoted" if look.position.phase is Phase.PROMOTED else "Rolled back"
        how = say.began_late(worst, look) if worst.change is not None else say.harmed(worst)
        return Decision(move=Move.ROLLBACK, rule="harm", sentence=f"{did}: {how}.{more}{liked}")
    overspent = spent(look)
    if overspent is not None:
        return Decision(move=Move.ROLLBACK, rule="harm", sentence=f"Rolled back: {overspent}.")
    return None


def _liked(line: Evidence) -> bool:
    return preferred(line.metric) and line.verdict is Verdict.SAFE


def _order(line: Evidence) -> tuple[float, str, str]:
    excess = (line.e_value or 0.0) * (1.0 - line.confidence)
    return (-excess, line.metric, line.arm)
