"""What happened: the stored, versioned public contract between the request path and the evidence path.

Each fact is an array-encoded msgspec record with a one-letter tag. Compatibility rule: fields are only
ever added at the end, with a default, so that any later version reads yesterday's bytes.
Times are seconds since the epoch; latencies are milliseconds; shares are fractions in 0–1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

SCHEMA_VERSION = 1


class _Fact(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    pass


class Exposed(_Fact, frozen=True, tag="e"):
    """One request on a rollout's route was assigned and answered (or failed to be)."""

    rollout: str
    revision: str
    decision_id: str
    at: float
    """When the request arrived."""
    unit: str
    """Empty when the request named none; such requests are served by the champion and never analysed."""
    arm: str
    """The arm the unit was assigned to (intention to treat), whoever answered in the end."""
    served_by: str
    """The arm whose answer was delivered; empty when none was."""
    mode: str
    """`champion`, `shadow`, `canary`, `interleave`, `ab` or `promote`."""
    stage: int
    step: int
    weight: float
    """Share of units the challenger owned at that moment: the assignment probability."""
    status: int
    """HTTP status delivered; 0 when the client got none."""
    failed: bool
    """The *assigned arm* failed: error status, time-out, broken or invalid reply."""
    reason: str
    """Why it failed or why somebody else served: '', 'status', 'timeout', 'refused', 'broken', 'invalid', …; 'segment'
    where the champion served because the segment is kept on it."""
    latency_ms: float
    """The assigned arm's own latency; its deadline where it timed out."""
    total_ms: float
    """What the client waited."""
    size: int
    """Bytes of the delivered body."""
    segments: tuple[str, ...] = ()
    """Values of the spec's fields under `segments`, then of those under `explore`, in the spec's order; empty string
    where absent."""
    copied: bool = False
    """A copy was due to an arm that did not serve it, so that both answers may be set side by side in a fact
    `compared`; where there is none, nobody knows whether they differed."""


class Compared(_Fact, frozen=True, tag="c"):
    """A mirrored request: both arms' answers set side by side. Nobody saw one of them: in a shadow the challenger's, in
    a canary or an A/B test that of the arm which did not serve."""

    rollout: str
    revision: str
    decision_id: str
    at: float
    unit: str
    arm: str
    """The challenger compared with the champion."""
    stage: int
    champion_failed: bool
    challenger_failed: bool
    reason: str
    """Why the challenger failed: '', 'status', 'timeout', 'refused', 'broken', 'nan', 'shape', …"""
    differs: bool
    """The predictions differ; False when either failed."""
    noise_differs: bool | None
    """The champion differed from its own second answer; None when it was not asked twice."""
    champion_ms: float
    challenger_ms: float
    fields: tuple[str, ...] = ()
    """JSON paths that differed, at most eight; muted ones too, where there is room."""
    segments: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    """How each of `fields` differs: `value`, `order`, `length`, `missing`, `extra`, `type`, `shape`, `nan`, or
    `invalid` (not what the spec says the field holds)."""
    noise_fields: tuple[str, ...] = ()
    """JSON paths at which the champion differed from its own second answer, at most eight."""
    among: int = 0
    """How many fields the champion's reply has that could differ; 0 where none did, or nobody counted."""
    champion_numbers: tuple[float, ...] = ()
    """What the champion predicted, where the spec says where to read it: a value, a probability, or one for each class.
    Empty where it did not, or failed."""
    challenger_numbers: tuple[float, ...] = ()
    champion_names: tuple[str, ...] = ()
    """The class it predicted, the names of the classes with a probability, or the ids of a ranked list."""
    challenger_names: tuple[str, ...] = ()
    sizes: tuple[float, ...] = ()
    """How far apart the two are in each of `fields`, at the first place: numbers as a share of the larger one (0 to 2);
    −1 where there is no size."""
    champion_cost: float | None = None
    """What the champion's reply cost, as the `cost` of the spec says; None where none of that is known."""
    challenger_cost: float | None = None
    unmeasured: tuple[str, ...] = ()
    """Fields of which nobody knows whether they differ, because a function of the user's gave no answer: `path: why`,
    at most eight. They are not among `fields`, and do not count as differing."""
    served: str = ""
    """The arm that was asked for the user, in a canary or an A/B test; empty in a shadow, where the champion is."""


class Shown(_Fact, frozen=True, tag="s"):
    """An interleaved list was delivered: item ids in order, and which arm put each there."""

    rollout: str
    revision: str
    decision_id: str
    at: float
    unit: str
    stage: int
    method: str
    items: tuple[str, ...]
    owners: tuple[str, ...]
    """Arm name per slot; empty string for a slot nobody is credited for (pinned, or shared)."""
    excluded: str = ""
    """Why this list is not evidence ('' when it is): 'one-ranker', 'late', 'same', …"""
    segments: tuple[str, ...] = ()
    credits: tuple[int, ...] = ()
    """What engagement with each slot is worth to the challenger, in millionths of the most it can be worth (negative:
    to the champion), where the method gives more or less than whole credit to the slot's owner; else empty."""
    arm: str = ""
    """The challenger whose ranking was merged with the champion's, whoever owns the slots; '' in older facts."""


class Outcome(_Fact, frozen=True, tag="o"):
    """Something that happened later, reported through the control port."""

    outcome_id: str
    """Chosen by the reporter, or derived from the content, so that repeats are recognised."""
    rollout: str
    """Empty when joined by decision id."""
    decision_id: str
    unit: str
    name: str
    value: float
    item: str
    at: float
    """When it happened, as the reporter says."""
    received_at: float
    """When we acknowledged it."""
    corrects: str = ""
    """The `outcome_id` whose value this one replaces, of the same name and owner; empty where it is an event of its
    own. All else stays as the corrected one said: when it happened, when it was received, its item."""


class Dropped(_Fact, frozen=True, tag="d"):
    """Shadow copies that were not sent or not compared, counted since the last such fact."""

    rollout: str
    at: float
    worker: str
    reason: str
    count: int


class Lease(_Fact, frozen=True, tag="l"):
    """A gateway lost or regained the controller; without it only the champion serves."""

    at: float
    worker: str
    held: bool


class Fault(_Fact, frozen=True, tag="f"):
    """Something of ours went wrong: what, where, how often since the last such fact."""

    at: float
    worker: str
    rollout: str
    what: str
    detail: str
    count: int = 1


class Sketched(_Fact, frozen=True, tag="k"):
    """What one worker counted of one field of sampled requests, or of the replies to them, in one slice of time.

    Sketches of the same slice add up, number by number. No value is kept, only how often which occurred.
    """

    rollout: str
    revision: str
    at: float
    """When the slice began."""
    seconds: float
    """How long it was."""
    worker: str
    arm: str
    """The arm whose units asked (`input`), or which predicted (`output`)."""
    side: str
    """`input` or `output`."""
    field: str
    """The field as differences name it; empty for the requests as a whole."""
    n: int
    """Values counted, one a request: null and NaN included. Of the whole: requests read."""
    missing: int = 0
    """Null or NaN. Of the whole: requests drawn that could not be read."""
    total: float = 0.0
    """Sum of the numbers."""
    squares: float = 0.0
    """Sum of their squares."""
    bins: tuple[int, ...] = ()
    """Where the numbers lie: 32 bins to each power of two and sign (`bin_of`), in ascending order."""
    in_bins: tuple[int, ...] = ()
    """How many lie in each of `bins`."""
    names: tuple[str, ...] = ()
    """Texts by name where the spec lists the field, else one of 64 hashes as `#0` to `#63`; `true` and `false`. Of the
    whole: fingerprints of the fields that were there."""
    named: tuple[int, ...] = ()
    """How many of each of `names`."""
    others: int = 0
    """Texts beyond the names that are kept, and those too long to be a category."""
    nested: int = 0
    """Lists and objects where a single value was looked for."""


Fact = Exposed | Compared | Shown | Outcome | Dropped | Lease | Fault | Sketched

KINDS: dict[type[_Fact], str] = {
    Exposed: "exposed",
    Compared: "compared",
    Shown: "shown",
    Outcome: "outcome",
    Dropped: "dropped",
    Lease: "lease",
    Fault: "fault",
    Sketched: "sketched",
}
"""The name of each kind of fact: its table in the lake."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Fact])


def encode(facts: Sequence[Fact]) -> bytes:
    """A batch of facts as msgpack."""
    return _encoder.encode(facts)


def encode_one(fact: Fact) -> bytes:
    """One fact as msgpack, to be put into a batch by `join`."""
    return _encoder.encode(fact)


def join(encoded: Sequence[bytes]) -> bytes:
    """A batch of facts that are encoded already: the same bytes as `encode` gives."""
    count = len(encoded)
    if count < 16:
        head = bytes((0x90 | count,))
    elif count < 1 << 16:
        head = b"\xdc" + count.to_bytes(2, "big")
    else:
        head = b"\xdd" + count.to_bytes(4, "big")
    return head + b"".join(encoded)


def decode(data: bytes) -> list[Fact]:
    """The inverse of `encode`; raises msgspec.DecodeError on foreign bytes."""
    try:
        return _decoder.decode(data)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"a text in the facts is not UTF-8: {error}") from None


def by_kind(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    """Facts grouped by the name of their kind, order kept."""
    grouped: dict[str, list[Fact]] = {}
    for fact in facts:
        grouped.setdefault(KINDS[type(fact)], []).append(fact)
    return grouped


_FINEST = 1100
"""Added to a number's binary exponent, so that no bin but zero's own is 0."""


def bin_of(value: float) -> int:
    """The bin of `Sketched.bins` that a finite number lies in: the same for every worker, whatever the range."""
    if value == 0.0:
        return 0
    fraction, exponent = math.frexp(abs(value))
    place = (exponent + _FINEST) * 32 + int(fraction * 64.0) - 31
    return place if value > 0.0 else -place


def middle_of(place: int) -> float:
    """The number in the middle of a bin."""
    if place == 0:
        return 0.0
    exponent, part = divmod(abs(place) - 1, 32)
    return math.copysign(math.ldexp(0.5 + (part + 0.5) / 64.0, exponent - _FINEST), place)
