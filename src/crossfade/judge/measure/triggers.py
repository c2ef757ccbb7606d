"""Units to whom the arms make a difference: those with a request at which the arms' answers are known to differ.

A copy of each request of a drawn unit goes to the arm that does not serve it, so that which requests differ is known
for both arms by one rule, whoever served. Up to its first such request a unit was given the same by either arm: that
it comes to one, and when, cannot be the arm's doing, and from there on its arm is still a fair draw. This ends where
it is not known of a request whether its answers differed: units whose first unknown request comes before any that is
known to differ (or with it) are left out, and counted.
"""

from __future__ import annotations

from crossfade.judge.measure import assemble
from crossfade.judge.measure.arms import SETTLED
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.measured import Triggered
from crossfade.judge.measure.questions import Question, ask
from crossfade.judge.measure.tables import COPIED, TRIGGERED, Expr, bucket_of, counted, first
from crossfade.judge.moments import Moments
from crossfade.spec.model import Rollout


def triggered(copied: Expr = COPIED) -> Expr:
    """Each unit with such a request: the arm, step and weight of the first, and when that was."""
    order = ["elapsed", "step", "arm", "weight"]
    one = first(copied.filter(copied["differs"]).select("unit", *order), by=["unit"], order=order)
    lost = copied.filter(~copied["known"]).group_by("unit").agg(lost=copied["elapsed"].min())
    both = one.left_join(lost, "unit")
    kept = both.filter(both["lost"].isnull() | (both["elapsed"] < both["lost"]))
    return kept.select("unit", "arm", "step", "weight", entered=kept["elapsed"])


def tallied(copied: Expr = COPIED, differing: Expr = TRIGGERED) -> Expr:
    """Per arm: drawn units by the arm of their first copied request, what became of them, and of their requests."""
    order = ["elapsed", "step", "arm", "weight"]
    home = first(copied.select("unit", *order), by=["unit"], order=order).select("unit", "arm")
    per_unit = copied.group_by("unit").agg(
        requests=copied.count(),
        compared=counted(copied["known"]).sum(),
        turned=counted(copied["differs"]).sum(),
        unknown=counted(~copied["known"]).sum(),
    )
    entered = differing.select("unit", "entered")
    both = home.join(per_unit, "unit").left_join(entered, "unit")
    here = both["entered"].notnull()
    told = both.select(
        "arm", "requests", "compared", "turned", differing=counted(here), lost=counted(~here & (both["unknown"] > 0))
    )
    sums = {name: told[name].sum() for name in ("differing", "lost", "requests", "compared", "turned")}
    return told.group_by("arm").agg(units=told.count(), **sums)


def entered_units(judged: Expr = SETTLED) -> Expr:
    """Units that count (`n`), by the slice of time in which their window closes."""
    timed = judged.mutate(bucket=bucket_of(judged["due"]))
    return timed.group_by("arm", "step", "weight", "bucket").agg(n=timed.count(), k=counted(timed["events"] < 0).sum())


def entry(rollout: Rollout, mode: str) -> Question | None:
    """The question how many units of each arm came to differ; None where no metric is about them."""
    champion, many = rollout.champion.name, len(rollout.challengers)

    def shape(rows: Rows, arm: str) -> Moments:
        return assemble.rate(rows, champion, arm, many, settled=False)

    for metric in rollout.metrics:
        asked = ask(rollout, mode, metric) if metric.differing else None
        if isinstance(asked, Question):
            return Question(
                key=("entered-units",),
                build=entered_units,
                shape=shape,
                silent=asked.silent,
                judged=asked.judged,
                by_unit=True,
            )
    return None


def told(rows: Rows) -> dict[str, Triggered]:
    """Rows of `tallied` by arm."""
    names = ("units", "differing", "lost", "requests", "compared", "turned")
    return {
        str(arm): Triggered(**{name: int(rows[name][place]) for name in names})
        for place, arm in enumerate(rows["arm"].tolist())
    }
