"""From the text of a spec to a rollout, or to all of its problems at once."""

from __future__ import annotations

from crossfade.spec import document as written
from crossfade.spec.check import check
from crossfade.spec.comparisons import meant
from crossfade.spec.copies import Counterfactual, PerDay
from crossfade.spec.digest import REVISION_DIGITS, digest_of
from crossfade.spec.document_copies import CounterfactualDocument, PerDayDocument
from crossfade.spec.document_drift import DriftDocument
from crossfade.spec.document_notify import EmailDocument, NotifyDocument, RegistryDocument, chosen
from crossfade.spec.document_router import meant as router_meant
from crossfade.spec.document_stages import Automatic, CanaryDocument, StageDocument
from crossfade.spec.model import (
    AUTO_STEPS,
    Ab,
    Arm,
    Canary,
    Channel,
    Drift,
    Examples,
    Interleave,
    Metric,
    Notify,
    OnSegmentHarm,
    Pages,
    Predicted,
    Prior,
    Probe,
    Promote,
    Ranking,
    Registry,
    Rollout,
    Shadow,
    Source,
    Stage,
    Until,
)
from crossfade.spec.problems import Problem, SpecProblems
from crossfade.spec.source import load
from crossfade.spec.words import SHADOWED

__all__ = ["Problem", "SpecProblems", "parse"]


def parse(text: str) -> Rollout:
    """The rollout that `text` asks for. Raises SpecProblems, holding every problem that could be found."""
    root, problems = load(text)
    revision = "" if problems else digest_of(root)[:REVISION_DIGITS]
    document = written.read(root)
    if isinstance(document, written.Document):
        check(document)
    if problems or not isinstance(document, written.Document):
        raise SpecProblems(problems)
    return _rollout(document, revision)


def _rollout(document: written.Document, revision: str) -> Rollout:
    challengers = [document.challenger] if document.challenger is not None else document.challengers or []
    return Rollout(
        name=document.name,
        route=document.route,
        protocol=document.protocol,
        unit=document.unit,
        champion=_arm(document.champion),
        challengers=tuple(_arm(arm) for arm in challengers),
        metrics=tuple(_metric(name, metric) for name, metric in document.metrics.items()),
        stages=_stages(document, len(challengers)),
        alpha=document.alpha,
        salt=document.salt or document.name,
        segments=tuple(document.segments),
        on_segment_harm=document.on_segment_harm or OnSegmentHarm.HOLD,
        explore=tuple(document.explore),
        ranking=_ranking(document.ranking) if document.ranking else None,
        compare=tuple(meant(path, one) for path, one in document.compare.items()),
        prediction=_prediction(document.prediction) if document.prediction else None,
        examples=Examples(share=document.examples.share, most=document.examples.most) if document.examples else None,
        redact=tuple(document.redact),
        drift=_drift(document.drift) if document.drift else None,
        dry_run_header=(document.dry_run_header or "").lower(),
        pseudonyms=document.pseudonyms or "",
        notify=tuple(_notify(one) for one in document.notify),
        registry=_registry(document.registry) if document.registry else None,
        router=router_meant(document.router) if document.router else None,
        purpose=(document.purpose or "").strip(),
        cost=tuple(document.cost or ()),
        model=document.model or "",
        reveal=document.reveal,
        lease=document.lease,
        deadline=document.deadline,
        keep_facts=document.keep_facts,
        revision=revision,
    )


def _notify(told: NotifyDocument) -> Notify:
    ((name, way),) = chosen(told)
    on = tuple(told.on or ())
    if isinstance(way, EmailDocument):
        return Notify(
            channel=Channel.EMAIL,
            server=way.server,
            sender=way.sender,
            to=tuple(way.to),
            user=way.user or "",
            password=way.password or "",
            on=on,
        )
    return Notify(channel=Channel(name), url=way.url, key=getattr(way, "key", ""), on=on)


def _registry(asked: RegistryDocument) -> Registry:
    return Registry(
        mlflow=asked.mlflow,
        model=asked.model,
        alias=asked.alias,
        versions=tuple(asked.versions.items()),
        token=asked.token or "",
    )


def _ranking(ranking: written.RankingDocument) -> Ranking:
    asked = ranking.pages
    pages = None
    if asked is not None:
        first = asked.page or asked.offset
        assert first is not None, "a page without a beginning is a problem, and problems end parsing"
        pages = Pages(
            first=first,
            counted=asked.page is not None,
            start=asked.first if asked.page is not None else 0,
            limit=asked.limit,
            size=asked.size,
            deepest=asked.at_most,
        )
    return Ranking(
        items=ranking.items, id=ranking.id, pinned=ranking.pinned or "", query=tuple(ranking.query), pages=pages
    )


def _arm(arm: written.ArmDocument) -> Arm:
    asked = arm.probe
    probe = Probe(path=asked.path, every=asked.every, body=asked.body or "") if asked else None
    return Arm(name=arm.name, url=arm.url, model=arm.model, timeout=arm.timeout, probe=probe, digest=arm.digest or "")


def _drift(asked: DriftDocument) -> Drift:
    return Drift(sample=asked.sample, reference=asked.reference, features=tuple(asked.features))


def _prediction(written_: written.PredictionDocument) -> Predicted:
    return Predicted(
        probability=written_.probability or "",
        label=written_.label or "",
        value=written_.value or "",
        items=written_.items or "",
        id=written_.id,
    )


def _metric(name: str, metric: written.MetricDocument) -> Metric:
    shadowed = metric.covariate in SHADOWED
    return Metric(
        name=name,
        source=metric.source,
        kind=metric.kind,
        better=metric.better,
        q=metric.q,
        window=metric.window,
        arrives_within=metric.arrives_within or 0.0,
        outcome=(metric.outcome or name) if metric.source in (Source.OUTCOME, Source.PREDICTION) else None,
        per=metric.per,
        covariate=None if shadowed else metric.covariate,
        predicted=(metric.covariate or "").removeprefix("shadow:") if shadowed else "",
        absent=metric.absent,
        by_unit=metric.join == "unit",
        score=metric.score or "",
        differing=metric.only is not None,
        goal=metric.goal,
        guardrail=metric.guardrail.margin if metric.guardrail else None,
        blocks=metric.blocks,
        cap=metric.cap,
    )


def _stages(document: written.Document, challengers: int) -> tuple[Stage, ...]:
    """The stages; automatic steps end at the weight of the next stage that gives units to challengers."""
    weights = [entry.ab.weight if entry.ab else None for entry in document.stages]
    free = min(AUTO_STEPS[-1], 1.0 / (challengers + 1))
    return tuple(
        _stage(entry, next((weight for weight in weights[index:] if weight is not None), free))
        for index, entry in enumerate(document.stages)
    )


def _steps(canary: CanaryDocument, most: float) -> tuple[float, ...]:
    if not isinstance(canary.steps, Automatic):
        return tuple(canary.steps)
    return (*(step for step in canary.steps if step < most), most)


def _per_day(asked: PerDayDocument | None) -> PerDay | None:
    return PerDay(requests=asked.requests, cost=asked.cost) if asked else None


def _counterfactual(asked: CounterfactualDocument | None) -> Counterfactual | None:
    if asked is None:
        return None
    return Counterfactual(
        share=asked.share, both=asked.of == "both", at_once=asked.at_once, per_day=_per_day(asked.per_day)
    )


def _stage(entry: StageDocument, most: float) -> Stage:
    if (shadow := entry.shadow) is not None:
        gates = {"disagreement": shadow.gates.disagreement, "catastrophic": shadow.gates.catastrophic}
        return Shadow(
            mirror=shadow.mirror,
            noise=shadow.noise,
            gates=tuple((name, gate.at_most) for name, gate in gates.items() if gate),
            until=Until(requests=shadow.until.requests, at_most=shadow.until.at_most),
            at_once=shadow.at_once,
            per_day=_per_day(shadow.per_day),
            approve=shadow.approve,
        )
    if (canary := entry.canary) is not None:
        return Canary(
            steps=_steps(canary, most),
            auto=isinstance(canary.steps, Automatic),
            hold_for=canary.hold_for,
            budget=tuple(canary.budget.items()),
            prior=Prior(mean=canary.prior.mean, sd=canary.prior.sd) if canary.prior else None,
            counterfactual=_counterfactual(canary.counterfactual),
            until=Until(at_most=canary.until.at_most),
            approve=canary.approve,
        )
    if (interleave := entry.interleave) is not None:
        return Interleave(
            weight=interleave.weight,
            method=interleave.method,
            credit=tuple(interleave.credit),
            until=Until(decided=True, at_most=interleave.until.at_most),
            approve=interleave.approve,
        )
    if (ab := entry.ab) is not None:
        return Ab(
            weight=ab.weight,
            counterfactual=_counterfactual(ab.counterfactual),
            until=Until(decided=True, at_most=ab.until.at_most),
            approve=ab.approve,
        )
    assert entry.promote is not None, "an entry without a stage is a problem, and problems end parsing"
    promote = entry.promote
    return Promote(holdback=promote.holdback, watch=promote.watch, approve=promote.approve)
