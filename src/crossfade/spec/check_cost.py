"""What must hold for the cost of replies and the metrics on it; part of `spec.check`."""

from __future__ import annotations

from crossfade.spec.document import Document, MetricDocument
from crossfade.spec.document_copies import CounterfactualDocument, PerDayDocument
from crossfade.spec.document_stages import AbDocument, CanaryDocument, ShadowDocument
from crossfade.spec.model import Better, Kind, Source
from crossfade.spec.partial import arms, known, metrics, stages
from crossfade.spec.problems import listed
from crossfade.spec.source import shown


def check_cost(document: Document) -> None:
    """Report every problem with costs and the metrics on them to the nodes of `document`."""
    _arms(document)
    for _, stage in stages(document):
        copied: CounterfactualDocument | ShadowDocument | None = None
        if isinstance(stage, ShadowDocument):
            copied = stage
        elif isinstance(stage, CanaryDocument | AbDocument) and known(stage.counterfactual):
            copied = stage.counterfactual
        if copied is not None and copied.per_day is not None and known(copied.per_day):
            _per_day(document, copied.per_day)
    asked = {name: metric for name, metric in metrics(document).items() if metric.source == Source.COST}
    for metric in asked.values():
        _metric(metric)
    if not asked:
        return
    first = next(iter(asked.values()))
    if not document.wrote("cost"):
        first.place.report_key(
            "metrics from: cost need to know where replies say what they cost; add the key 'cost' at the top, such as "
            "`cost: json:$.usage.total_tokens`"
        )
    if not any(isinstance(stage, ShadowDocument) for _, stage in stages(document)):
        first.at("source").report_key(
            "what both models cost for one request is known in a shadow alone; add the stage `- shadow: {}`"
        )


def _per_day(document: Document, allowed: PerDayDocument) -> None:
    if not allowed.wrote("requests") and not allowed.wrote("cost"):
        allowed.place.report_key("'per_day' bounds nothing: write requests, cost or both, such as {requests: 20000}")
    if allowed.wrote("cost") and not document.wrote("cost"):
        allowed.at("cost").report_key(
            "a budget of cost needs to know where replies say what they cost; add the key 'cost' at the top, such as "
            "`cost: json:$.usage.total_tokens`"
        )


def _metric(metric: MetricDocument) -> None:
    if known(metric.kind) and metric.kind is not Kind.MEAN:
        metric.at("kind").report(
            f"found {shown(str(metric.kind))} of a cost; expected mean", allowed="mean", near="mean"
        )
    if known(metric.better) and metric.better is not Better.LOWER:
        metric.at("better").report("of a cost lower is better", allowed="lower", near="lower")


def _arms(document: Document) -> None:
    """A price by arm names every arm, and no others: nothing is free by oversight."""
    names = [arm.name for arm in arms(document) if known(arm.name)]
    if document.cost is None or not known(document.cost):
        return
    for priced in document.cost:
        given = [arm for arm, _ in priced.arms]
        if given and sorted(given) != sorted(names):
            document.at("cost").report(
                f"the price of {priced.place} is given for {listed(given).replace(' or ', ' and ')}; expected one for "
                f"each arm: {', '.join(names)}",
                allowed=", ".join(names),
            )
