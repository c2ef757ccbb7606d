"""What was to be tested: purpose, models, data and units, and the plan with its error rates."""

from __future__ import annotations

from crossfade.judge.plan import MOST_SEGMENTS, SEGMENT_SHARE, alpha_plan
from crossfade.spec.model import (
    Ab,
    Canary,
    Interleave,
    Kind,
    Margin,
    OnSegmentHarm,
    Promote,
    Rollout,
    Shadow,
    Stage,
    stage_name,
)
from crossfade.view.dossier.blocks import Part, code, heading, items, table, text
from crossfade.view.dossier.happened import unmade
from crossfade.view.dossier.known import Known
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
        blocks=[text(what), heading("The spec as it was written"), code(known.text.strip())],
        missing=["the intended purpose of the models, and whether they are a high-risk system: specs do not hold it"],
        trace=f"crossfade export {rollout.name} -o FOLDER; the spec is FOLDER/specs/{rollout.revision}.yaml",
    )


def models(known: Known) -> Part:
    """Which models were compared."""
    rows = []
    for name, arm in known.view["arms"].items():
        found = next(a for a in (known.rollout.champion, *known.rollout.challengers) if a.name == name)
        share = percent(arm["share"])
        rows.append((name, arm["role"], found.url, found.model, whole(arm["requests"]), share, whole(arm["failures"])))
    head = ("arm", "role", "URL", "model there", "requests", "share", "failed")
    return Part(
        id="models",
        title="Models",
        blocks=[table(head, rows, numbers=(4, 5, 6))],
        missing=[
            *unmade(known),
            "digests of the models: Crossfade sees URLs, and what answers there can be another model tomorrow",
            "how the models were trained, and on what",
        ],
        trace=f"crossfade report {known.rollout.name} --folder FOLDER -o FILE.json",
    )


def data(known: Known) -> Part:
    """Who was asked, and what was measured on them."""
    rollout, counts = known.rollout, known.view["counts"]
    rows = [
        (
            metric.name,
            f"{metric.kind}{f' {metric.q:g}' if metric.q is not None else ''} of {metric.source}",
            f"{metric.better} is better",
            "goal" if metric.goal else "guardrail" if metric.guardrail else "watched",
            _margin(metric.guardrail, metric.kind),
            duration(metric.window) if metric.window else "",
        )
        for metric in rollout.metrics
    ]
    kept = [(kind, whole(count)) for kind, count in known.rows.items()]
    told = [
        text(
            f"What is randomised, and counted, is the unit: {_unit(str(rollout.unit))}. A unit sees one arm for as "
            "long as shares only grow, by a hash of its identity."
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
    if counts.get("missing_units"):
        told.append(
            text(
                f"{whole(counts['missing_units'])} requests named no unit: the champion served them, and they"
                " are in no comparison."
            )
        )
    if kept:
        told += [
            heading("Facts recorded, of every rollout of this data folder"),
            table(("kind", "facts"), kept, numbers=(1,)),
        ]
    return Part(
        id="data",
        title="Data and units",
        blocks=told,
        missing=[
            "who the units are: whether they stand for the people whom the models will serve is for others to say"
        ],
        trace=f"crossfade verify {rollout.name} --json",
    )


def plan(known: Known) -> Part:
    """The stages and what each was allowed to get wrong."""
    rollout = known.rollout
    stages = [(n, stage_name(stage), _stage(stage)) for n, stage in enumerate(rollout.stages, start=1)]
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
            items(
                [
                    f"A challenger that is no worse than its margins is rolled back with a chance of at most "
                    f"{percent(rollout.alpha)}, however often anybody looks.",
                    f"One that is worse than a margin is promoted with a chance of at most {percent(rollout.alpha)}.",
                ]
            ),
            heading("Every test that was planned, and how often each of its verdicts may be wrong"),
            table(("stage", "metric", "role", "arm", "limit", "harmful", "safe"), tests, numbers=(5, 6)),
            *([text(_segments(rollout))] if rollout.segments else []),
            text(_recorded(known)),
        ],
        trace=f"crossfade check FOLDER/specs/{rollout.revision}.yaml",
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


def _stage(stage: Stage) -> str:
    """What a stage does, and until when."""
    match stage:
        case Shadow():
            what = f"the challenger answers {percent(stage.mirror)} of requests, and nobody sees its answers"
            until = stage.until
            return f"{what}; until {whole(until.requests)} were compared" if until.requests else what
        case Canary():
            steps = ", ".join(percent(step) for step in stage.steps)
            budget = "".join(f"; at most {amount:g} excess {name}" for name, amount in stage.budget)
            return f"{steps} of units, each step for at least {duration(stage.hold_for)}{budget}"
        case Interleave():
            return f"{percent(stage.weight)} of units see one list of both ({stage.method})"
        case Ab():
            return f"{percent(stage.weight)} of units, given up after {duration(stage.until.at_most)}"
        case Promote():
            kept = f"all units but {percent(stage.holdback)}, who stay on the champion"
            return f"{kept}; watched for {duration(stage.watch)}" if stage.watch else kept
