"""What an analysis is asked: metrics as they are typed on a command line, shares, and the arms to compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossfade.spec.measures import MARGIN, duration
from crossfade.spec.model import Better, Kind, Margin, Metric, Source
from crossfade.spec.problems import listed, nearest
from crossfade.spec.words import Wrong

EXPOSURES = "exposures"
"""The denominator of a ratio that names none: how often the unit was exposed."""

FORM = "NAME:KIND, such as purchase:rate:higher or latency:quantile:0.95:lower:20%"

OPTIONS = ("per", "covariate", "cap", "only")


class AnalysisError(Exception):
    """What was asked, or what was given to answer it, cannot be used. `found_in_data`: the fault lies in a file."""

    def __init__(self, error: str, what_to_do: str = "", *, found_in_data: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.what_to_do = what_to_do
        self.found_in_data = found_in_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One metric of an analysis."""

    metric: Metric
    outcome: str
    """The outcome counted or summed; the numerator of a ratio."""
    per: str | None = None
    """The denominator of a ratio: an outcome's name, or `exposures`."""
    covariate: str | None = None
    """A column of the exposures, or else an outcome summed *before* the unit's first exposure."""
    cap: float | None = None
    """Values beyond ± this count as this."""
    only: str | None = None
    """A column of the exposures: units count from their first exposure where it is true, and others not at all."""

    @property
    def role(self) -> str:
        """With a margin the question is whether an arm is no worse than it, without one whether it is better."""
        return "goal" if self.metric.guardrail is None else "guardrail"


def read_metric(text: str, *, window: float | None = None) -> Asked:
    """`NAME:rate|mean|count|ratio|quantile[:q][:higher|lower][:margin][:per=…][:covariate=…][:cap=…][:only=…]`."""
    name, *rest = text.split(":")
    if not name.strip() or not rest:
        raise AnalysisError(f"--metric {text}: expected {FORM}")
    try:
        kind = Kind(rest[0])
    except ValueError:
        near = nearest(rest[0], [str(k) for k in Kind])
        hint = f"; did you mean {near}?" if near else ""
        raise AnalysisError(f"--metric {text}: there is no kind {rest[0]!r}{hint}", f"allowed: {_kinds()}") from None
    read = _Words(text, kind)
    for word in rest[1:]:
        read.take(word)
    read.check()
    outcome, per = name, read.options.get("per")
    if kind is Kind.RATIO and per is None:
        outcome, slash, below = name.partition("/")
        per = below if slash and below else EXPOSURES
    only = read.options.get("only")
    cap = read.options.get("cap")
    metric = Metric(
        # The same metric may be asked of all units and of some.
        name=name if only is None else f"{name} where {only}",
        source=Source.OUTCOME,
        kind=kind,
        better=read.better or Better.HIGHER,
        q=(read.q if read.q is not None else 0.5) if kind is Kind.QUANTILE else None,
        window=window,
        outcome=outcome,
        per=per if kind is Kind.RATIO else None,
        guardrail=read.margin,
        # What is counted is never below 0, and so the cap is a bound on both sides.
        cap=float(cap) if cap is not None and kind is Kind.COUNT else None,
    )
    return Asked(
        metric=metric,
        outcome=outcome,
        per=metric.per,
        covariate=read.options.get("covariate"),
        cap=None if cap is None else float(cap),
        only=only,
    )


class _Words:
    """The words after the kind, each recognised by its form."""

    def __init__(self, text: str, kind: Kind) -> None:
        self._text = text
        self._kind = kind
        self.q: float | None = None
        self.better: Better | None = None
        self.margin: Margin | None = None
        self.options: dict[str, str] = {}

    def take(self, word: str) -> None:
        key, equals, value = word.partition("=")
        plain = _number(word)
        if equals:
            self._option(key, value)
        elif word in (Better.HIGHER, Better.LOWER):
            self._once(self.better, "direction")
            self.better = Better(word)
        elif self._kind is Kind.QUANTILE and self.q is None and self.margin is None and plain is not None:
            if not 0.0 < plain < 1.0:
                raise self._wrong(word, "expected a quantile between 0 and 1, such as 0.95")
            self.q = plain
        elif word:
            self._once(self.margin, "margin")
            self.margin = self._margin(word, plain)

    def check(self) -> None:
        if self.options.get("cap") is not None and self._kind not in (Kind.MEAN, Kind.COUNT):
            raise self._wrong("cap", "only means and counts can be capped")
        if self.options.get("covariate") is not None and self._kind not in (Kind.MEAN, Kind.COUNT):
            raise self._wrong("covariate", "only means and counts can be adjusted for a covariate")
        if self.options.get("per") is not None and self._kind is not Kind.RATIO:
            raise self._wrong("per", "only a ratio has a denominator")
        margin = self.margin
        if margin is None:
            return
        if self._kind is Kind.RATE and not margin.relative and margin.value >= 1.0:
            raise self._wrong(f"{margin.value:g}", "a rate lies between 0 and 1: expected a margin such as 0.5pp or 2%")
        if margin.relative and margin.value >= 1.0 and self.better is not Better.LOWER:
            raise self._wrong(f"{100 * margin.value:g}%", "nothing could be worse by all of the baseline's value")

    def _option(self, key: str, value: str) -> None:
        if key not in OPTIONS:
            near = nearest(key, OPTIONS)
            raise self._wrong(f"{key}=", f"allowed: {listed(f'{o}=' for o in OPTIONS)}", near=near and f"{near}=")
        if not value:
            raise self._wrong(f"{key}=", "a value must follow")
        if key == "cap" and not ((cap := _number(value)) and cap > 0.0):
            raise self._wrong(f"cap={value}", "expected a number above 0, in the metric's own units")
        self.options[key] = value

    def _margin(self, word: str, plain: float | None) -> Margin:
        try:
            margin = MARGIN.read(word if plain is None else plain)
        except Wrong as wrong:
            near = wrong.near or nearest(word, ["higher", "lower"])
            raise self._wrong(word, f"expected higher, lower or {MARGIN.expected}", near=near) from None
        assert isinstance(margin, Margin)
        return margin

    def _once(self, have: object, what: str) -> None:
        if have is not None:
            raise AnalysisError(f"--metric {self._text}: a second {what}; one is allowed")

    def _wrong(self, found: str, allowed: str, *, near: str | None = None) -> AnalysisError:
        hint = f"; did you mean {near}?" if near else ""
        return AnalysisError(f"--metric {self._text}: {found!r} cannot be used{hint}", allowed)


def read_expected(text: str) -> dict[str, float]:
    """`v1=0.5,v2=0.5` or `v1=90%,v2=10%`: the share of units each arm was to get."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        arm, equals, share = part.strip().rpartition("=")
        value = _number(share.removesuffix("%"))
        if not equals or not arm or value is None or value <= 0.0:
            raise AnalysisError(
                f"--expected {text}: found {part.strip()!r}", "expected ARM=share,…, such as v1=50%,v2=50%"
            )
        shares[arm] = value / 100.0 if share.endswith("%") else value
    return check_expected(shares)


def check_expected(shares: Mapping[str, float]) -> dict[str, float]:
    """The same shares, once they are known to be a whole."""
    total = sum(shares.values())
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise AnalysisError(
            f"--expected: the shares sum to {total:.6g}",
            "name every arm of the experiment; together they are 1 (100 %)",
        )
    return {arm: share / total for arm, share in shares.items()}


def read_window(text: str | None) -> float | None:
    """Seconds of a duration such as `24h`."""
    if text is None:
        return None
    word = duration()
    try:
        return float(word.read(text))
    except Wrong as wrong:
        hint = f"; did you mean {wrong.near}?" if wrong.near else ""
        raise AnalysisError(f"--window {text}: not a duration{hint}", f"expected {word.expected}") from None


def choose_baseline(arms: Sequence[str], baseline: str | None) -> str:
    """The arm that others are compared with, or why it cannot be told."""
    if baseline is None:
        known = [arm for arm in arms if arm.lower() in ("control", "champion", "baseline")]
        if len(known) != 1:
            raise AnalysisError(f"no baseline was named; the arms are {listed(arms)}", "name one with --baseline ARM")
        return known[0]
    if baseline not in arms:
        near = nearest(baseline, list(arms))
        hint = f"; did you mean {near}?" if near else ""
        raise AnalysisError(f"there is no arm {baseline!r}{hint}", f"the arms are {listed(arms)}")
    return baseline


def _kinds() -> str:
    return listed(str(kind) for kind in Kind)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
