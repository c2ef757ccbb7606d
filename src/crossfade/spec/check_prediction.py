"""What must hold for metrics that set predictions against labels; part of `spec.check`."""

from __future__ import annotations

from crossfade.spec.check_copies import copies_both
from crossfade.spec.document import Document, MetricDocument, PredictionDocument
from crossfade.spec.document_stages import AbDocument, CanaryDocument, ShadowDocument
from crossfade.spec.model import HIGHER_SCORES, SCORES, Better, From, Kind, Source
from crossfade.spec.model import Field as Place
from crossfade.spec.partial import AnyStage, fields_recorded, known, metrics, said, stages
from crossfade.spec.problems import listed
from crossfade.spec.source import shown
from crossfade.spec.words import SHADOWED

FITTING: dict[str, tuple[Kind, ...]] = {
    "probability": (Kind.ACCURACY, Kind.AUC, Kind.LOG_LOSS, Kind.BRIER, Kind.SCORE),
    "class": (Kind.ACCURACY, Kind.SCORE),
    "value": (Kind.RMSE, Kind.MAE, Kind.AUC, Kind.SCORE),
    "items": (Kind.NDCG,),
}
"""What can be said of each kind of prediction."""


def check_prediction(document: Document) -> None:
    """Report every problem with predictions and the metrics on them to the nodes of `document`."""
    place = _place(document.prediction)
    asked = {name: metric for name, metric in metrics(document).items() if metric.source == Source.PREDICTION}
    for metric in metrics(document).values():
        _kind(metric)
        _adjusted(document, metric, place)
    if not asked:
        return
    if not any(isinstance(stage, ShadowDocument) for _, stage in stages(document)):
        next(iter(asked.values())).at("source").report_key(
            "predictions of both models for one request are there in a shadow alone; add the stage `- shadow: {}`"
        )
    if not document.wrote("prediction"):
        next(iter(asked.values())).place.report_key(
            "metrics from: prediction need to know where replies carry it; add the key 'prediction' at the top, such "
            "as `prediction: {probability: $.probability}`"
        )
    for name, metric in asked.items():
        fitting = FITTING.get(place or "", SCORES)
        if known(metric.kind) and metric.kind in SCORES and metric.kind not in fitting:
            allowed = listed([str(one) for one in fitting])
            metric.at("kind").report(
                f"found {shown(str(metric.kind))} of a {place}; of that there is {allowed}", allowed=allowed
            )
        _time(document, name, metric)


def _adjusted(document: Document, metric: MetricDocument, place: str | None) -> None:
    """A mean that is adjusted for what was predicted in the shadow needs one, or copies in both directions, and a
    number predicted there."""
    if metric.covariate not in SHADOWED:
        return
    at = metric.at("covariate")
    told = [stage for _, stage in stages(document) if isinstance(stage, ShadowDocument) or _copying(stage)]
    if not told:
        at.report(f"found {at.found()}, and nothing is predicted without a shadow; add the stage `- shadow: {{}}`")
    if not document.wrote("prediction"):
        at.report(
            f"found {at.found()}, and nobody knows where replies carry what they predict; add the key 'prediction' at "
            "the top, such as `prediction: {value: $.value}`"
        )
    elif place in ("class", "items"):
        at.report(f"found {at.found()}, and what is predicted is {place}; only a value or a probability adjusts a mean")


def _copying(stage: AnyStage) -> bool:
    return isinstance(stage, CanaryDocument | AbDocument) and copies_both(stage)


def _place(prediction: PredictionDocument | None) -> str | None:
    """The one key that says where predictions are."""
    if prediction is None or not known(prediction):
        return None
    written = [key for key in FITTING if prediction.wrote("label" if key == "class" else key)]
    if len(written) != 1:
        prediction.place.report_key(
            f"found {' and '.join(written) or 'no place'}; expected one of probability, class, value and items",
            allowed="probability, class, value or items",
        )
        return None
    if written[0] != "items" and prediction.wrote("id"):
        prediction.at("id").report_key("'id' belongs to items; remove it")
    return written[0]


def _kind(metric: MetricDocument) -> None:
    if not known(metric.kind, metric.source):
        return
    scores, plain = listed([str(one) for one in SCORES]), "rate, mean, count, ratio or quantile"
    if metric.source == Source.COST and metric.kind not in SCORES:
        return
    labelled = metric.source == Source.PREDICTION
    if labelled is not (metric.kind in SCORES):
        of, allowed = ("predictions", scores) if labelled else (f"from: {metric.source}", plain)
        metric.at("kind").report(
            f"found {shown(str(metric.kind))}, which is not for {of}: expected {allowed}", allowed=allowed
        )
    elif labelled and known(metric.better) and metric.kind is not Kind.SCORE:
        better = Better.HIGHER if metric.kind in HIGHER_SCORES else Better.LOWER
        if metric.better != better:
            metric.at("better").report(f"of {metric.kind} {better} is better", allowed=str(better), near=str(better))
    for key in ("absent", "join"):
        if metric.wrote(key) and not labelled:
            metric.at(key).report_key(
                f"'{key}' belongs to from: prediction, and this is from: {metric.source}; remove it"
            )
    _own(metric)


def _own(metric: MetricDocument) -> None:
    """A score of the user's own has a function, and nothing else has."""
    if metric.kind is Kind.SCORE and not metric.wrote("score"):
        metric.place.report_missing(
            "score", "a score needs 'score', your own function, such as score: shop.scores:profit"
        )
    elif metric.kind is not Kind.SCORE and metric.wrote("score"):
        metric.at("score").report_key(f"'score' belongs to kind: score, and this is kind: {metric.kind}; remove it")


def _time(document: Document, name: str, metric: MetricDocument) -> None:
    """No shadow may be given up before the first window of a label has closed."""
    for _, stage in stages(document):
        if (
            isinstance(stage, ShadowDocument)
            and isinstance(metric.window, float)
            and known(stage.until)
            and known(stage.until.at_most)
            and metric.window >= stage.until.at_most
        ):
            node = stage.until.at("at_most") if stage.wrote("until") else stage.place
            node.report(
                f"the stage is given up after {said(stage.until.at_most)}, before the first window of {shown(name)} "
                f"({said(metric.window)}) has closed, so it could never be measured; allow more time",
                allowed=f"more than {said(metric.window)}",
            )


def check_redact(document: Document) -> None:
    """What must never be written cannot be what is recorded of every request."""
    if not known(document.redact):
        return
    places = [document.unit, *fields_recorded(document)]
    for index, path in enumerate(document.redact):
        for place in places:
            if known(path) and isinstance(place, Place) and place.source is From.JSON and place.name == path:
                document.at("redact").value[index].report(
                    f"{shown(path)} is recorded with every request as {place}; take another one there, or remove it"
                )
    recorded = []
    if document.prediction is not None and known(document.prediction):
        read = document.prediction
        recorded = [path for path in (read.probability, read.label, read.value, read.items) if isinstance(path, str)]
    for index, path in enumerate(document.redact):
        if known(path) and any(other == path or other.startswith((f"{path}.", f"{path}[")) for other in recorded):
            document.at("redact").value[index].report(
                f"{shown(path)} is recorded as the prediction that labels are set against; remove one of the two"
            )
