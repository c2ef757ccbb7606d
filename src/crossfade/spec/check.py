"""What a spec must satisfy as a whole: rules that look at more than one value.

Each rule reports at the node that is wrong. A rule stays silent about values that are `UNKNOWN`: their own problem
has been told, and what follows from it is not a second mistake.
"""

from __future__ import annotations

import re

from crossfade.spec import words
from crossfade.spec.check_compare import check_compare, check_dry_run
from crossfade.spec.check_copies import check_copies
from crossfade.spec.check_cost import check_cost
from crossfade.spec.check_drift import check_drift
from crossfade.spec.check_explore import check_explore
from crossfade.spec.check_notify import check_notify
from crossfade.spec.check_prediction import check_prediction, check_redact
from crossfade.spec.check_router import check_router
from crossfade.spec.check_stages import check_stages
from crossfade.spec.document import Document, MetricDocument, PagesDocument, RankingDocument
from crossfade.spec.document_stages import InterleaveDocument
from crossfade.spec.model import From, Kind, Protocol, Source
from crossfade.spec.partial import arms, known, metrics, said, stages
from crossfade.spec.source import Node, shown


def check(document: Document) -> None:
    """Report every problem between values to the nodes of `document`."""
    _arms(document)
    _model(document)
    _segments(document)
    check_explore(document)
    _metrics(document)
    check_stages(document)
    check_compare(document)
    check_dry_run(document)
    check_prediction(document)
    check_copies(document)
    check_cost(document)
    check_redact(document)
    check_drift(document)
    _protection(document)
    _ranking(document)
    _in_process(document)
    _pseudonyms(document)
    check_notify(document)
    check_router(document)


def _arms(document: Document) -> None:
    one, several = document.wrote("challenger"), document.wrote("challengers")
    if one and several:
        document.at("challengers").report_key(
            "both 'challenger' and 'challengers' are written; keep one of them", allowed="challenger or challengers"
        )
    elif not one and not several:
        document.place.report_missing(
            "challenger",
            "the key 'challenger' is missing: the model that wants to take over ('challengers' for several)",
        )
    seen: dict[str, Node] = {}
    for arm in arms(document):
        if known(arm.name):
            node = arm.at("name")
            if arm.name in seen:
                node.report(
                    f"the arm name {shown(arm.name)} is taken on line {seen[arm.name].line}; "
                    "every arm needs a name of its own"
                )
            seen.setdefault(arm.name, node)
        if known(arm.url, document.champion) and known(document.champion.url):
            inside = arm.url.startswith("python:")
            if inside is not document.champion.url.startswith("python:"):
                arm.at("url").report(
                    "some arms are called over http and some in process; expected all of them one way",
                    allowed="http:// or https:// for every arm, or python: for every arm",
                )
            if inside and arm.wrote("probe"):
                arm.at("probe").report_key("a model in your own program needs no probe; remove it")
        if arm is document.champion and arm.wrote("probe"):
            arm.at("probe").report_key(
                "the champion is never left out, so that a probe of it would change nothing; remove it"
            )
        if arm.wrote("timeout") and known(arm.timeout, document.deadline) and arm.timeout > document.deadline:
            arm.at("timeout").report(
                f"the arm's timeout is longer than the {said(document.deadline)} that a whole request may take, "
                "so it would never be reached; shorten it or raise 'deadline'",
                allowed=f"at most {said(document.deadline)}",
            )


def _model(document: Document) -> None:
    if document.wrote("model") and known(document.protocol) and document.protocol is not Protocol.OPENAI_CHAT:
        document.at("model").report_key(
            f"only openai-chat has lists of models; with {document.protocol} the path names the model: remove it"
        )


def _segments(document: Document) -> None:
    if document.on_segment_harm is not None and known(document.segments) and not document.segments:
        document.at("on_segment_harm").report(
            "it says what to do when a segment comes to harm, and there are none; expected `segments:` beside it",
        )
    if not known(document.segments):
        return
    for index, segment in enumerate(document.segments):
        if known(segment) and segment.source is From.REQUEST:
            document.at("segments").value[index].report(
                "every request would be a segment of its own; expected header:NAME, cookie:NAME or json:$.path",
                allowed="header:NAME, cookie:NAME or json:$.path",
            )


def _pseudonyms(document: Document) -> None:
    if not document.wrote("pseudonyms") or not known(document.unit):
        return
    if document.unit.source is From.REQUEST:
        document.at("pseudonyms").report_key(
            "with unit: request every request is a unit of its own and names nobody, so there is nothing to hide; "
            "remove it"
        )


def _ranking(document: Document) -> None:
    ranking = document.ranking
    if not document.wrote("ranking"):
        needing = next((stage for name, stage in stages(document) if name == "interleave"), None)
        if needing is not None:
            needing.place.report_key(
                "an interleave stage needs to know where replies carry their ranked list; add the key 'ranking' "
                "at the top, such as `ranking: {items: $.items, id: $.id}`"
            )
    elif isinstance(ranking, RankingDocument) and isinstance(ranking.pages, PagesDocument):
        _pages(document, ranking.pages)
    if (
        isinstance(ranking, RankingDocument)
        and known(ranking.items)
        and document.protocol == Protocol.OPEN_INFERENCE
        and re.fullmatch(r"\$\.outputs\[\d+\]\.data", ranking.items)
    ):
        if known(ranking.id) and ranking.id != "$":
            ranking.at("id").report(
                f"found {shown(ranking.id)}; the data of an output holds the ids themselves: "
                "expected $, or leave it out",
                allowed="$",
                near="$",
            )
        if ranking.wrote("pinned"):
            ranking.at("pinned").report_key(
                "the data of an output holds ids alone, which cannot say that they are pinned; remove it"
            )


def _in_process(document: Document) -> None:
    """What only gateways do."""
    champion, ranking = document.champion, document.ranking
    if not known(champion) or not known(champion.url) or not champion.url.startswith("python:"):
        return
    for name, stage in stages(document):
        if name == "interleave" and isinstance(stage, InterleaveDocument) and stage.method == "optimized":
            stage.at("method").report(
                "found optimized, whose lists are planned beside a gateway; for models inside a program expected "
                "team-draft, balanced or probabilistic",
                allowed="team-draft, balanced or probabilistic",
            )
    if isinstance(ranking, RankingDocument):
        for key in ("query", "pages"):
            if ranking.wrote(key):
                ranking.at(key).report_key(
                    f"{key!r} is about requests over HTTP, and models inside a program get none; remove it"
                )


def _pages(document: Document, pages: PagesDocument) -> None:
    if pages.wrote("offset") == pages.wrote("page"):
        said = "both 'offset' and 'page'" if pages.wrote("offset") else "neither 'offset' nor 'page'"
        pages.place.report(
            f"found {said}; a request says where its page begins either by how many items come before it or by its "
            "number: keep one of them",
            allowed="one of offset, page",
        )
    elif pages.wrote("first") and not pages.wrote("page"):
        pages.at("first").report_key("'first' is the number of the first page, for `page`; with `offset` remove it")


def _metrics(document: Document) -> None:
    interleaved = [stage for _, stage in stages(document) if isinstance(stage, InterleaveDocument)]
    credits = {one.outcome for stage in interleaved if known(stage.credit) for one in stage.credit}
    for name, metric in metrics(document).items():
        _name(document.at("metrics").value[name], name)
        _metric(metric)
        _margin(metric)
        # A metric on the credited outcome says by its window how long clicks on one list are gathered.
        settles = metric.source in (Source.OUTCOME, Source.PREDICTION) and (metric.outcome or name) in credits
        if metric.goal is False and not metric.wrote("guardrail") and not settles:
            metric.place.report_key(
                f"{shown(name)} is neither the goal nor a guardrail, so nothing would come of measuring it; "
                "add `goal: true` or `guardrail: {margin: ...}`, or remove it",
                allowed="goal: true or guardrail: {margin: ...}",
            )


def _name(node: Node, name: str) -> None:
    try:
        words.NAME.read(name)
    except words.Wrong:
        node.report_key(f"found the name {shown(name)}; expected {words.NAME.expected}", allowed=words.NAME.expected)


def _metric(metric: MetricDocument) -> None:
    node = metric.place
    quantile = metric.kind == Kind.QUANTILE
    if quantile and not metric.wrote("q"):
        node.report_missing("q", "a quantile needs 'q', which quantile it is, such as q: 0.99")
    if known(metric.kind) and not quantile and metric.wrote("q"):
        metric.at("q").report_key(f"'q' belongs to kind: quantile, and this is kind: {metric.kind}; remove it")
    latency = quantile and metric.source is Source.RESPONSE
    if metric.wrote("blocks") and known(metric.kind, metric.source) and not latency:
        found = f"this is kind: {metric.kind} of from: {metric.source}"
        metric.at("blocks").report_key(f"'blocks' belongs to kind: quantile of from: response, and {found}; remove it")
    if metric.source in (Source.OUTCOME, Source.PREDICTION) and not metric.wrote("window"):
        node.report_missing(
            "window", "an outcome needs 'window', how long after the first exposure it counts, such as window: 24h"
        )
    _second(metric)
    _cap(metric)
    if metric.source in (Source.RESPONSE, Source.COST):
        for key in ("window", "outcome", "arrives_within"):
            if metric.wrote(key):
                of = metric.source
                metric.at(key).report_key(f"'{key}' belongs to from: outcome, and this is from: {of}; remove it")


def _second(metric: MetricDocument) -> None:
    """The other outcome that a ratio divides by, or that a mean is adjusted for."""
    if not known(metric.kind, metric.source):
        return
    response = metric.source in (Source.RESPONSE, Source.COST)
    if metric.kind == Kind.RATIO and response:
        metric.at("kind").report(
            "found 'ratio' of responses; a ratio divides one outcome by another, and a reply has none: "
            "expected from: outcome, or rate, mean, count or quantile",
            allowed="rate, mean, count or quantile",
        )
    elif metric.kind == Kind.RATIO and not metric.wrote("per"):
        metric.place.report_missing(
            "per", "a ratio needs 'per', the outcome in its denominator, such as per: visit for purchases per visit"
        )
    if metric.kind != Kind.RATIO and metric.wrote("per"):
        metric.at("per").report_key(f"'per' belongs to kind: ratio, and this is kind: {metric.kind}; remove it")
    if metric.wrote("covariate") and (response or metric.kind not in (Kind.MEAN, Kind.COUNT)):
        what = "responses" if response else f"kind: {metric.kind}"
        metric.at("covariate").report_key(
            f"'covariate' belongs to means and counts of outcomes, and this is of {what}; remove it"
        )


def _cap(metric: MetricDocument) -> None:
    """A bound belongs to sums over a unit, and is more than the margin."""
    if not metric.wrote("cap") or not known(metric.kind, metric.source, metric.cap) or metric.cap is None:
        return
    summed = metric.kind is Kind.COUNT or (metric.kind is Kind.MEAN and metric.source is Source.OUTCOME)
    if not summed or metric.source not in (Source.OUTCOME, Source.RESPONSE):
        metric.at("cap").report_key(
            f"'cap' belongs to means and counts of outcomes and to counts of responses, and this is kind: "
            f"{metric.kind} of from: {metric.source}; remove it"
        )
        return
    guardrail = metric.guardrail
    if guardrail is None or not known(guardrail, guardrail.margin) or guardrail.margin.relative:
        return
    if guardrail.margin.value >= metric.cap:
        metric.at("cap").report(
            f"found {metric.at('cap').found()}; as no unit counts for more, nothing could be worse by the margin of "
            f"{guardrail.margin.value:g}; expected more than that",
            allowed=f"more than {guardrail.margin.value:g}",
        )


_SHARES = (Kind.RATE, Kind.ACCURACY, Kind.AUC, Kind.BRIER, Kind.NDCG)
"""Kinds of metric that lie between 0 and 1."""


def _margin(metric: MetricDocument) -> None:
    guardrail = metric.guardrail
    if guardrail is None or not known(guardrail, metric.kind):
        return
    margin, at = guardrail.margin, guardrail.at("margin")
    if not known(margin):
        return
    if isinstance(at.value, str) and at.value.endswith("pp") and metric.kind not in (Kind.RATE, Kind.ACCURACY):
        at.report(
            f"found {at.found()}; percentage points are for rates and accuracies, and this is kind: {metric.kind}; "
            "expected 20% (of the champion's value) or a number in the metric's own units",
            allowed="20% or a number",
        )
    elif metric.kind in _SHARES and not margin.relative and margin.value >= 1.0:
        near = f"{margin.value:g}pp" if not isinstance(at.value, str) and margin.value < 100 else None
        at.report(
            f"found {at.found()}; as a {metric.kind} lies between 0 and 1, nothing could be worse by that margin; "
            "expected a margin such as 0.5pp or 0.005" + (f"; did you mean {near}?" if near else ""),
            allowed="a margin below 100pp",
            near=near,
        )
    elif metric.better == "higher" and margin.relative and margin.value >= 1.0:
        at.report(
            f"found {at.found()}; nothing could be worse by that margin, as it is all of the champion's value",
            allowed="a relative margin below 100%",
        )


def _protection(document: Document) -> None:
    """Whoever is exposed is protected by something that is measured, and a comparison has something to compare."""
    if not known(document.metrics) or not all(known(metric) for metric in document.metrics.values()):
        return
    exposing = [metric for metric in document.metrics.values() if metric.source not in (Source.PREDICTION, Source.COST)]
    guarded = any(metric.guardrail is not None or metric.wrote("guardrail") for metric in exposing)
    aimed = any(metric.goal is not False for metric in exposing)
    for name, stage in stages(document):
        if name == "ab" and not aimed:
            stage.place.report_key(
                "an ab stage ends when the goal is decided, and no metric is the goal; add `goal: true` to one"
            )
            return
        if name == "interleave" and not guarded and not aimed:
            stage.place.report_key(
                "an interleave stage needs something that can roll it back, and no metric is a guardrail or the goal; "
                "add one, such as `errors: {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}`"
            )
            return
        if name == "canary" and not guarded:
            stage.place.report_key(
                "a canary needs a guardrail that can roll it back, and no metric has one; add one, such as "
                "`errors: {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}`"
            )
            return
