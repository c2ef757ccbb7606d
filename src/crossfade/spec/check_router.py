"""What a rollout may ask where a router carries the traffic and the gateway does not; part of `spec.check`."""

from __future__ import annotations

from collections import Counter

from crossfade.spec.document import Document
from crossfade.spec.document_router import RouterDocument, ways
from crossfade.spec.document_stages import AbDocument, CanaryDocument, InterleaveDocument, ShadowDocument
from crossfade.spec.model import From, OnSegmentHarm
from crossfade.spec.partial import AnyStage, arms, fields_recorded, known, stages
from crossfade.spec.routers import LIMITS, Limits
from crossfade.spec.source import shown

REPLIES = ("compare", "prediction", "examples", "redact", "drift", "cost", "ranking")
"""Keys about what is in requests and replies, which a router passes on unread."""

SENDING = ("dry_run_header", "reveal", "deadline", "model")
"""Keys about what the gateway does with a request on its way."""

ROUTERS = RouterDocument.keys()

ARMS = ("model", "timeout", "probe")


def check_router(document: Document) -> None:
    """Report what the named router cannot carry to the nodes of `document`, and why it cannot."""
    router = document.router
    if not isinstance(router, RouterDocument):
        return
    named = [name for name in ROUTERS if router.wrote(name)]
    if len(named) != 1:
        every = ", ".join(ROUTERS)
        found = " and ".join(named) or "none of them"
        router.place.report(
            f"found {found}; one router carries a rollout: expected one of {every}", allowed=f"one of {every}"
        )
        return
    limits = LIMITS[named[0]]
    _keys(document, limits)
    _fields(document, limits)
    _arms(document, router, limits)
    for name, stage in stages(document):
        _stage(name, stage, limits)


def _keys(document: Document, limits: Limits) -> None:
    for key in REPLIES:
        if document.wrote(key):
            document.at(key).report_key(
                f"{key!r} is about what is in requests and replies, which {limits.title} passes on and Crossfade does "
                "not see; remove it, or let Crossfade's gateway carry the rollout (no 'router')"
            )
    for key in SENDING:
        if document.wrote(key):
            document.at(key).report_key(
                f"{key!r} is what Crossfade's gateway does, and {limits.title} carries this rollout: set it up there, "
                "and remove it here"
            )


def _fields(document: Document, limits: Limits) -> None:
    unit = document.unit
    if known(unit) and not limits.holds(unit):
        allowed = " or ".join([*(f"{source}:NAME" for source in limits.sticky), "request"])
        why = "does not read bodies" if unit.source is From.JSON and limits.sticky else "draws each request by itself"
        document.at("unit").report(
            f"{limits.title} {why}, so that a unit told by {shown(str(unit))} would meet both arms; expected {allowed}",
            allowed=allowed,
        )
    for key in ("segments", "explore"):
        if document.wrote(key) and any(field.source is From.JSON for field in fields_recorded(document)):
            document.at(key).report_key(
                f"{limits.title} does not read bodies; expected fields of headers and cookies", allowed="header, cookie"
            )
            break
    if document.on_segment_harm is OnSegmentHarm.EXCLUDE and not all(
        field.source in limits.excludes for field in (document.segments if known(document.segments) else ())
    ):
        read = " and ".join(f"{source}:NAME" for source in limits.excludes) or "nothing"
        document.at("on_segment_harm").report(
            f"{limits.title} cannot keep such a segment on the champion (it can by {read}); expected hold or report",
            allowed="hold or report",
        )


def _arms(document: Document, router: RouterDocument, limits: Limits) -> None:
    every = arms(document)
    if document.challengers is not None and known(document.challengers):
        count = len(document.challengers)
        if count > limits.challengers:
            document.at("challengers").report_key(
                f"{limits.title} can tell {limits.challengers} challenger{'s' * (limits.challengers > 1)} apart, and "
                f"there are {count}"
            )
    for arm in every:
        if known(arm.url) and arm.url.startswith("python:"):
            arm.at("url").report(
                f"{limits.title} calls no function of a program; expected http:// or https://", allowed="http(s)://"
            )
        for key in ARMS:
            if arm.wrote(key):
                arm.at(key).report_key(
                    f"{key!r} is what Crossfade's gateway does, and {limits.title} carries this rollout: set it up "
                    "there, and remove it here"
                )
    names = [arm.name for arm in every if known(arm.name)]
    for _, way in ways(router):
        if not known(way):
            continue
        for key, told in ((key, getattr(way, key)) for key in type(way).model_fields):
            if not isinstance(told, dict):
                continue
            for name in told:
                if name not in names:
                    way.at(key).value[name].report_key(
                        f"no arm is named {name}; there are {', '.join(names)}", allowed=", ".join(names)
                    )
            called = Counter(told.get(name, name) for name in names)
            for name in (one for one in told if one in names and called[told[one]] > 1):
                alike = " and ".join(one for one in names if told.get(one, one) == told[name])
                way.at(key).value[name].report_key(
                    f"{alike} are both called {told[name]}, so that {limits.title} could not tell them apart; give "
                    "each arm its own",
                    allowed="a name of its own",
                )
                break


def _stage(name: str, stage: AnyStage, limits: Limits) -> None:
    match stage:
        case InterleaveDocument():
            stage.place.report_key(
                f"an interleave stage merges both models' lists into one reply, which {limits.title} cannot; let "
                "Crossfade's gateway carry the rollout (no 'router'), or leave the stage out"
            )
        case ShadowDocument():
            _shadow(stage, limits)
        case CanaryDocument() | AbDocument():
            if stage.wrote("counterfactual"):
                stage.at("counterfactual").report_key(
                    f"{limits.title} shows no replies to copies, so that no answers could be compared; remove it"
                )
            _steps(stage, limits)
        case _:
            pass


def _shadow(stage: ShadowDocument, limits: Limits) -> None:
    if not limits.mirror:
        stage.place.report_key(
            f"a shadow needs copies of requests, which {limits.title} does not send; leave the stage out"
        )
        return
    for key in ("gates", "noise", "at_once", "per_day"):
        if stage.wrote(key):
            stage.at(key).report_key(
                f"{limits.title} sends copies and shows no replies to them: nothing is compared or counted, so "
                f"{key!r} would never apply; remove it"
            )
    if known(stage.until) and (not stage.wrote("until") or stage.until.wrote("requests")):
        stage.place.report_key(
            f"{limits.title} shows no replies to copies, so that no number of compared requests ends this shadow; "
            "write `until: {at_most: 1d}`, look at the challenger's own metrics meanwhile, and `crossfade advance` it "
            "by hand",
            allowed="until: {at_most: ...}",
        )


def _steps(stage: CanaryDocument | AbDocument, limits: Limits) -> None:
    weights = (
        [(stage.at("weight"), stage.weight)]
        if isinstance(stage, AbDocument)
        else [(stage.at("steps"), share) for share in stage.steps]
        if known(stage.steps)
        else []
    )
    for node, share in weights:
        if known(share) and share > 0.0 and abs(limits.carried(share) - share) > 1e-9:
            least = limits.carried(share)
            node.report(
                f"{limits.title} gives weights in steps of {limits.step:.4%}, so that {share:.4%} would be "
                f"{least:.4%}; expected multiples of it",
                allowed=f"multiples of {limits.step:.4%}",
            )
            return
