"""What a preference may be worth, in words: rollouts that were tested both ways, and the forecast made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.judge.conversion import LEVEL, Forecast, Told, forecast
from crossfade.judge.infer.preference import PREFERENCE
from crossfade.ledger.twice import Twice, how, interleaved
from crossfade.spec.model import Rollout
from crossfade.view.words import interval, percent, signed

CAUTION = "A forecast, not evidence: no rule reads it."


def worth(
    rollout: Rollout, evidence: Sequence[Mapping[str, Any]], past: Sequence[Twice], own: Sequence[Twice]
) -> dict[str, Any] | None:
    """`expected`, for a rollout that is being interleaved; `both`, once an A/B test has answered. Else None.

    `past` are other rollouts' on the same route, `own` this one's; `evidence` are the lines as they are shown.
    """
    stage = interleaved(rollout)
    if stage is None:
        return None
    past = [one for one in past if one.how == how(stage)]
    both = [_both(rollout, one, metric) for one in (*own, *past) for metric in sorted(one.metrics)]
    expected = [
        told
        for line in evidence
        if line["metric"] == PREFERENCE.name and line["estimate"] is not None
        for told in _expected(rollout, line, past)
    ]
    if not both and not expected:
        return None
    return {"expected": expected, "both": both, "note": CAUTION if expected else ""}


def _expected(rollout: Rollout, line: Mapping[str, Any], past: Sequence[Twice]) -> list[dict[str, Any]]:
    preference = Told(estimate=line["estimate"], lower=line["lower"], upper=line["upper"])
    told = []
    for metric in rollout.metrics:
        if not metric.goal:
            continue
        key = f"{metric.name}:{metric.kind}"
        found = forecast([one.metrics[key] for one in past if key in one.metrics], preference)
        numbers = {"estimate": None, "lower": None, "upper": None, "past": 0, "factor": None}
        if isinstance(found, Forecast):
            numbers = {name: getattr(found, name) for name in numbers}
        told.append(
            {
                "arm": line["arm"],
                "metric": metric.name,
                **numbers,
                "text": _words(metric.name, str(metric.kind), line, found),
                "reason": found if isinstance(found, str) else "",
            }
        )
    return told


def _words(metric: str, kind: str, line: Mapping[str, Any], found: Forecast | str) -> str:
    if isinstance(found, str):
        return f"what a preference is worth in {metric} is not known: {found}"
    unit = _unit(kind)
    like = (found.estimate, found.lower, found.upper)
    reach = interval(found.lower, found.upper, unit, like=like)
    rollouts = "one earlier rollout that was" if found.past == 1 else f"{found.past} earlier rollouts that were"
    sure = "" if found.past == 1 else f" ({percent(LEVEL)} of the time)"
    return (
        f"a preference of {line['estimate']:+.3f} suggests {metric} {signed(found.estimate, unit, like=like)} "
        f"{reach}{sure} in an A/B test, by {rollouts} tested both ways"
    )


def _both(rollout: Rollout, one: Twice, key: str) -> dict[str, Any]:
    metric, kind = key.rsplit(":", 1)
    tested, unit = one.metrics[key], _unit(kind)
    said, effect = tested.preference, tested.effect
    like = (effect.estimate, effect.lower, effect.upper)
    where = "here" if one.rollout == rollout.name else f"in {one.rollout}"
    return {
        "rollout": one.rollout,
        "arm": one.arm,
        "metric": metric,
        "preference": said.estimate,
        "estimate": effect.estimate,
        "lower": effect.lower,
        "upper": effect.upper,
        "text": f"{where}, {one.arm} was preferred by {said.estimate:+.3f}, and the A/B test found {metric} "
        f"{signed(effect.estimate, unit, like=like)} {interval(effect.lower, effect.upper, unit, like=like)}",
    }


def _unit(kind: str) -> str:
    return {"rate": "pp", "quantile": "ms"}.get(kind, "")
