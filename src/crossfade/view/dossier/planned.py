"""What was to be tested: purpose, models, data and units, and the plan with its error rates."""

from __future__ import annotations

from crossfade.approvals import wanted
from crossfade.judge.plan import MOST_SEGMENTS, SEGMENT_SHARE, alpha_plan
from crossfade.spec.model import (
    Ab,
    Arm,
    Canary,
    Interleave,
    Kind,
    Margin,
    OnSegmentHarm,
    Promote,
    Rollout,
    Shadow,
    Stage,
    copies_of,
    stage_name,
)
from crossfade.state import Phase, Position, last_before_promotion
from crossfade.view.dossier.blocks import Part, code, heading, items, table, text, traced
from crossfade.view.dossier.known import Known
from crossfade.view.dossier.questions import ARMS, COPIES, NAMELESS, facts
from crossfade.view.words import duration, moment, percent, whole


def purpose(known: Known) -> Part:
    """What the rollout was for."""
    rollout = known.rollout
    what = (
        f"{rollout.challenger.name} was to take over from {rollout.champion.name} on {rollout.route}, first out of "
        "users' sight or for few of them, and further only on evidence."
        if len(rollout.challengers) == 1
        else f"{len(rollout.challengers)} challengers were compared with {rollout.champion.name} on {rollout.route}."
    )
    return Part(
        id="purpose",
        title="Purpose",
        blocks=[
            *(text(line) for line in rollout.purpose.splitlines() if line.strip()),
            text(what),
            heading("The spec as it was written"),
            code(known.text.strip()),
        ],
        missing=[
            *([] if rollout.purpose else ["the intended purpose of the models: the spec has no `purpose`"]),
            "whether they are a high-risk system: that is for those who put them into service to say",
        ],
        trace=f"cat FOLDER/specs/{rollout.revision}.yaml",
    )


def models(known: Known) -> Part:
    """Which models were compared."""
    seen = {row["arm"]: row for row in known.arms}
    total = sum(row["requests"] for row in known.arms)
    rows = []
    for arm in _arms(known.rollout):
        role = "champion" if arm is known.rollout.champion else "challenger"
        mine = seen.get(arm.name)
        counts = ("–", "–", "–", "–")
        if mine is not None:
            share = percent(mine["requests"] / total)
            counts = (whole(mine["requests"]), share, whole(mine["units"]), whole(mine["failed"]))
        version = _version(known.rollout, arm.name)
        rows.append((arm.name, role, arm.url, " ".join(filter(None, (arm.model, version))), *counts))
    head = ("arm", "role", "URL", "model there", "requests", "share", "units", "failed")
    name = known.rollout.name
    blocks = [
        text(
            "Requests are those that users sent, by the arm that their unit was assigned to, over the whole time; "
            "failed are those that this arm did not answer well, whoever answered in the end."
        ),
        traced(table(head, rows, numbers=(4, 5, 6, 7)), facts(name, ARMS)),
    ]
    digested = [(arm.name, arm.digest) for arm in _arms(known.rollout) if arm.digest]
    if digested:
        blocks += [
            text("Digests of the models' files, as the spec states them; Crossfade sees what answers, not the files:"),
            table(("arm", "digest"), digested),
        ]
    if known.copies:
        copies = [(row["arm"], whole(row["copies"]), whole(row["failed"])) for row in known.copies]
        blocks += [
            text("Copies of requests that a challenger answered and nobody saw:"),
            traced(table(("arm", "copies compared", "failed"), copies, numbers=(1, 2)), facts(name, COPIES)),
        ]
    return Part(
        id="models",
        title="Models",
        blocks=blocks,
        missing=[
            *_undigested(known.rollout),
            "how the models were trained, and on what",
            *([] if known.arms else ["requests: the record holds none that was served"]),
        ],
    )


def _arms(rollout: Rollout) -> tuple[Arm, ...]:
    return (rollout.champion, *rollout.challengers)


def _undigested(rollout: Rollout) -> list[str]:
    without = [arm.name for arm in _arms(rollout) if not arm.digest]
    if not without:
        return []
    return [f"digests of the models' files: the spec has no `digest` for {', '.join(without)}, and URLs do not tell"]


def _version(rollout: Rollout, arm: str) -> str:
    """The version that the spec names for the registry, which nobody compared with what answers."""
    registry = rollout.registry
    version = dict(registry.versions).get(arm) if registry is not None else None
    return f"(by the spec: version {version} of {registry.model})" if registry is not None and version else ""


def data(known: Known) -> Part:
    """Who was asked, and what was measured on them."""
    rollout = known.rollout
    rows = [
        (
            metric.name,
            f"{metric.kind}{f' {metric.q:g}' if metric.q is not None else ''} of {metric.source}"
            f"{f', in blocks of {duration(metric.blocks)}' if metric.blocks is not None else ''}",
            f"{metric.better} is better",
            "goal" if metric.goal else "guardrail" if metric.guardrail else "watched",
            _margin(metric.guardrail, metric.kind),
            duration(metric.window) if metric.window else "",
        )
        for metric in rollout.metrics
    ]
    kept = [(kind, whole(count), _KINDS.get(kind, "")) for kind, count in known.rows.items()]
    told = [
        text(
            f"What is randomised, and counted, is the unit: {_unit(str(rollout.unit))}. A hash of its identity decides "
            "which arm it sees, so that neither people nor luck of the day choose, and a growing share moves "
            "nobody back."
        ),
        table(("metric", "what", "direction", "role", "margin", "window"), rows),
    ]
    if rollout.pseudonyms:
        told.append(
            text(
                "Units are recorded under pseudonyms, a keyed hash (HMAC-SHA-256) of their names; the key is not "
                "part of the record. Who knows the key and a name can still find that unit's facts."
            )
        )
    if known.nameless:
        told.append(
            traced(
                text(
                    f"{whole(known.nameless)} requests named no unit: the champion served them, and they are in no "
                    "comparison."
                ),
                facts(rollout.name, NAMELESS),
            )
        )
    if kept:
        told += [
            heading("Facts recorded of this rollout"),
            traced(table(("kind", "facts", "what one of them is"), kept, numbers=(1,)), facts(rollout.name)),
        ]
    return Part(
        id="data",
        title="Data and units",
        blocks=told,
        missing=[
            "who the units are: whether they stand for the people whom the models will serve is for others to say"
        ],
    )


_KINDS = {
    "exposed": "a request of a user, which arm it was assigned to and how that went",
    "compared": "a copy of a request that a challenger answered unseen, set beside the champion's answer",
    "shown": "a list merged of both arms' answers, and whose each item was",
    "outcome": "what was reported to have happened after a reply",
    "dropped": "copies for a shadow that were not made, and why",
    "lease": "a gateway lost or regained the controller",
    "fault": "something of Crossfade's own went wrong",
    "sketched": "counts of the values of one field in one slice of time",
}


def plan(known: Known) -> Part:
    """The stages and what each was allowed to get wrong."""
    rollout = known.rollout
    stages = [(n + 1, stage_name(stage), _stage(rollout, n)) for n, stage in enumerate(rollout.stages)]
    tests = [
        (
            test.stage_name,
            test.metric.name,
            test.role,
            test.arm,
            _margin(test.limit, test.metric.kind),
            percent(test.alpha_harm),
            percent(test.alpha_safe),
        )
        for test in alpha_plan(rollout).tests
    ]
    return Part(
        id="plan",
        title="Plan and error rates",
        blocks=[
            table(("", "stage", "what"), stages),
            text(
                "No stage is passed because time has passed or because nothing is known: what cannot be measured holds."
            ),
            heading("How often this plan may be wrong"),
            items(
                [
                    f"A challenger that is no worse than its margins is rolled back with a chance of at most "
                    f"{percent(rollout.alpha)}, however often anybody looks.",
                    f"One that is worse than a margin is promoted with a chance of at most {percent(rollout.alpha)}.",
                ]
            ),
            heading("Every test that was planned, and how often each of its verdicts may be wrong"),
            text(_shares(rollout)),
            table(("stage", "metric", "role", "arm", "limit", "harmful", "safe"), tests, numbers=(5, 6)),
            *([text(_segments(rollout))] if rollout.segments else []),
            text(_recorded(known)),
        ],
        trace=_planning(rollout),
    )


def _planning(rollout: Rollout) -> str:
    """The command that says the error rates again; what it has to assume of traffic has no part in them."""
    asked = [metric for metric in rollout.metrics if metric.goal or metric.guardrail is not None]
    assumed = "".join(f" --baseline {metric.name}={'1%' if metric.kind is Kind.RATE else '1'}" for metric in asked)
    return f"crossfade plan FOLDER/specs/{rollout.revision}.yaml --rate 1{assumed} --json"


def _shares(rollout: Rollout) -> str:
    """How the columns add up to alpha."""
    tests = alpha_plan(rollout).tests
    together = sum(test.alpha_harm for test in tests)
    segments = f", and {percent(SEGMENT_SHARE * rollout.alpha)} for segments" if rollout.segments else ""
    return (
        f"“harmful” is how often this test may blame a challenger that is no worse than its limit: {percent(together)} "
        f"for all {len(tests)} together{segments}, {percent(rollout.alpha)} at most. “safe” is how often it may "
        "clear one "
        "that is worse; promotion takes that verdict from every guardrail and every goal."
    )


def _segments(rollout: Rollout) -> str:
    """What segments may err."""
    fields = " and ".join(map(str, rollout.segments))
    does = "it is only reported" if rollout.on_segment_harm is OnSegmentHarm.REPORT else "the rollout is held"
    return (
        f"Up to {MOST_SEGMENTS} values of each of {fields} are judged by themselves as well. All of their verdicts of "
        f"harm together are wrong in at most {percent(SEGMENT_SHARE * rollout.alpha)} of rollouts, which is taken off "
        f"what all units may err; where one comes to harm, {does}. No segment can make promotion easier."
    )


def _recorded(known: Known) -> str:
    """When the plan was written down, and whether it has changed."""
    revisions = [entry for entry in known.entries if entry.kind == "spec"]
    if not revisions:
        return "No revision of the spec is in the ledger."
    told = f"The plan was recorded at {moment(revisions[0].at)} UTC"
    if known.moves:
        told += f", the rollout started at {moment(known.moves[0].at)} UTC"
    if len(revisions) == 1:
        return f"{told}; the plan was not changed."
    later = ", ".join(moment(entry.at) for entry in revisions[1:])
    return f"{told}; it was changed at {later}. Once started, alpha and metrics cannot be changed."


def _unit(field: str) -> str:
    return "each request by itself" if field == "request" else field


def _margin(margin: Margin | None, kind: Kind) -> str:
    if margin is None:
        return ""
    if margin.relative:
        return f"{percent(margin.value)} of the champion's"
    return f"{margin.value * 100.0:g} pp" if kind is Kind.RATE else f"{margin.value:g}"


def _stage(rollout: Rollout, index: int) -> str:
    """What a stage does, and what it takes to go on."""
    stage = rollout.stages[index]
    here = Position(phase=Phase.RUNNING, stage=index, step=_last_step(stage))
    if isinstance(stage, Promote):
        kept = f"all units but {percent(stage.holdback)}, who stay on the champion"
        return f"{kept}; watched for {duration(stage.watch)} and rolled back on harm" if stage.watch else kept
    what, until = _does(stage), ""
    if last_before_promotion(rollout, here) and not isinstance(stage, Interleave):
        until = "every guardrail is proven within its margin and every goal proven better"
    elif isinstance(stage, Shadow):
        gates = ", ".join(name for name, _ in stage.gates)
        until = f"{f'{gates} is proven safe and ' if gates else ''}nothing is proven harmful"
    elif isinstance(stage, Canary):
        until = "everything has been measured, nothing is proven harmful, and the time of the step is over"
    elif isinstance(stage, Interleave):
        until = "the challenger's lists are proven to be preferred"
    else:
        until = "what it asks for is proven"
    asked = f"; then {wanted(stage.approve)} must approve" if stage.approve is not None else ""
    return f"{what}. Goes on when {until}{asked}; given up after {duration(stage.until.at_most)}"


def _last_step(stage: Stage) -> int:
    return max(0, len(stage.steps) - 1) if isinstance(stage, Canary) else 0


def _copied(stage: Stage) -> str:
    asked = copies_of(stage)
    if asked is None:
        return ""
    whose = "the arm that does not serve them" if asked.both else "the challenger while the champion serves them"
    return f"; of {percent(asked.share)} of units all requests are also answered by {whose}, hidden"


def _does(stage: Stage) -> str:
    match stage:
        case Shadow():
            what = f"the challenger answers {percent(stage.mirror)} of requests, and nobody sees its answers"
            return f"{what}, until {whole(stage.until.requests)} were compared" if stage.until.requests else what
        case Canary():
            steps = ", ".join(percent(step) for step in stage.steps) if stage.steps else "steps as the budget allows"
            budget = "".join(f"; at most {amount:g} excess {name}" for name, amount in stage.budget)
            return f"{steps} of units, each step for at least {duration(stage.hold_for)}{budget}{_copied(stage)}"
        case Interleave():
            return f"{percent(stage.weight)} of units see one list of both ({stage.method})"
        case Ab():
            return f"{percent(stage.weight)} of units on challengers{_copied(stage)}"
        case _:
            return ""
