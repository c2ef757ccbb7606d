"""Each arm of a spec asked one real request: whether it answers, and what Crossfade reads in its reply."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from crossfade.live import units
from crossfade.live.compare import Rules, found
from crossfade.live.protocols import Invalid, Prediction, Tensor, wire
from crossfade.rim.checkup.asking import Answer, ask
from crossfade.rim.checkup.finding import Finding, State
from crossfade.rim.checkup.sample import GIVE, made_up
from crossfade.rim.traffic import Request
from crossfade.spec.model import Arm, Field, From, Rollout

SHOWN = 4
"""Fields, or items of a list, that are told."""

APART = 5.0
"""Seconds between two machines' clocks that are worth knowing."""


@dataclass(slots=True)
class Fit:
    """What was found out about the models of a spec."""

    findings: list[Finding] = field(default_factory=list)
    predictions: dict[str, Prediction] = field(default_factory=dict)

    def add(self, what: str, state: State, sentence: str, todo: str = "") -> None:
        """One finding more."""
        self.findings.append(Finding(what=what, state=state, sentence=sentence, todo=todo))


def fit(rollout: Rollout, request: Request | None, now: float) -> list[Finding]:
    """Every arm's answer to `request`, or to one made up where there is none; `now` is this machine's clock."""
    told = Fit()
    if rollout.in_process:
        told.add("models", State.NOTE, "they live in a program and have no address")
        return told.findings
    chosen = made_up(rollout) if request is None else request
    if isinstance(chosen, str):
        _reachable(rollout, told, chosen)
        return told.findings
    told.findings += _read_of(rollout, chosen)
    for arm in (rollout.champion, *rollout.challengers):
        _one(rollout, arm, ask(rollout, arm, chosen), told, now)
    for arm in rollout.challengers:
        _alike(rollout, arm.name, told)
    return told.findings


def _reachable(rollout: Rollout, told: Fit, why: str) -> None:
    """No request can be made up: whether anything answers at all is still worth knowing."""
    there = Request(id="0", method="GET", path=rollout.route, headers=(), body=b"")
    for arm in (rollout.champion, *rollout.challengers):
        answer = ask(rollout, arm, there)
        if answer.failure:
            told.add(arm.name, State.PROBLEM, answer.failure, answer.todo)
        else:
            told.add(arm.name, State.FINE, f"something answers HTTP at {arm.url} (status {answer.status})")
    told.add("protocol", State.UNKNOWN, f"no request was sent to the models: {why}", GIVE)


def _read_of(rollout: Rollout, request: Request) -> Iterator[Finding]:
    """What is read of the request itself: the unit, and the segments."""
    headers = {name.lower(): value for name, value in request.headers}
    if rollout.unit.source is From.REQUEST:
        yield Finding(what="unit", state=State.FINE, sentence="every request is a unit of its own")
    else:
        yield _place("unit", rollout.unit, headers, request.body, "it would be served by the champion and not counted")
    for segment in rollout.segments:
        yield _place("segment", segment, headers, request.body, "it would count as absent")


def _place(what: str, place: Field, headers: Mapping[str, str], body: bytes, without: str) -> Finding:
    value = units.read(place, headers, lambda: json.loads(body))
    if value:
        return Finding(what=what, state=State.FINE, sentence=f"{place} says {value!r}")
    said = f"the request has nothing at {place}: {without}"
    return Finding(what=what, state=State.NOTE, sentence=said, todo="send a request of your own with --request FILE")


def _one(rollout: Rollout, arm: Arm, answer: Answer, told: Fit, now: float) -> None:
    if answer.failure:
        told.add(arm.name, State.PROBLEM, answer.failure, answer.todo)
        return
    if answer.status is None or not 200 <= answer.status < 300:
        said = _short(answer.body.decode(errors="replace"))
        todo = "send a request that it takes with --request FILE, or correct `url:`, `model:` or `route:`"
        told.add(arm.name, State.PROBLEM, f"answered {answer.status}: {said}", todo)
        return
    prediction = wire(rollout.protocol).prediction(answer.headers, answer.body)
    if isinstance(prediction, Invalid):
        said = f"its reply is no {rollout.protocol} answer ({prediction.reason}: {prediction.detail})"
        told.add(arm.name, State.PROBLEM, said, "is `protocol:` the one that this server speaks?")
        return
    told.predictions[arm.name] = prediction
    told.add(arm.name, State.FINE, f"answered in {answer.ms:.0f} ms; read as {_fields(prediction)}")
    if rollout.ranking is not None:
        _list(rollout, arm, answer, told)
    _clock(arm, answer, told, now)


def _list(rollout: Rollout, arm: Arm, answer: Answer, told: Fit) -> None:
    assert rollout.ranking is not None
    items = wire(rollout.protocol).items(answer.body, rollout.ranking)
    what = f"{arm.name}, list"
    if isinstance(items, Invalid):
        place = f"{rollout.ranking.items} with ids at {rollout.ranking.id}"
        told.add(what, State.PROBLEM, f"there is none at {place}: {items.detail}", "correct `ranking:` in the spec")
        return
    names = ", ".join(_short(name) for name, _ in items[:SHOWN])
    more = ", …" if len(items) > SHOWN else ""
    state = State.FINE if items else State.NOTE
    told.add(what, state, f"{len(items)} items" + (f": {names}{more}" if items else "; nothing could be interleaved"))


def _clock(arm: Arm, answer: Answer, told: Fit, now: float) -> None:
    try:
        apart = parsedate_to_datetime(answer.headers["date"]).timestamp() - now
    except (KeyError, ValueError, TypeError):
        return
    if abs(apart) > APART:
        ahead = "ahead of" if apart > 0 else "behind"
        todo = "set both clocks (NTP) where outcomes are timed by that machine: windows are"
        told.add(f"{arm.name}, clock", State.NOTE, f"{abs(apart):.0f} s {ahead} this machine", todo)


def _alike(rollout: Rollout, arm: str, told: Fit) -> None:
    champion = rollout.champion.name
    if champion not in told.predictions or arm not in told.predictions:
        return
    differing = found(told.predictions[champion], told.predictions[arm], rules=Rules(rollout.compare))
    shape = {path: how for path, how in differing.items() if str(how.kind) not in ("value", "order")}
    what = f"{arm} and {champion}"
    if shape:
        said = ", ".join(f"{path} ({how.kind})" for path, how in list(shape.items())[:SHOWN])
        todo = "every such reply will count as a difference; see `compare:` in the spec where that is meant"
        told.add(what, State.NOTE, f"their replies are built differently: {said}", todo)
    elif differing:
        said = f"built alike; {', '.join(list(differing)[:SHOWN])} differ for this request"
        told.add(what, State.FINE, said)
    elif found(told.predictions[champion], told.predictions[arm], rules=Rules()):
        told.add(what, State.FINE, "differ by no more than `compare:` allows, for this request")
    else:
        told.add(what, State.FINE, "say the same for this request")


def _fields(prediction: Prediction) -> str:
    told = [f"{name} = {_value(value)}" for name, value in list(prediction.fields.items())[:SHOWN]]
    return ", ".join(told) + (", …" if len(prediction.fields) > SHOWN else "") if told else "a reply without fields"


def _value(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{list(value.shape)} {_short(', '.join(str(one) for one in value.values[:SHOWN]))}"
    return _short(value if isinstance(value, str) else json.dumps(value, default=str))


def _short(text: str) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= 60 else f"{plain[:59]}…"
