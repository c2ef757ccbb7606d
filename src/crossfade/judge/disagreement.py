"""Fields of two models' replies: which differ more often than the champion differs from itself, of all that were seen.

Each field is a paired question: +1 where the challenger differs from the champion, −1 where the champion differs from
its own second answer. A search over many fields finds something by luck alone, so that verdicts are given by the e-BH
procedure (Wang and Ramdas, 2022): of the fields called harmful a share of at most alpha is expected to be wrong,
however the fields depend on each other and whenever one looks. Intervals are widened to match (e-BY): they exclude the
margin exactly where the verdict says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.judge.infer import infer
from crossfade.judge.moments import PairedMoments
from crossfade.spec.model import Better, Kind, Margin, Metric, Source

ANY = "any field"
"""The question whether replies differ at all, beside those about single fields."""

CATASTROPHIC = "catastrophic"
"""The question whether replies are such that callers cannot work with them; its margin is nothing."""

MOST_FIELDS = 2000
"""Fields that are told apart. Replies whose keys are data (ids, dates) would have no end of them."""

CONTROL = "e-BH over fields; intervals at the matching e-BY level"


@dataclass(slots=True, kw_only=True)
class Counts:
    """How often one field differed. `twice` speaks of the pairs for which the champion answered twice."""

    differing: int = 0
    noisy: int = 0
    """Of `twice`: the champion differed from itself."""
    plus: int = 0
    """Of `twice`: only the challenger differed."""
    minus: int = 0
    """Of `twice`: only the champion's second answer differed."""
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, differs: bool, noisy: bool | None, kind: str = "") -> None:
        """One pair; `noisy` is None where the champion answered once."""
        if differs:
            self.differing += 1
            self.kinds[kind] += 1
        if noisy is not None:
            self.noisy += noisy
            self.plus += differs and not noisy
            self.minus += noisy and not differs


@dataclass(slots=True, kw_only=True)
class Tally:
    """Everything counted so far, one pair after the other."""

    pairs: int = 0
    twice: int = 0
    """Pairs for which the champion answered twice."""
    fields: dict[str, Counts] = field(default_factory=dict)
    any: Counts = field(default_factory=Counts)
    catastrophic: Counts = field(default_factory=Counts)
    left_out: int = 0
    """Times that a field beyond the first 2,000 differed; it still counts for `any`."""
    quiet: int = 0
    """Fields that were looked at and never differed, where only their number is known. They belong to the search."""

    def seen(self, paths: Iterable[str]) -> None:
        """Fields that were there to be compared, whether they differed or not."""
        known = self.fields
        for path in paths:
            if path not in known and len(known) < MOST_FIELDS:
                known[path] = Counts()

    def add(
        self,
        differing: Mapping[str, str],
        noisy: Mapping[str, str] | None = None,
        *,
        muted: Iterable[str] = (),
        catastrophic: Sequence[str] = (),
        noise_catastrophic: bool = False,
    ) -> None:
        """One pair: field → kind where challenger and champion differ, and where the champion and its second answer do.

        `muted` fields count for themselves alone; `catastrophic` are the kinds, if any, that this reply showed.
        """
        self.pairs += 1
        self.twice += noisy is not None
        mute = frozenset(muted)
        places = differing if not noisy else {**noisy, **differing}
        for path in places:
            counts = self.fields.get(path)
            if counts is None:
                if len(self.fields) >= MOST_FIELDS:
                    self.left_out += 1
                    continue
                counts = self.fields[path] = Counts()
            kind = differing.get(path)
            counts.add(kind is not None, None if noisy is None else path in noisy, kind or "")
        loud = [path for path in differing if path not in mute]
        noise = None if noisy is None else any(path not in mute for path in noisy)
        self.any.add(bool(loud), noise, "any")
        worst = catastrophic[0] if catastrophic else ""
        self.catastrophic.add(bool(catastrophic), None if noisy is None else noise_catastrophic, worst)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict on one field, with the numbers it rests on. Rates are shares of pairs."""

    path: str
    kind: str | None
    """The commonest way to differ; None where it never did."""
    kinds: Mapping[str, int]
    pairs: int
    differing: int
    rate: float | None
    lower: float | None
    upper: float | None
    """Always-valid interval of the rate."""
    noise: float | None
    """How often the champion differs from itself; None where that was not measured."""
    excess: float | None
    """Rate beyond the champion's own, over the pairs it answered twice; the rate itself where it never did."""
    excess_lower: float | None
    excess_upper: float | None
    margin: float
    e_value: float | None
    """Evidence that the excess is above the margin."""
    e_value_safe: float | None
    confidence: float
    """1 − alpha of the lower end, after the correction for many fields."""
    confidence_safe: float
    verdict: Verdict
    reason: str = ""
    muted: str | None = None
    """Why it does not count."""

    def to_json(self) -> dict[str, Any]:
        """The record that other programs read."""
        names = (name for one in Judged.__mro__ for name in getattr(one, "__slots__", ()))
        record = {name: getattr(self, name) for name in names}
        return {**record, "kinds": dict(self.kinds), "verdict": str(self.verdict)}


def e_bh(e_values: Sequence[float | None], alpha: float, more: int = 0) -> set[int]:
    """The positions that e-BH discovers: the largest k such that k e-values reach m / (alpha k).

    `more` questions were asked beside these and have nothing to show.
    """
    order = sorted((i for i, e in enumerate(e_values) if e is not None), key=lambda i: -(e_values[i] or 0.0))
    size = len(e_values) + more
    found = 0
    for k, i in enumerate(order, 1):
        if (e_values[i] or 0.0) * alpha * k >= size:
            found = k
    return set(order[:found])


def judge(tally: Tally, *, margin: float, alpha: float, muted: Mapping[str, str] | None = None) -> list[Judged]:
    """A verdict on every field seen, then on `ANY` and `CATASTROPHIC`; all of them one family of questions.

    Muted fields are measured and shown, each by itself, and belong to no family.
    """
    mute = muted or {}
    asked: list[tuple[str, Counts, float]] = [(path, counts, margin) for path, counts in sorted(tally.fields.items())]
    asked += [(ANY, tally.any, margin), (CATASTROPHIC, tally.catastrophic, 0.0)]
    family = [question for question in asked if question[0] not in mute]
    lines = [_evidence(tally, counts, limit, alpha, alpha) for _, counts, limit in family]
    harmful = e_bh([line.e_value for line in lines], alpha, tally.quiet)
    safe = e_bh([line.e_value_safe for line in lines], alpha, tally.quiet)
    size = max(len(family) + tally.quiet, 1)
    level = alpha * max(len(harmful), 1) / size, alpha * max(len(safe), 1) / size
    judged = {
        path: _judged(tally, path, counts, limit, level, None, (i in harmful, i in safe))
        for i, (path, counts, limit) in enumerate(family)
    }
    for path, counts, limit in asked:
        if path in mute:
            judged[path] = _judged(tally, path, counts, limit, (alpha, alpha), mute[path], None)
    return [judged[path] for path, _, _ in asked]


def _judged(
    tally: Tally,
    path: str,
    counts: Counts,
    margin: float,
    level: tuple[float, float],
    muted: str | None,
    said: tuple[bool, bool] | None,
) -> Judged:
    line = _evidence(tally, counts, margin, *level)
    verdict = line.verdict
    if said is not None and verdict is not Verdict.UNMEASURED:
        verdict = Verdict.HARMFUL if said[0] else Verdict.SAFE if said[1] else Verdict.UNDECIDED
    rate = _paired(counts.differing, 0, tally.pairs - counts.differing, margin, *level)
    return Judged(
        path=path,
        kind=counts.kinds.most_common(1)[0][0] if counts.kinds else None,
        kinds=counts.kinds,
        pairs=tally.pairs,
        differing=counts.differing,
        rate=counts.differing / tally.pairs if tally.pairs else None,
        lower=_share(rate.lower, 0.0),
        upper=_share(rate.upper, 1.0),
        noise=counts.noisy / tally.twice if tally.twice else None,
        excess=line.estimate,
        excess_lower=line.lower,
        excess_upper=line.upper,
        margin=margin,
        e_value=line.e_value,
        e_value_safe=line.e_value_safe,
        confidence=1.0 - level[0],
        confidence_safe=1.0 - level[1],
        verdict=verdict,
        reason=line.reason,
        muted=muted,
    )


def _share(end: float | None, none: float) -> float:
    return none if end is None else min(max(end, 0.0), 1.0)


def _evidence(tally: Tally, counts: Counts, margin: float, alpha_harm: float, alpha_safe: float) -> Evidence:
    if tally.twice:
        zero = tally.twice - counts.plus - counts.minus
        return _paired(counts.plus, counts.minus, zero, margin, alpha_harm, alpha_safe)
    return _paired(counts.differing, 0, tally.pairs - counts.differing, margin, alpha_harm, alpha_safe)


_DISAGREEMENT = Metric(name="disagreement", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER)


@lru_cache(maxsize=4096)
def _paired(plus: int, minus: int, zero: int, margin: float, alpha_harm: float, alpha_safe: float) -> Evidence:
    counted = [np.array([n], dtype=np.int64) for n in (0, plus, minus, zero)]
    return infer(
        _DISAGREEMENT,
        PairedMoments(bucket=counted[0], plus=counted[1], minus=counted[2], zero=counted[3]),
        role="gate",
        limit=Margin(value=margin, relative=False),
        arm="challenger",
        baseline="champion",
        stage="shadow",
        step=None,
        alpha_harm=alpha_harm,
        alpha_safe=alpha_safe,
    )
