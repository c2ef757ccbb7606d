"""Drift as people see it: one sentence, whose it is, and the fields that changed with how far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

from crossfade.judge.drift.causes import causes
from crossfade.judge.drift.counts import Counts
from crossfade.judge.drift.family import needed
from crossfade.judge.drift.watch import Change
from crossfade.spec.model import Drift, Rollout
from crossfade.view.words import duration, percent

MOST_FIELDS = 40
"""Fields that the record tells of, those that changed first."""

SOUGHT = ("feed", "world", "model", "unclear")
"""Causes that say something has been found."""

SHAPES = {"feed": "?", "world": "●", "model": "▲", "unclear": "?", "none": "◆", "unmeasured": "?"}


def drift_unread(drift: Drift, reason: str) -> dict[str, Any]:
    """The record where there is nothing to go by."""
    sentence = f"Drift is not measured: {reason}."
    return {
        "cause": "unmeasured",
        "arm": None,
        "sentence": sentence,
        "findings": [{"cause": "unmeasured", "arm": None, "sentence": sentence}],
        "reference": drift.reference,
        "sample": drift.sample,
        "alpha": None,
        "fields": [],
        "left_out": 0,
    }


def drift_record(rollout: Rollout, drift: Drift, changes: Sequence[Change]) -> dict[str, Any]:
    """What was found, the headline first; fields that changed before those that did not."""
    found = causes(changes, rollout.alpha)
    limit = needed(changes, rollout.alpha)
    ordered = sorted(
        changes, key=lambda one: (not one.changed(limit), not one.measured, -one.beyond, one.field, one.arm)
    )
    return {
        "cause": found[0].cause,
        "arm": found[0].arm or None,
        "sentence": found[0].sentence,
        "findings": [{"cause": one.cause, "arm": one.arm or None, "sentence": one.sentence} for one in found],
        "reference": drift.reference,
        "sample": drift.sample,
        "alpha": rollout.alpha,
        "fields": [_field(change, limit) for change in ordered[:MOST_FIELDS]],
        "left_out": max(len(ordered) - MOST_FIELDS, 0),
    }


def about(record: Mapping[str, Any]) -> str:
    """What was compared with what."""
    share = percent(record["sample"])
    said = f"{share} of requests are counted, the first {duration(record['reference'])} of each arm are the reference."
    if record["alpha"] is None:
        return said
    return f"{said} All fields together call a change where there is none with at most {percent(record['alpha'])}."


def _field(change: Change, limit: float) -> dict[str, Any]:
    changed = change.changed(limit)
    return {
        "side": change.side,
        "field": change.field,
        "arm": change.arm or None,
        "measured": change.measured,
        "reason": change.reason,
        "changed": changed,
        "what": _what(change) if changed else "",
        "since": change.since if changed and change.side != "outcome" else None,
        "e_value": None if not change.measured or change.log_e > 700.0 else exp(change.log_e),
        "needed": exp(limit),
        "psi": change.psi,
        "psi_by_chance": change.psi_chance,
        "ks": change.ks,
        "wasserstein": change.wasserstein,
        "jensen_shannon": change.jensen_shannon,
        "then": _counts(change.then),
        "now": _counts(change.now),
    }


def _counts(counts: Counts | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    return {
        "requests": counts.asked,
        "missing": counts.missing_share,
        "mean": counts.mean,
        "sd": counts.sd,
        "names": dict(counts.names.most_common(5)) if not counts.numbers else {},
    }


def _what(change: Change) -> str:
    """By how much, in the plainest terms there are."""
    then, now = change.then, change.now
    share = percent(change.broken_share)
    match change.broken:
        case "missing":
            return f"missing {percent(then.missing_share if then else None)} → {share}"
        case "constant":
            return f"one value in {share}"
        case "unseen":
            return f"values never seen before in {share}"
        case "nested":
            return f"a list or an object in {share}"
        case "new":
            return f"a field that was not there, in {share}"
    if then is None or now is None:
        return ""
    if change.side == "outcome" and then.names:
        return f"{percent(_rate(then))} → {percent(_rate(now))}"
    if then.mean is not None and now.mean is not None and then.numbers > then.names.total():
        moved = f" ({(now.mean - then.mean) / then.sd:+.2g} sd)" if then.sd else ""
        return f"mean {then.mean:.4g} → {now.mean:.4g}{moved}"
    return _shift(then, now)


def _rate(counts: Counts) -> float | None:
    return counts.names["event"] / counts.asked if counts.asked else None


def _shift(then: Counts, now: Counts) -> str:
    """The name whose share moved most."""
    names = sorted({*then.names, *now.names})
    if not names:
        return "texts too long to be told apart" if now.others else ""
    before, after = max(then.names.total(), 1), max(now.names.total(), 1)
    most = max(names, key=lambda name: abs(now.names[name] / after - then.names[name] / before))
    return f"{most} {percent(then.names[most] / before)} → {percent(now.names[most] / after)}"
