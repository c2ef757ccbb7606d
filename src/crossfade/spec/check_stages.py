"""What the stages of a spec must satisfy: their order, their exposure, and the time that they leave."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.spec.document import Document
from crossfade.spec.document_stages import (
    AbDocument,
    Automatic,
    CanaryDocument,
    InterleaveDocument,
    PromoteDocument,
    RiskOfRuin,
    ShadowDocument,
    StageDocument,
)
from crossfade.spec.model import HASTE, SCORES, Kind, Source
from crossfade.spec.partial import AnyStage, known, metrics, said, stages
from crossfade.spec.problems import listed, nearest
from crossfade.spec.source import Node, shown


def check_stages(document: Document) -> None:
    """Report every problem of the stages to their nodes."""
    every = [stage for _, stage in stages(document)]
    for index, stage in enumerate(every):
        promoting = isinstance(every[index + 1], PromoteDocument) if index + 1 < len(every) else True
        _stage(document, stage)
        _time_for_windows(document, stage, promoting=promoting)
        unseen = all(isinstance(before, ShadowDocument) for before in every[: index + 1])
        if promoting and unseen and index + 1 < len(every):
            _proof_in_shadow(document, stage)
    if every and known(every[0].approve) and every[0].approve is not None:
        every[0].at("approve").report_key(
            "the first stage needs no approval: a person starts the rollout; put 'approve' on the stages after it"
        )
    _order(document)
    _exposure(document)


def _stage(document: Document, stage: AnyStage) -> None:
    match stage:
        case CanaryDocument():
            _budget(document, stage)
            _automatic(document, stage)
            _time_for_steps(stage)
        case InterleaveDocument() | AbDocument():
            if known(stage.until) and known(stage.until.decided) and not stage.until.decided:
                stage.until.at("decided").report(
                    "'decided: false' would leave the stage without an end; leave it out or write true", allowed="true"
                )
        case PromoteDocument():
            if known(stage.watch, stage.holdback) and stage.watch > 0.0 and stage.holdback == 0.0:
                stage.at("watch").report(
                    "without a holdback there is nothing to watch against; add 'holdback', such as holdback: 2%"
                )
            if known(stage.watch, stage.holdback) and stage.holdback > 0.0 and stage.watch == 0.0:
                stage.at("holdback").report(
                    "a holdback needs 'watch', how long it is kept before the rollout is finished, such as watch: 30d"
                )
        case ShadowDocument():
            pass


def _budget(document: Document, stage: CanaryDocument) -> None:
    if not known(stage.budget, document.metrics):
        return
    names = list(document.metrics)
    for name in stage.budget:
        node = stage.at("budget").value[name]
        metric = document.metrics.get(name)
        if metric is None:
            near = nearest(name, names)
            node.report_key(
                f"there is no metric {shown(name)} to budget"
                + (f"; did you mean {near}?" if near else "")
                + f"; the metrics are {', '.join(names)}",
                allowed=", ".join(names),
                near=near,
            )
        elif known(metric) and metric.kind in (Kind.QUANTILE, Kind.RATIO, *SCORES):
            node.report_key(f"{shown(name)} is a {metric.kind}, which has no count to budget; name a rate or a mean")


def _automatic(document: Document, stage: CanaryDocument) -> None:
    """Automatic steps need a budget, of events that can be counted before anything is known of their size."""
    _prior(stage)
    if not known(stage.steps, stage.budget, document.metrics) or not isinstance(stage.steps, Automatic):
        return
    word = stage.steps.word
    exposing = [other for _, other in stages(document) if isinstance(other, CanaryDocument | AbDocument)]
    if exposing[0] is not stage or sum(isinstance(other, CanaryDocument) for other in exposing) > 1:
        stage.at("steps").report(
            "automatic steps begin at 0.01%, which must not lower what an earlier stage gave; "
            "let this be the only canary, before any ab"
        )
    if not stage.budget:
        stage.at("steps").report(
            f"'steps: {word}' is sized by the harm budget; add one, such as budget: {{errors: 50}}, or write the steps"
        )
    for name in stage.budget:
        metric = document.metrics.get(name)
        if metric is not None and known(metric) and metric.kind is not Kind.RATE:
            stage.at("budget").value[name].report_key(
                f"{shown(name)} is a {metric.kind}, and nothing bounds what one unit can cost before it is measured; "
                f"'steps: {word}' needs budgets on rates"
            )
    if isinstance(stage.steps, RiskOfRuin) and len(stage.budget) > 1:
        stage.at("budget").report(
            f"one prior speaks of one metric, and there are budgets on {', '.join(stage.budget)}; keep one, "
            "or use 'steps: auto'"
        )


def _prior(stage: CanaryDocument) -> None:
    """The belief belongs to the ramp that asks for it."""
    if not known(stage.steps, stage.prior):
        return
    ruin = isinstance(stage.steps, RiskOfRuin)
    if ruin and stage.prior is None:
        stage.at("steps").report(
            "'steps: risk-of-ruin' needs to know how much harm is credible; add it, such as "
            "prior: {mean: 0pp, sd: 2pp}, or use 'steps: auto', which needs no prior"
        )
    if not ruin and stage.prior is not None:
        stage.at("prior").report_key("'prior' belongs to 'steps: risk-of-ruin'; leave it out, or write those steps")


def _time_for_steps(stage: CanaryDocument) -> None:
    if not known(stage.steps, stage.hold_for, stage.until) or not known(stage.until.at_most):
        return
    needed = len(stage.steps) * stage.hold_for
    if isinstance(stage.steps, Automatic):
        needed *= HASTE
    if needed <= stage.until.at_most:
        return
    written = stage.wrote("until") and stage.until.wrote("at_most")
    node = stage.until.at("at_most") if written else stage.at("hold_for")
    node.report(
        f"{len(stage.steps)} steps of {said(stage.hold_for)} take {said(needed)} at least, and the stage is given up "
        f"after {said(stage.until.at_most)}; "
        + ("shorten 'hold_for' or allow more time" if written else "shorten it or allow more: until: {at_most: ...}")
    )


def _time_for_windows(document: Document, stage: AnyStage, *, promoting: bool) -> None:
    """No stage that needs a metric may end before the first window of that metric has closed.

    `promoting` says that the next move is promotion, for which every goal must be proven.
    """
    if isinstance(stage, ShadowDocument | PromoteDocument) or not known(stage.until) or not known(stage.until.at_most):
        return
    goals = isinstance(stage, AbDocument) or (promoting and not isinstance(stage, InterleaveDocument))
    budgeted = set(stage.budget) if isinstance(stage, CanaryDocument) and known(stage.budget) else set()
    needed = [
        (metric.window + (metric.arrives_within if isinstance(metric.arrives_within, float) else 0.0), name)
        for name, metric in metrics(document).items()
        if isinstance(metric.window, float)
        and metric.source not in (Source.PREDICTION, Source.COST)
        and (metric.guardrail is not None or (metric.goal is True and goals) or name in budgeted)
    ]
    longest = max(needed, default=None)
    if longest is not None and longest[0] >= stage.until.at_most:
        node = stage.until.at("at_most") if stage.wrote("until") else stage.place
        node.report(
            f"the stage is given up after {said(stage.until.at_most)}, before the first window of "
            f"{shown(longest[1])} ({said(longest[0])}) has closed, so it could never be measured; allow more time",
            allowed=f"more than {said(longest[0])}",
        )


def _proof_in_shadow(document: Document, stage: AnyStage) -> None:
    """Promotion needs proof of every goal and guardrail; straight after a shadow, hidden replies must give it."""
    for name, metric in metrics(document).items():
        asked = metric.goal is True or metric.guardrail is not None
        if asked and metric.source == Source.OUTCOME:
            stage.place.report_key(
                f"promotion straight after a shadow needs proof of {shown(name)}, which hidden answers cannot give; "
                "put a canary or ab stage between them"
            )
            return


def _order(document: Document) -> None:
    """One stage an entry, promote last and once, no shadow once users have been exposed."""
    if not known(document.stages):
        return
    exposed: str | None = None
    last = len(document.stages) - 1
    for index, entry in enumerate(document.stages):
        if not known(entry):
            continue
        names = [name for name in StageDocument.model_fields if entry.wrote(name)]
        node = entry.place
        if not names and not node.value:
            node.wrong("a stage: shadow, canary, interleave, ab or promote")
        if len(names) > 1:
            node.report(
                f"found {listed(names).replace(' or ', ' and ')} in one entry; expected one stage: "
                "put each behind a `- ` of its own",
                allowed="one stage",
            )
        for name in names:
            if name == "promote" and index != last:
                entry.at(name).report_key("promote must be the last stage: after it the challenger serves everyone")
            if name == "shadow" and exposed is not None:
                entry.at(name).report_key(
                    f"shadow must come before {exposed}: exposure only rises, and a shadow is seen by nobody"
                )
            if name in ("canary", "interleave", "ab"):
                exposed = exposed or name


def _exposure(document: Document) -> None:
    """Weights only rise, and leave the champion something to be compared on."""
    several = document.challengers is not None and known(document.challengers)
    count = len(document.challengers) if document.challengers is not None and several else 1
    highest: tuple[float, str] | None = None
    every = list(stages(document))
    for name, stage in every:
        if isinstance(stage, PromoteDocument) and stage is not every[-1][1]:
            continue  # told already: it is not the last
        if isinstance(stage, PromoteDocument) and count > 1:
            stage.place.report_key(
                "promote with several challengers is not supported in this version, as it would have to choose one; "
                "end with ab and promote the better one in a rollout of its own"
            )
            continue
        before = highest
        for node, share in _weights(stage):
            if not isinstance(stage, PromoteDocument):
                _room(node, share, count, compared=isinstance(stage, CanaryDocument | AbDocument))
            if isinstance(stage, InterleaveDocument):
                continue  # an interleaved unit sees both models: its share is not compared with the others
            if before is not None:
                _rises(node, share, stage, before)
            before = (share, "the step before")
            if highest is None or share > highest[0]:
                highest = (share, f"the {name} stage")


def _room(node: Node, share: float, count: int, *, compared: bool) -> None:
    """All challengers together fit into the units, and leave some to the champion where units are compared."""
    whole, each = count * share, _percent(1 / count)
    if whole > 1.0 + 1e-9:
        node.report(
            f"{count} challengers of {_percent(share)} each are {_percent(whole)} of all units; "
            f"expected at most {each}",
            allowed=f"at most {each}",
        )
    elif compared and whole > 1.0 - 1e-9:
        node.report(
            f"{count} challengers of {_percent(share)} each leave the champion no units to compare with; "
            f"expected less than {each}",
            allowed=f"less than {each}",
        )


def _weights(stage: AnyStage) -> Iterator[tuple[Node, float]]:
    """The shares of units that a stage gives to each challenger, with where each is written."""
    match stage:
        case CanaryDocument():
            if known(stage.steps) and not isinstance(stage.steps, Automatic):
                for index, share in enumerate(stage.steps):
                    if known(share):
                        yield stage.at("steps").value[index], share
        case InterleaveDocument() | AbDocument():
            if known(stage.weight):
                yield stage.at("weight"), stage.weight
        case PromoteDocument():
            if known(stage.holdback):
                yield stage.at("holdback"), 1.0 - stage.holdback
        case ShadowDocument():
            pass


def _rises(node: Node, share: float, stage: AnyStage, before: tuple[float, str]) -> None:
    least, which = before
    if isinstance(stage, PromoteDocument):
        if share < least - 1e-9:
            node.report(
                f"a holdback of {_percent(1.0 - share)} leaves the challenger {_percent(share)}, less than "
                f"{_percent(least)} in {which}; exposure only rises",
                allowed=f"at most {_percent(1.0 - least)}",
            )
        return
    canary = which == "the step before"
    if share < least - 1e-9 or (canary and share <= least):
        node.report(
            f"found {_percent(share)} after {_percent(least)} in {which}; exposure only rises: "
            f"expected {'more than' if canary else 'at least'} {_percent(least)}",
            allowed=f"{'more than' if canary else 'at least'} {_percent(least)}",
        )


def _percent(share: float) -> str:
    return f"{share * 100:.4g}%"
