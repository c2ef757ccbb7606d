"""What became of outcomes, as people see it: how many were received, repeated, late, early, corrected or lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crossfade.spec.model import Metric, Rollout, Source
from crossfade.view.words import duration, percent, whole

if TYPE_CHECKING:
    from crossfade.judge.measure.measured import Progress, Windowed

WORDS: Mapping[str, tuple[str, str]] = {
    "received": ("received", "outcomes of this rollout that its metrics ask for, each once"),
    "duplicates": ("duplicate", "the same id with the same content again: not kept again"),
    "contradictions": ("contradicting", "an id that came again with other content: refused, the first report stands"),
    "late": (
        "late",
        "happened inside the window of a unit of this stage, but arrived after it had closed: not counted",
    ),
    "early": ("early", "name a decision that is not recorded yet: waiting for it, and counted once it is"),
    "corrected": ("corrected", "their value was replaced: the corrected one counts"),
    "astray": ("correcting nothing", "corrections of an outcome that is not known: waiting for it"),
    "orphans": ("orphan", "name a decision that nobody recorded: not counted"),
}
"""Each count's word and what it means. Early ones and orphans are every rollout's: nobody knows whose they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeCounts:
    """How many outcomes there were of each sort; None where that could not be counted."""

    received: int | None = None
    duplicates: int | None = None
    contradictions: int | None = None
    late: int | None = None
    early: int | None = None
    corrected: int | None = None
    astray: int | None = None
    orphans: int | None = None
    windows: Mapping[str, Windowed] = field(default_factory=dict)
    """Per outcome metric that is measured in the present stage."""


def outcome_counts(
    rollout: Rollout, progress: Progress, duplicates: int | None, contradictions: int | None
) -> OutcomeCounts:
    """From what a look found, and from what the inbox has counted."""
    seen = progress.received
    return OutcomeCounts(
        received=seen.received if seen else None,
        duplicates=duplicates,
        contradictions=contradictions,
        late=_late(rollout, progress.windows),
        early=progress.early,
        corrected=seen.corrected if seen else None,
        astray=seen.astray if seen else None,
        orphans=progress.orphans,
        windows=progress.windows,
    )


def _late(rollout: Rollout, windows: Mapping[str, Windowed]) -> int | None:
    """Each outcome once, however many metrics ask for it: what is late for the one that waits longest is for all."""
    longest: dict[str, Metric] = {}
    for metric in rollout.metrics:
        name = metric.outcome or metric.name
        if metric.name in windows and (name not in longest or metric.horizon > longest[name].horizon):
            longest[name] = metric
    return sum(windows[metric.name].late for metric in longest.values()) if longest else None


def outcomes_record(rollout: Rollout, counts: OutcomeCounts | None) -> dict[str, Any] | None:
    """The counts with their words; None where no metric asks for outcomes."""
    asked = [metric for metric in rollout.metrics if metric.source is Source.OUTCOME]
    if not asked:
        return None
    told = counts or OutcomeCounts()
    return {
        **{key: getattr(told, key) for key in WORDS},
        "windows": {metric.name: _window(metric, told.windows.get(metric.name)) for metric in asked},
    }


def _window(metric: Metric, seen: Windowed | None) -> dict[str, Any]:
    units = seen.open + seen.settled if seen else 0
    share = seen.open / units if seen and units else None
    wait = f" and {duration(metric.arrives_within)} to arrive" if metric.arrives_within else ""
    if seen is None:
        text = "not measured in this stage"
    elif share is None:
        text = "no unit yet"
    elif not seen.open:
        text = f"all {whole(units)} units count: their window of {duration(metric.window)}{wait} is over"
    else:
        text = (
            f"{percent(share)} of units do not count yet ({whole(seen.open)} of {whole(units)}): "
            f"their window of {duration(metric.window)}{wait} is open"
        )
    return {
        "window": metric.window,
        "arrives_within": metric.arrives_within,
        "open": seen.open if seen else None,
        "settled": seen.settled if seen else None,
        "immature": share,
        "late": seen.late if seen else None,
        "text": text,
    }


def outcomes_in_words(record: Mapping[str, Any]) -> str:
    """The counts in one line: those received, and whatever else there was."""
    told = [f"{whole(record['received'])} received"]
    told += [f"{whole(record[key])} {word}" for key, (word, _) in WORDS.items() if key != "received" and record[key]]
    return " · ".join(told)
