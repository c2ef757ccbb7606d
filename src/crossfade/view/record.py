"""What a person sees: one record of one rollout, the same for terminal, page, JSON and notification.

`view` gathers what the other rooms found out and says it once, numbers and words together, so that no
reader of the record parses a sentence or formats a number again. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf, log
from typing import Any

from crossfade.judge.day import Day
from crossfade.judge.decide import weeks
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.measure.measured import Segmented
from crossfade.ledger import Entry
from crossfade.spec.model import Ab, Canary, Promote, Rollout, Shadow, Stage, copies_of, stage_name
from crossfade.state import ENDED, ROUTER, RULE, Move, Phase, Position, mode, weight
from crossfade.view.ageing import ageing_record
from crossfade.view.approval import approval_record, shown_digest, with_approvals
from crossfade.view.covariate import without_covariate
from crossfade.view.harm import Harm, harm_record
from crossfade.view.outcomes import OutcomeCounts, outcomes_record
from crossfade.view.segments import segments_record
from crossfade.view.strip import strip
from crossfade.view.words import amount, duration, interval, moment, percent, signed, whole

SCHEMA = "crossfade.status/1"

SHAPES: Mapping[str, str] = {
    Verdict.UNDECIDED: "●",
    Verdict.SAFE: "◆",
    Verdict.HARMFUL: "✖",
    Verdict.UNMEASURED: "?",
}
"""Shape repeats colour, so that neither is needed to read a verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How much of the traffic the challenger owns: what the spec plans now, and what was seen."""

    planned: float | None = None
    """Share of units (0–1) the position asks for; taken from the position when None."""
    actual: float | None = None
    """Share of units (0–1) seen on the challenger since the step began; None before any came."""
    units: Mapping[str, int] = field(default_factory=dict)
    """Units per arm in this stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """What one arm has done since the rollout started."""

    requests: int = 0
    """Requests assigned to it (for a hidden arm: copies that were compared)."""
    failures: int | None = 0
    """How many of them it failed; None where that was not counted."""
    fallbacks: int = 0
    """Requests assigned to it that another arm had to answer."""
    share: float | None = None
    """Its share (0–1) of the requests; None before any came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts that say how far a stage is and what was lost on the way. None: could not be counted."""

    requests: int | None = None
    mirrored: int | None = None
    """Mirrored requests compared in this stage."""
    dropped: int | None = None
    """Shadow copies not sent or not compared."""
    dropped_share: float | None = None
    """Their share (0–1) of all copies; None before there was any."""
    dropped_why: Mapping[str, int] | None = None
    """How many of them for which reason."""
    excluded: Mapping[str, int] | None = None
    """Interleaved lists that are not evidence, per reason."""
    missing_units: int | None = None
    """Requests that named no unit: served by the champion, never analysed."""
    orphans: int | None = None
    """Outcomes that joined no exposure."""
    faults: int | None = None
    wins: int | None = None
    """Interleaved units that preferred the challenger."""
    losses: int | None = None
    ties: int | None = None
    lease_held: bool | None = None
    """Whether the gateways hear the controller; without it only the champion serves."""


def view(
    rollout: Rollout,
    position: Position,
    evidence: Sequence[Evidence],
    decision: Decision | None,
    entries: Sequence[Entry],
    *,
    now: float,
    exposure: Exposure | None = None,
    arms: Mapping[str, ArmCounts] | None = None,
    harm: Harm | None = None,
    progress: Progress | None = None,
    outcomes: OutcomeCounts | None = None,
    drift: Mapping[str, Any] | None = None,
    segments: Segmented | None = None,
    days: Sequence[Day] = (),
    router: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The record of one rollout at time `now`, made of JSON scalars, lists and objects only.

    Stable keys are those of the published `status` record; `lines`, `stages`, `next`, `progress`, `counts`,
    `outcomes`, `drift`, `held`, `lease` and `router` are additions that may grow. `decision` may be None before the
    first look and after the last move.
    """
    exposure = exposure or Exposure()
    progress = progress or Progress()
    arms = arms or {}
    # Segments follow all units, each in the order in which they were judged.
    roles = ("goal", "guardrail", "gate")
    ordered = sorted(evidence, key=lambda line: (line.segment is not None, roles.index(line.role)))
    pending = position.phase is Phase.PENDING
    stage = rollout.stages[position.stage]
    approval = approval_record(rollout, position, decision, [line.to_json() for line in ordered])
    return {
        "name": rollout.name,
        "revision": rollout.revision,
        "route": rollout.route,
        "at": now,
        "phase": str(position.phase),
        "mode": mode(rollout, position),
        "stage": None if pending else stage_name(stage),
        "step": position.step if isinstance(stage, Canary) and not pending else None,
        "since": {"stage": position.stage_since or None, "step": position.step_since or None},
        "sentence": sentence(rollout, position, decision, entries) + shown_digest(approval) + _astray(router, decision),
        "tone": "amber" if astray(router) or (approval and approval["waiting"]) else tone(position, entries),
        "exposure": {
            "planned": weight(rollout, position) if exposure.planned is None else exposure.planned,
            "actual": exposure.actual,
            "units": dict(exposure.units),
        },
        "stages": strip(rollout, position, entries),
        "next": _next(rollout, position, decision, now, approval),
        "evidence": [line.to_json() for line in ordered],
        "lines": [line_in_words(rollout, line) for line in ordered],
        "segments": segments_record(rollout, position, segments, evidence),
        "decisions": [_decision(entry) for entry in entries if entry.move is not None],
        "arms": _arms(rollout, exposure, arms),
        "harm": harm_record(rollout, harm or Harm()),
        "progress": _progress(rollout, position, progress, now),
        "votes": _votes(rollout, progress),
        "outcomes": outcomes_record(rollout, outcomes),
        "drift": drift,
        "ageing": ageing_record(rollout, days),
        "counts": {k: v for k, v in asdict(progress).items() if k != "lease_held"},
        "held": _held(position),
        "muted": dict(position.muted),
        "excluded": [f"{field}={value}" for field, value in position.excluded],
        "approval": approval,
        "lease": {"held": progress.lease_held},
        "router": router,
    }


def refreshed(
    saved: Mapping[str, Any] | None, rollout: Rollout, position: Position, entries: Sequence[Entry], *, now: float
) -> dict[str, Any]:
    """The last saved record, brought up to date with moves made since it was written.

    A person's move must show at once, also while no controller runs. What was measured is kept where it still speaks
    of the present stage; `at` stays the time of that measurement, so that age can be seen.
    """
    fresh = view(rollout, position, (), None, entries, now=now)
    if saved is None:
        return fresh
    keys = ("revision", "phase", "stage", "step", "decisions", "held", "muted", "excluded")
    if all(saved.get(key) == fresh[key] for key in keys):
        return with_approvals(saved, fresh["approval"])
    kept = ["at", "arms", "harm", "votes", "counts", "lease"]
    kept += [key for key in ("outcomes", "drift", "router") if key in saved]
    if saved["stage"] == fresh["stage"]:
        kept += ["evidence", "lines", *(key for key in ("segments", "ageing") if key in saved)]
        fresh["exposure"]["units"] = saved["exposure"]["units"]
    return fresh | {key: saved[key] for key in kept}


def status(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The published envelope around the records of all rollouts."""
    return {"schema": SCHEMA, "rollouts": [dict(record) for record in records]}


def sentence(rollout: Rollout, position: Position, decision: Decision | None, entries: Sequence[Entry]) -> str:
    """Why the rollout stands where it stands: the present rule's own words, else the last move's."""
    ended = position.phase in ENDED
    by_hand = position.phase is Phase.HELD and position.held_by not in (RULE, ROUTER)
    if decision is not None and not ended and not by_hand:
        return decision.sentence
    said = [entry.sentence for entry in entries if entry.move is not None]
    if said:
        return said[-1]
    if position.phase is Phase.PENDING:
        return f"Not started. {rollout.challenger.name} sees no traffic until somebody starts it."
    return f"{str(position.phase).replace('_', ' ').capitalize()}; nothing has been decided yet."


def astray(router: Mapping[str, Any] | None) -> bool:
    """Whether a router is known not to do what it was told, or cannot be asked."""
    return router is not None and bool(router["problem"])


def _astray(router: Mapping[str, Any] | None, decision: Decision | None) -> str:
    """What has to be said of a router beside the sentence, unless that is about it."""
    if router is None or not router["problem"] or (decision is not None and decision.rule == ROUTER):
        return ""
    return f" The router does not do that yet: {router['problem']}."


def tone(position: Position, entries: Sequence[Entry]) -> str:
    """The ink of the rollout as a whole: grey, accent, amber, red, or green once it is finished."""
    match position.phase:
        case Phase.PENDING:
            return "grey"
        case Phase.RUNNING | Phase.PROMOTED:
            return "accent"
        case Phase.HELD:
            return "amber" if position.held_by in (RULE, ROUTER) else "grey"
        case Phase.ROLLED_BACK:
            rules = [entry.rule for entry in entries if entry.move == Move.ROLLBACK]
            return "red" if rules and rules[-1] == "harm" else "grey"
        case Phase.FINISHED:
            return "green"


def line_in_words(rollout: Rollout, line: Evidence) -> dict[str, Any]:
    """One line of evidence as text, in the metric's own units, with its denominators and its limit."""
    unit = unit_of(rollout, line)
    alpha = 1.0 - line.confidence
    alpha_safe = alpha if line.confidence_safe is None else 1.0 - line.confidence_safe
    bounds = (line.estimate, line.lower, line.upper, line.limit)
    return {
        "metric": line.metric,
        "arm": line.arm,
        "role": line.role,
        "segment": line.segment,
        "verdict": str(line.verdict),
        "shape": SHAPES[line.verdict],
        "unit": unit,
        "estimate": signed(line.estimate, unit, like=bounds),
        "interval": interval(line.lower, line.upper, unit, like=bounds),
        "limit": _limit(line, unit, bounds),
        "confidence": percent(line.confidence),
        "values": {arm: amount(value, unit) for arm, value in (line.values or {}).items()},
        "units": {arm: whole(n) for arm, n in line.units.items()},
        "events": {arm: whole(n) for arm, n in (line.events or {}).items()},
        "toward": {"harm": _toward(line.e_value, alpha), "safe": _toward(line.e_value_safe, alpha_safe)},
        "reason": line.reason,
        "unadjusted": without_covariate(line, unit),
    }


def unit_of(rollout: Rollout, line: Evidence) -> str:
    """The unit a difference on this line is read in: `pp`, `ms`, or '' for the metric's own numbers."""
    if line.kind == "quantile":
        return "ms"
    if line.kind == "mean":
        source = {metric.name: str(metric.source) for metric in rollout.metrics}.get(line.metric)
        return "ms" if source == "response" else ""
    return "pp" if line.kind in ("rate", "accuracy") else ""


def _limit(line: Evidence, unit: str, like: Sequence[float | None]) -> str:
    if line.limit is None:
        return ""
    sign = {"lower": ("<", "≤"), "higher": (">", "≥")}[line.better][line.role != "goal"]
    if line.limit == 0.0:
        return f"{sign} 0"
    return f"{sign} {signed(line.limit, unit, like=like)}"


def _toward(e_value: float | None, alpha: float) -> float | None:
    """How far (0–1) an e-value has come on the way to 1/alpha, on the log scale where evidence adds up."""
    if e_value is None or not 0.0 < alpha < 1.0:
        return None
    if e_value <= 1.0:
        return 0.0
    return 1.0 if e_value == inf else min(1.0, log(e_value) / log(1.0 / alpha))


def _next(
    rollout: Rollout,
    position: Position,
    decision: Decision | None,
    now: float,
    approval: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What happens if nothing else does, and when: a move forward, or giving up because nothing could be decided."""
    # A move has just changed what the decision's own time spoke of; only a hold leaves it standing.
    until = decision.until if decision is not None and decision.move in (None, Move.HOLD) else None
    by = f" at {moment(until, now)} UTC" if until is not None else ""
    points = strip(rollout, position, ())
    ahead = next((point["label"] for point in points if point["state"] == "ahead"), "promote")
    what: str | None
    match position.phase:
        case Phase.PENDING:
            what = f"somebody starts it; first is {ahead}"
        case Phase.HELD if position.held_for:
            what = "waits for somebody: resume, rollback or promote" + (
                f"; rolled back{by} if nobody does" if by else ""
            )
        case Phase.HELD if position.held_by == ROUTER:
            what = "goes on by itself once the router does what it was told"
        case Phase.HELD if position.held_by == RULE:
            what = "goes on by itself once it can be measured" + (f"; rolled back{by} if not" if by else "")
        case Phase.HELD:
            what = "waits for somebody: resume, rollback or promote"
        case Phase.RUNNING:
            deadline = until is not None and until == _deadline(rollout, position)
            if approval and approval["waiting"]:
                ahead += f", once {approval['wanted']} approve"
            what = f"next is {ahead}" + (f"; rolled back{by} if still undecided" if deadline else by)
        case Phase.PROMOTED:
            what = f"finishes{by} if nothing is harmful"
        case Phase.ROLLED_BACK | Phase.FINISHED:
            what, until = None, None
    return {"until": until, "what": what}


def _deadline(rollout: Rollout, position: Position) -> float | None:
    """When the stage is given up."""
    stage = rollout.stages[position.stage]
    return None if isinstance(stage, Promote) else position.stage_since + stage.until.at_most


def _decision(entry: Entry) -> dict[str, Any]:
    return {
        "n": entry.n,
        "at": entry.at,
        "move": entry.move,
        "rule": entry.rule,
        "reason": entry.sentence,
        "actor": entry.actor,
    }


def _arms(rollout: Rollout, exposure: Exposure, arms: Mapping[str, ArmCounts]) -> dict[str, Any]:
    record = {}
    for arm in (rollout.champion, *rollout.challengers):
        seen = arms.get(arm.name)
        record[arm.name] = {
            "role": "champion" if arm is rollout.champion else "challenger",
            "url": arm.url,
            "requests": seen.requests if seen else None,
            "failures": seen.failures if seen else None,
            "fallbacks": seen.fallbacks if seen else None,
            "share": seen.share if seen else None,
            "units": exposure.units.get(arm.name),
        }
    return record


def _progress(rollout: Rollout, position: Position, seen: Progress, now: float) -> dict[str, Any] | None:
    """How far the stage has come towards what ends it; None where nothing is being waited for."""
    if position.phase not in (Phase.RUNNING, Phase.PROMOTED):
        return None
    stage = rollout.stages[position.stage]
    if isinstance(stage, Shadow) and stage.until.requests is not None:
        need = stage.until.requests
        text = f"{whole(seen.mirrored)} of {whole(need)} mirrored requests compared"
        return {"what": "mirrored requests", "have": seen.mirrored, "need": need, "text": text}
    if isinstance(stage, Canary):
        have, need_s = max(0.0, now - position.step_since), stage.hold_for
        text = f"held {duration(have)} of {duration(need_s)} at this step{_copies(stage, seen)}"
        return {"what": "hold", "have": have, "need": need_s, "text": text}
    limit = stage.watch if isinstance(stage, Promote) else stage.until.at_most
    if position.phase is Phase.PROMOTED and not isinstance(stage, Promote):
        return None
    have = max(0.0, now - position.stage_since)
    word = "watched" if isinstance(stage, Promote) else "undecided for"
    text = f"{word} {duration(have)} of {duration(limit)}"
    if isinstance(stage, Ab) and weeks.ragged(have):
        text += f"; whole weeks are advised, the next is over after {duration(weeks.whole(have))}"
    return {"what": "time", "have": have, "need": limit, "text": text + _copies(stage, seen)}


def _copies(stage: Stage, seen: Progress) -> str:
    """How many requests were compared whose other arm answered a copy; empty where none are copied."""
    if copies_of(stage) is None or seen.mirrored is None:
        return ""
    lost = "" if not seen.dropped else f", {whole(seen.dropped)} copies lost"
    return f"; {whole(seen.mirrored)} requests compared with the other arm's answer{lost}"


def _votes(rollout: Rollout, seen: Progress) -> dict[str, Any] | None:
    """How interleaved units voted; ties are told, because a preference without them has the wrong denominator."""
    if not (seen.wins or seen.losses or seen.ties):
        return None
    champion, challenger = rollout.champion.name, rollout.challenger.name
    text = (
        f"{whole(seen.wins)} units preferred {challenger} · {whole(seen.ties)} tied · "
        f"{whole(seen.losses)} preferred {champion}"
    )
    return {"wins": seen.wins, "ties": seen.ties, "losses": seen.losses, "text": text}


def _held(position: Position) -> dict[str, Any] | None:
    if position.phase is not Phase.HELD:
        return None
    return {"by": position.held_by, "since": position.held_since}
