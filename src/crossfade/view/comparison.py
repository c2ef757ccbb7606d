"""The record of two models' recorded replies set side by side: what `crossfade compare` shows, by field, with examples.

Replies go in one pair at a time and nothing is kept of them but counts and a few short examples.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from crossfade.judge.disagreement import ANY, CATASTROPHIC, CONTROL, Judged, Tally, judge
from crossfade.live.compare import CATASTROPHIC as WORST
from crossfade.live.compare import Difference, Found, Rules, fields_of, found, known
from crossfade.live.paths import member
from crossfade.live.protocols import document, wire
from crossfade.live.protocols.base import Invalid, Prediction
from crossfade.spec.model import Protocol, Rollout, Shadow

SCHEMA = "crossfade.compare/1"

MARGIN = 0.01
"""Share of pairs that may differ beyond the champion's own noise, where nobody says otherwise."""

MOST_SHOWN = 200
"""Characters of one value in an example."""

MOST_REASONS = 50
"""Reasons of failure told apart: recorded ones are anybody's words."""

REDACTED = "[redacted]"

_OTHERWISE_BUILT = frozenset((Difference.EXTRA, Difference.TYPE, Difference.LENGTH))
"""Differences that may come with fields which the champion's reply has not."""

_member = lru_cache(maxsize=4096)(member)
_any = msgspec.json.Decoder()
_FAILED = "$"
"""The field of a reply as a whole, which no field names when there is no reply."""


class Comparing:
    """Counts pairs as they come; `record` may be asked for at any time."""

    def __init__(
        self,
        *,
        protocol: Protocol = Protocol.JSON,
        rules: Rules | None = None,
        margin: float = MARGIN,
        alpha: float = 0.05,
        examples: int = 3,
        redact: Iterable[str] = (),
    ) -> None:
        self._protocol = protocol
        self._rules = rules if rules is not None else Rules()
        self._margin = margin
        self._alpha = alpha
        self._most = examples
        self._redact = tuple(redact)
        self._tally = Tally()
        self._examples: dict[str, list[dict[str, Any]]] = {}
        self._unmeasured: dict[str, dict[str, int]] = {}
        """Fields that a function of the user's should have compared and did not, with the reasons and how often."""
        self._failed: dict[str, dict[str, int]] = {"champion": {}, "challenger": {}, "noise": {}}

    @property
    def pairs(self) -> int:
        """Pairs compared so far."""
        return self._tally.pairs

    def add(self, name: str, champion: bytes, challenger: bytes, noise: bytes | None = None) -> None:
        """One pair: replies as JSON. A text in place of a document is the body itself, also of a stream."""
        left = self._read(champion)
        if isinstance(left, Invalid):
            self.failed("champion", left.reason)
            return
        right = left if challenger == champion else self._read(challenger)
        again = None if noise is None else left if noise == champion else self._read(noise)
        if isinstance(again, Invalid):
            self.failed("noise", again.reason)
            again = None
        noisy = None if again is None else self._between(left, again)
        if noisy and isinstance(right, Invalid) and self._silent(noisy):
            noisy = None
        noise_worst = bool(_catastrophic(noisy)) if noisy else False
        if isinstance(right, Invalid):
            self.failed("challenger", right.reason)
            self._tally.seen(fields_of(left, self._rules))
            self._tally.add(
                {_FAILED: right.reason},
                _kinds(noisy),
                catastrophic=[right.reason],
                noise_catastrophic=noise_worst,
            )
            self._example(_FAILED, name, right.reason, _value(champion), _value(challenger))
            return
        differing = self._between(left, right)
        if self._silent(differing, noisy):
            return
        seen = fields_of(left, self._rules)
        if any(how.kind in _OTHERWISE_BUILT for how in differing.values()):
            seen |= fields_of(right, self._rules)
        self._tally.seen(seen)
        self._tally.add(
            {path: str(how.kind) for path, how in differing.items()},
            _kinds(noisy),
            muted=self._mutes(differing, noisy or {}),
            catastrophic=_catastrophic({p: how for p, how in differing.items() if self._rules.mute(p) is None}),
            noise_catastrophic=noise_worst,
        )
        for path, how in differing.items():
            self._example(path, name, str(how.kind), how.a, how.b)

    def failed(self, whose: str, reason: str) -> None:
        """Count a reply that is none; a challenger's also counts as a difference, when its pair is added."""
        reasons = self._failed[whose]
        if reason not in reasons and len(reasons) >= MOST_REASONS:
            reason = "other"
        reasons[reason] = reasons.get(reason, 0) + 1

    def lost(self, name: str, reason: str, champion: bytes) -> None:
        """A pair in which the challenger gave no reply at all."""
        left = self._read(champion)
        if isinstance(left, Invalid):
            self.failed("champion", left.reason)
            return
        self.failed("challenger", reason)
        self._tally.seen(fields_of(left, self._rules))
        self._tally.add({_FAILED: "error"}, None, catastrophic=["error"])
        self._example(_FAILED, name, "error", _value(champion), reason)

    def record(self) -> dict[str, Any]:
        """What other programs read: every field with its rates and verdict, those that differ most surely first."""
        record = told(self._tally, self._rules, self._margin, self._alpha, self._examples, self._failed)
        return {**record, "unmeasured": self._unmeasured}

    def _read(self, body: bytes) -> Prediction | Invalid:
        if self._protocol is Protocol.JSON:
            doc = _value(body)
            if isinstance(doc, dict):
                return Prediction({f"${_member(key)}": value for key, value in doc.items()})
            return Prediction({"$": doc})
        headers: Mapping[str, str] = {}
        if body[:1] == b'"':
            text = _value(body)
            body = text.encode(errors="surrogatepass") if isinstance(text, str) else body
            if text.lstrip().startswith(("data:", "event:", ":")):
                headers = {"content-type": "text/event-stream"}
        return wire(self._protocol).prediction(headers, body)

    def _between(self, a: Prediction, b: Prediction) -> dict[str, Found]:
        return {} if a is b else found(a, b, rules=self._rules, most=1000)

    def _silent(self, *differing: Mapping[str, Found] | None) -> bool:
        """Whether a function of the user's gave no answer for a field: then nobody knows whether the pair differs."""
        silent = {path: why for some in differing if some for path, why in known(dict(some))[1].items()}
        for path, why in silent.items():
            reasons = self._unmeasured.setdefault(path, {})
            reasons[why] = reasons.get(why, 0) + 1
        return bool(silent)

    def _mutes(self, *differing: Mapping[str, Found]) -> list[str]:
        if not self._rules.muted:
            return []
        return [path for some in differing for path in some if self._rules.mute(path) is not None]

    def _example(self, path: str, name: str, kind: str, champion: Any, challenger: Any) -> None:
        kept = self._examples.setdefault(path, [])
        if len(kept) < self._most:
            hidden = any(_overlap(path, place) for place in self._redact)
            kept.append(
                {
                    "path": path,
                    "kind": kind,
                    "id": name,
                    "champion": None if kind == "extra" else REDACTED if hidden else _short(champion),
                    "challenger": None if kind == "missing" else REDACTED if hidden else _short(challenger),
                }
            )


def told(
    tally: Tally,
    rules: Rules,
    margin: float,
    alpha: float,
    examples: Mapping[str, list[dict[str, Any]]],
    failed: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    """What was counted, judged: every field with its rates and verdict, and examples of those that differ."""
    muted = {path: reason for path in tally.fields if (reason := rules.mute(path)) is not None}
    lines = judge(tally, margin=margin, alpha=alpha, muted=muted)
    whole = {line.path: line for line in lines if line.path in (ANY, CATASTROPHIC)}
    fields = sorted((line for line in lines if line.path not in whole), key=_weight)
    return {
        "schema": SCHEMA,
        "pairs": tally.pairs,
        "twice": tally.twice,
        "margin": margin,
        "alpha": alpha,
        "control": CONTROL,
        "disagreement": whole[ANY].to_json(),
        "catastrophic": whole[CATASTROPHIC].to_json(),
        "fields": [line.to_json() for line in fields],
        "fields_never_differing": tally.quiet + sum(not line.differing and not line.noise for line in fields),
        "examples": [example for line in fields for example in examples.get(line.path, ())],
        "failed": failed,
        "fields_left_out": tally.left_out,
    }


def margin_of(rollout: Rollout | None) -> float:
    """The shadow's gate on disagreement, where a spec has one; else one pair of a hundred."""
    for stage in rollout.stages if rollout else ():
        if isinstance(stage, Shadow):
            return dict(stage.gates).get("disagreement", MARGIN)
    return MARGIN


def _kinds(noisy: Mapping[str, Found] | None) -> dict[str, str] | None:
    return None if noisy is None else {path: str(how.kind) for path, how in noisy.items()}


def _catastrophic(differing: Mapping[str, Found]) -> list[str]:
    return [str(how.kind) for how in differing.values() if how.kind in WORST]


def _overlap(path: str, place: str) -> bool:
    """Whether one place lies in the other: a value shown whole may hold what must not be shown."""
    short, long = sorted((path, place), key=len)
    return long == short or (long.startswith(short) and long[len(short)] in ".[")


def _weight(line: Judged) -> tuple[Any, ...]:
    order = {"harmful": 0, "undecided": 1, "safe": 2, "unmeasured": 3}
    return line.muted is not None, order[str(line.verdict)], -(line.excess or 0.0), -line.differing, line.path


def _short(value: Any) -> str:
    """A value as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def _value(body: bytes) -> Any:
    """The document; NaN and infinities, which JSON does not have, are read as what they say."""
    try:
        return _any.decode(body)
    except (ValueError, RecursionError):
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return document.load(body)
