"""The harm budget of a canary: the most excess harm, in a metric's own counts, that may be spent.

Excess harm is the challenger's events beyond what its units would have had at the champion's rate. Noise alone can
carry that estimate past a small budget, so rolling back needs more: the always-valid interval must lie wholly on the
harmful side of no difference. A harmless challenger is then rolled back no more often than its share of alpha allows.
While the estimate alone is over the budget, exposure is not raised.
"""

from __future__ import annotations

from crossfade.judge.decide.look import Look
from crossfade.judge.evidence import Evidence
from crossfade.spec.model import Canary


def excess(line: Evidence) -> float | None:
    """Estimated excess harm so far: events for a rate, the metric's own sum for a mean; None where neither is known."""
    if line.values is None:
        return None
    rate, units = line.values.get(line.baseline), line.units.get(line.arm)
    if rate is None or units is None:
        return None
    if line.events is not None and line.counterfactual is not None:
        more = line.events.get(line.arm, 0) - line.counterfactual["events"]
    elif line.events is not None:
        more = line.events.get(line.arm, 0) - units * rate
    elif line.estimate is not None:
        more = units * line.estimate
    else:
        return None
    return more if line.better == "lower" else -more


def over(look: Look) -> tuple[tuple[Evidence, float, float], ...]:
    """(line, excess, budget) wherever the estimate is over the budget."""
    if not isinstance(look.stage, Canary):
        return ()
    budgets = dict(look.stage.budget)
    found = []
    for line in look.evidence:
        if line.metric in budgets:
            much = excess(line)
            if much is not None and much >= budgets[line.metric]:
                found.append((line, much, budgets[line.metric]))
    return tuple(found)


def spent(look: Look) -> str | None:
    """Why the budget ends the canary, if it does."""
    for line, much, budget in over(look):
        bound = line.lower if line.better == "lower" else line.upper
        if bound is not None and (bound > 0.0 if line.better == "lower" else bound < 0.0):
            what = " units" if line.events is not None else ""
            return (
                f"{line.metric} of {line.arm} has cost about {much:,.0f}{what}, budget {budget:,.0f}, "
                f"and is provenly worse than {line.baseline}"
            )
    return None
