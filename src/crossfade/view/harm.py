"""What the challenger has cost so far: units exposed, bad events beyond the champion's rate, and that sum in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.judge.evidence import Evidence
from crossfade.ledger import Entry
from crossfade.spec.model import Canary, Kind, Rollout
from crossfade.view.words import excess, percent, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmed:
    """Units and units-with-an-event of both arms on one metric, in one stage or step."""

    metric: str
    where: str
    """The stage or step in words, such as `canary 5 %`."""
    units: int
    events: int
    baseline_units: int
    baseline_events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """What the challenger has cost so far. Strata are kept apart: pooling a ramp mixes time into the rates."""

    units: int | None = None
    """Units ever served by the challenger; None where nobody could count them."""
    strata: Sequence[Harmed] = ()


def harm_so_far(
    rollout: Rollout, reached: Mapping[str, int], entries: Sequence[Entry], evidence: Sequence[Evidence]
) -> Harm:
    """The account of harm over all stages: the present one from its evidence, earlier ones as the ledger kept them.

    `reached` counts the units each arm was ever assigned. Strata are stages; shadow harms nobody and is left out.
    """
    arm, baseline = rollout.challenger.name, rollout.champion.name
    rates = {metric.name for metric in rollout.metrics if metric.kind is Kind.RATE}
    lines: dict[tuple[str, str], Mapping[str, Any]] = {}
    for entry in entries:
        lines.update({(line["stage"], line["metric"]): line for line in entry.evidence if _whole(line, arm)})
    told = (line.to_json() for line in evidence)
    lines.update({(line["stage"], line["metric"]): line for line in told if _whole(line, arm)})
    strata = [
        Harmed(
            metric=line["metric"],
            where=line["stage"],
            units=int(line["units"].get(arm, 0)),
            events=int(line["events"].get(arm, 0)),
            baseline_units=int(line["units"].get(baseline, 0)),
            baseline_events=int(line["events"].get(baseline, 0)),
        )
        for line in lines.values()
        if line["metric"] in rates and line["stage"] != "shadow"
        if line["events"] is not None and arm in line["events"]
    ]
    return Harm(units=reached.get(arm, 0), strata=strata)


def _whole(line: Mapping[str, Any], arm: str) -> bool:
    return line["arm"] == arm and line["segment"] is None


def harm_record(rollout: Rollout, harm: Harm) -> dict[str, Any]:
    """Units exposed, and for each metric what the challenger cost beyond the champion's rate, with the sum shown."""
    budgets = {name: most for stage in rollout.stages if isinstance(stage, Canary) for name, most in stage.budget}
    metrics = []
    for name in dict.fromkeys(stratum.metric for stratum in harm.strata):
        better = {metric.name: str(metric.better) for metric in rollout.metrics}.get(name, "lower")
        strata = [stratum for stratum in harm.strata if stratum.metric == name]
        told = [_excess(stratum, better) for stratum in strata]
        known = [more for more, _ in told if more is not None]
        total = sum(known) if known else None
        budget = budgets.get(name)
        spent = max(0.0, total) / budget if total is not None and budget else None
        text = f"{name}: {_beside(total, better)} the champion's rate"
        metrics.append(
            {
                "metric": name,
                "better": better,
                "units": sum(stratum.units for stratum in strata),
                "events": sum(stratum.events for stratum in strata),
                "bad": sum(s.events if better == "lower" else s.units - s.events for s in strata),
                "excess": total,
                "budget": budget,
                "spent": spent,
                "text": text if budget is None else f"{text}, of a budget of {budget:g} ({percent(spent)} spent)",
                "arithmetic": [text for _, text in told],
            }
        )
    return {"arm": rollout.challenger.name, "units": harm.units, "metrics": metrics}


def _beside(total: float | None, better: str) -> str:
    """More or fewer than at somebody's rate: a sign alone is read the wrong way round where less is better."""
    which = " without it" if better == "higher" else ""
    if total is None:
        return "nothing to hold against"
    if abs(total) < 0.05:
        return f"as many{which} as at"
    return f"{abs(total):,.1f} {'more' if total > 0 else 'fewer'}{which} than at"


def _excess(stratum: Harmed, better: str) -> tuple[float | None, str]:
    """Bad events beyond those that the baseline's rate would have brought, and that sum in words."""
    bad, baseline_bad, which = stratum.events, stratum.baseline_events, ""
    if better == "higher":
        bad, baseline_bad, which = stratum.units - bad, stratum.baseline_units - baseline_bad, " without it"
    if not stratum.baseline_units:
        return (
            None,
            f"{stratum.where}: {whole(bad)} of {whole(stratum.units)}{which}; no champion units beside them",
        )
    expected = stratum.units * baseline_bad / stratum.baseline_units
    text = (
        f"{stratum.where}: {whole(bad)} of {whole(stratum.units)}{which}; at the champion's rate "
        f"({whole(baseline_bad)} of {whole(stratum.baseline_units)}) {expected:,.1f}; "
        f"excess {excess(bad - expected)}"
    )
    return bad - expected, text
