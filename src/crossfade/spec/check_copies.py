"""What must hold for metrics that need copies of users' requests in both directions; part of `spec.check`."""

from __future__ import annotations

from crossfade.spec.document import Document, MetricDocument
from crossfade.spec.document_stages import AbDocument, CanaryDocument
from crossfade.spec.model import Source
from crossfade.spec.partial import known, metrics, stages
from crossfade.spec.source import shown


def check_copies(document: Document) -> None:
    """Report every problem with `only` and with models that get no copies to the nodes of `document`."""
    for name, metric in metrics(document).items():
        if metric.only is not None and known(metric.only):
            _only(document, name, metric)
    champion = document.champion
    if known(champion) and known(champion.url) and champion.url.startswith("python:"):
        for _, stage in stages(document):
            if isinstance(stage, CanaryDocument | AbDocument) and stage.wrote("counterfactual"):
                stage.at("counterfactual").report_key(
                    "'counterfactual' copies requests at a gateway, and models inside a program have none; remove it"
                )


def copies_both(stage: CanaryDocument | AbDocument) -> bool:
    """Whether both arms answer copies of the other's requests; yes where that could not be read."""
    if not known(stage.counterfactual):
        return True
    return stage.counterfactual is not None and (
        not known(stage.counterfactual.of) or stage.counterfactual.of == "both"
    )


def _only(document: Document, name: str, metric: MetricDocument) -> None:
    if known(metric.source) and metric.source is not Source.OUTCOME:
        metric.at("only").report_key(
            f"'only' belongs to from: outcome, and this is from: {metric.source}; remove it", allowed="from: outcome"
        )
        return
    if document.wrote("challengers") and document.challengers is not None and len(document.challengers) > 1:
        metric.at("only").report_key(
            "with several challengers a unit may see one that differs and another that does not; "
            "'only' is for one challenger"
        )
    exposing = [stage for _, stage in stages(document) if isinstance(stage, CanaryDocument | AbDocument)]
    if not exposing and known(document.stages):
        metric.at("only").report_key(
            "'only' needs a canary or ab stage with counterfactual, and there is none; remove it"
        )
    for stage in exposing:
        if not copies_both(stage):
            stage.place.report_key(
                f"{shown(name)} counts units from their first request at which the arms' answers differ, and copies "
                "in one direction show that of one arm's units alone; add `counterfactual: {share: 100%, of: both}` "
                "to this stage, with the share that the models can bear",
                allowed="counterfactual with of: both",
            )
