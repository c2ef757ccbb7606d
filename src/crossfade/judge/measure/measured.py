"""What one look at the facts found: moments per metric and arm, gates, progress and reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crossfade.judge.moments import Moments, PairedMoments


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A number that does not exist, and why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowed:
    """Where the units of the stage are in an outcome metric's window."""

    open: int
    """Units whose window is still open: what they have may still grow."""
    settled: int
    """Units that count."""
    late: int
    """Reports of what happened inside the window that were received after it had closed; they do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of the outcomes that a rollout's metrics ask for, over its whole life."""

    received: int
    """Those that are its own, each once."""
    corrected: int
    """Those of them whose value was replaced."""
    astray: int
    """Corrections whose original is not known (yet)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the stage has come, and what went missing on the way."""

    requests: int = 0
    mirrored: int = 0
    """Mirrored requests compared; of several challengers the one that has fewest."""
    pairs: Mapping[str, int] = field(default_factory=dict)
    """The same per challenger."""
    failed_pairs: Mapping[str, int] = field(default_factory=dict)
    """How many of them it failed, per challenger."""
    units: Mapping[str, int] = field(default_factory=dict)
    """Units exposed per arm in this stage."""
    step_units: Mapping[str, int] = field(default_factory=dict)
    """Units exposed per arm in the present step."""
    missing: int = 0
    """Requests that named no unit."""
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    """Requests per challenger in which it failed and somebody else answered."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Requests per arm in which the assigned arm failed."""
    unserved: int = 0
    """Requests that got no answer at all."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Shadow copies not compared, per reason."""
    lists: int = 0
    """Interleaved lists shown that may vote."""
    excluded: Mapping[str, int] = field(default_factory=dict)
    """Interleaved lists that are not evidence, per reason."""
    wins: int = 0
    """Interleaving: units that preferred the (first) challenger."""
    losses: int = 0
    ties: int = 0
    immature: Mapping[str, int] = field(default_factory=dict)
    """Per outcome metric: units whose window is still open."""
    windows: Mapping[str, Windowed] = field(default_factory=dict)
    """Per outcome metric that could be asked."""
    received: Received | None = None
    """None when not counted yet."""
    orphans: int | None = None
    """Outcomes of any rollout that name a decision nobody recorded; None when not counted yet."""
    early: int | None = None
    """The same, received so shortly ago that the record may be on its way."""
    faults: int | None = None
    """Mistakes and mishaps of ours in this stage."""
    lease_held: bool | None = None
    """Whether every worker that ever said so said last that it hears the controller; None when none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Who was touched over the whole rollout, per arm. Who was harmed is read from it."""

    units: Mapping[str, int] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    failed_units: Mapping[str, int] = field(default_factory=dict)
    """Units for which their arm failed at least once (they may still have got the champion's answer)."""
    failures: Mapping[str, int] = field(default_factory=dict)
    events: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(metric, arm) → units with an event of a rate metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggered:
    """Units of one arm whose requests are copied, and what became of them."""

    units: int
    differing: int
    """Those that came to a request at which the arms' answers are known to differ."""
    lost: int
    """Those left out, because of an earlier request of theirs nobody knows it."""
    requests: int
    """Requests of theirs that were to be copied."""
    compared: int
    """Those of which both answers were compared."""
    turned: int
    """Those whose answers differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggers:
    """What a look finds of units that came to differ; empty where no metric is about them."""

    arms: Mapping[str, Triggered] = field(default_factory=dict)
    assignment: Mapping[str, Moments | Absent] = field(default_factory=dict)
    """Challenger → units of it and of the champion that did."""


ABSENT = "absent"
"""How a segment's value is written that requests did not have."""

Key = tuple[str, str, str]
"""A metric or gate, a challenger, a segment's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One value of one field that is told apart."""

    field: str
    """As the spec writes it, such as `header:x-country`."""
    value: str
    """Empty where requests did not have the field."""
    place: int
    """0 for the first value of its field that had enough units."""
    units: int
    """Of all arms; in shadow, mirrored requests."""

    @property
    def name(self) -> str:
        """How lines of evidence call it: `header:x-country=DE`."""
        # Whoever really said "absent" is told apart from those who said nothing.
        value = f'"{ABSENT}"' if self.value == ABSENT else self.value or ABSENT
        return f"{self.field}={value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmented:
    """What one look found of segments; empty where the spec declares none."""

    segments: tuple[Segment, ...] = ()
    """In the order of the spec's fields and of their places."""
    others: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Field → units whose value is not told apart, and how many such values there are."""
    metrics: Mapping[Key, Moments | Absent] = field(default_factory=dict)
    """Moments of the segment's units against the champion's of that segment."""
    gates: Mapping[Key, Moments | Absent] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One look: everything the judge needs, and the versions of the fact tables it was computed from."""

    rollout: str
    stage: int
    step: int
    mode: str
    since: float
    now: float
    facts: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[tuple[str, str], Moments | Absent] = field(default_factory=dict)
    """(metric, challenger) → its moments against the champion."""
    gates: Mapping[tuple[str, str], PairedMoments | Absent] = field(default_factory=dict)
    """(`disagreement`, `catastrophic` or `preference`, challenger) → signed differences."""
    slices: Mapping[tuple[str, str], Moments | Absent] = field(default_factory=dict)
    """After promotion: (metric, challenger) → the same by slice of time, where its moments do not tell that."""
    assignment: Mapping[str, Moments | Absent] = field(default_factory=dict)
    """Challenger → units of it and of the champion, where the stage compares groups of units."""
    progress: Progress = Progress()
    reach: Reach = Reach()
    segments: Segmented = Segmented()
    triggers: Triggers = Triggers()
