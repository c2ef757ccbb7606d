"""The shapes of the control port's JSON, for its OpenAPI document and for those who generate clients from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from crossfade.spec.check_compare import FIELD

_SEEN = r"\p{L}\p{N}\p{P}\p{S}"

SEEN = f"[{_SEEN}]"
"""A character that people see: what is made of others is as good as empty."""

Phase = Literal["pending", "running", "held", "rolled_back", "promoted", "finished"]


class Open(BaseModel):
    """A record that may grow: readers must ignore what they do not know."""

    model_config = ConfigDict(extra="allow")


class Problem(BaseModel):
    """Every error, whatever its status."""

    error: str = Field(description="What was wrong, where, and what is allowed.")
    what_to_do: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": "cannot resume a rollout that is running; allowed now: advance, hold, rollback, promote",
                    "what_to_do": "GET the rollout to see where it stands, then ask for a move it allows",
                }
            ]
        }
    )


class Rejected(BaseModel):
    """One outcome that was not kept, and why."""

    index: int = Field(description="Place in the array, or among the lines that are not empty, counted from 0.")
    problem: str


class Taken(BaseModel):
    """What became of a batch of outcomes; given only once it is on the disk."""

    accepted: int
    duplicates: int = Field(description="Known already by their outcome_id.")
    rejected: list[Rejected]


class OutcomeIn(BaseModel):
    """Something that happened after a reply. Name a decision_id, or a rollout and a unit."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=512, description="The outcome that a metric in the spec asks for.")
    outcome_id: str = Field("", max_length=512, description="Repeats are recognised by it; derived if left out.")
    decision_id: str = Field("", max_length=512, description="The reply's x-crossfade-decision header.")
    rollout: str = Field("", max_length=512)
    unit: str = Field("", max_length=512)
    value: float = Field(1.0, ge=-1e15, le=1e15)
    item: str = Field("", max_length=512, description="For ranked lists: the item it is about.")
    at: float | str | None = Field(None, description="Seconds since the epoch, or RFC 3339; now if left out.")
    corrects: str = Field(
        "",
        max_length=512,
        description="The outcome_id, of the same name and owner, whose value this one replaces; it needs a value.",
    )


class Exposure(Open):
    """How much of the traffic the challenger owns."""

    planned: float | None
    actual: float | None
    units: dict[str, int]


class EvidenceRecord(Open):
    """One metric of one arm against its baseline; numbers are in the metric's own units, null where absent."""

    metric: str
    kind: str
    arm: str
    baseline: str
    stage: str
    step: int | None
    segment: str | None
    units: dict[str, int]
    estimate: float | None
    lower: float | None
    upper: float | None
    confidence: float
    e_value: float | None
    limit: float | None
    verdict: Literal["safe", "harmful", "undecided", "unmeasured"]
    reason: str
    window: float | None
    assumptions: list[str]


class DecisionRecord(Open):
    """One move in the ledger."""

    n: int
    at: float
    move: str | None
    rule: str
    reason: str
    actor: str


class RolloutRecord(Open):
    """One rollout as people see it: the record behind terminal and page."""

    name: str
    revision: str
    phase: Phase
    stage: str | None
    step: int | None
    exposure: Exposure
    sentence: str
    evidence: list[EvidenceRecord]
    decisions: list[DecisionRecord]
    arms: dict[str, dict[str, Any]]
    harm: dict[str, Any]
    approval: dict[str, Any] | None = Field(
        None,
        description="Whose approval the next stage needs, who has given it, whether it is waited for, and the digest "
        "of the evidence that would be approved; null where evidence alone decides.",
    )
    outcomes: dict[str, Any] | None = Field(
        None,
        description="How many outcomes were received, duplicate, contradicting, late, early, corrected or orphan, and "
        "per metric the units whose window is still open; null where no metric asks for outcomes.",
    )
    drift: dict[str, Any] | None = Field(
        None,
        description="Whether inputs, predictions and outcomes are as in the reference, and whose the change is; null "
        "where the spec does not ask for it.",
    )
    router: dict[str, Any] | None = Field(
        None,
        description="What the router that carries the rollout was told and was read to do, since when both agree, and "
        "what it cannot promise; null where Crossfade's gateway carries it, or nobody has looked yet.",
    )


class Status(Open):
    """Every rollout."""

    record: str = Field(alias="schema", examples=["crossfade.status/1"])
    rollouts: list[RolloutRecord]


class EvidenceOf(Open):
    """The evidence of one rollout, goal first."""

    name: str
    evidence: list[EvidenceRecord]


class ExposureOf(Open):
    """The exposure of one rollout: the plan, what was seen, and who served."""

    name: str
    exposure: Exposure
    stages: list[dict[str, Any]]
    arms: dict[str, dict[str, Any]]


class EntryRecord(Open):
    """One link of the ledger's chain."""

    n: int
    at: float
    kind: str
    rule: str
    move: str | None
    actor: str
    sentence: str
    previous: str
    hash: str


class LedgerOf(Open):
    """The whole ledger of one rollout, and whether its chain holds."""

    name: str
    intact: bool
    first_broken: int | None
    entries: list[EntryRecord]


class NotAvailable(Open):
    """Something that was not computed: said, not shown as nothing found."""

    name: str
    available: bool
    reason: str


class SegmentField(Open):
    """One declared field: the values that are judged, in the order in which they had enough units, and the rest."""

    field: str
    values: list[dict[str, Any]]
    others: dict[str, int]
    """How many `units` have one of so many other `values`."""


class SegmentsOf(Open):
    """What is known of the segments that the spec declares; or why nothing is."""

    name: str
    available: bool
    reason: str
    fields: list[SegmentField]
    evidence: list[EvidenceRecord]
    found: dict[str, Any] | None = Field(
        default=None, description="What was found in groups that nobody declared: exploratory, it moves nothing."
    )


class DifferencesOf(Open):
    """Where the replies of mirrored requests differ, by challenger; or why that is not known."""

    name: str
    available: bool
    reason: str
    arms: list[dict[str, Any]]
    """The record of `crossfade compare` for each challenger: pairs, disagreement, catastrophic, fields, examples."""
    found: dict[str, Any] = Field(
        description="What was found in groups that nobody declared: exploratory, it moves nothing."
    )


class ListsOf(Open):
    """Interleaved lists of one rollout, by challenger; or why there are none."""

    name: str
    available: bool
    reason: str
    method: str | None
    arms: list[dict[str, Any]]


class DriftField(Open):
    """One field of requests, replies or outcomes; null where a number does not exist."""

    side: Literal["input", "output", "outcome"]
    field: str
    arm: str | None = Field(description="Null: all arms together.")
    measured: bool
    reason: str
    changed: bool
    what: str = Field(description="How it changed, in words; empty where it did not.")
    since: float | None
    e_value: float | None
    needed: float = Field(description="The e-value from which on a change is proven.")
    psi: float | None
    psi_by_chance: float | None = Field(description="What the index is on average where nothing has changed.")
    ks: float | None
    wasserstein: float | None = Field(description="In standard deviations of the reference.")
    jensen_shannon: float | None = Field(description="In bits.")


class DriftRecord(Open):
    """What has drifted, and whose it is."""

    cause: Literal["feed", "world", "model", "unclear", "none", "unmeasured"]
    arm: str | None = Field(description="The arm that changed, where one is named.")
    sentence: str
    findings: list[dict[str, Any]]
    fields: list[DriftField]


class DriftOf(Open):
    """The drift of one rollout, or why it is not known."""

    name: str
    available: bool
    reason: str
    drift: DriftRecord | None


class ExamplesOf(Open):
    """Mirrored pairs that differ, with their replies as they were kept."""

    name: str
    examples: list[dict[str, Any]]


class Judged(BaseModel):
    """One word on a rollout, for tools that own the traffic."""

    schema_: Literal["crossfade.judged/1"] = Field(alias="schema")
    name: str
    revision: str
    answer: Literal["go", "wait", "stop", "unknown"] = Field(description="What a tool that owns the traffic should do.")
    verdict: Literal["safe", "harmful", "undecided", "unmeasured"] = Field(description="What it rests on.")
    reason: str
    phase: Phase
    stage: str | None
    step: int | None
    planned: float | None = Field(description="Share (0–1) of units that the plan gives the challenger now.")
    at: float = Field(description="When it was measured, in seconds since the epoch.")
    metrics: dict[str, str] = Field(description="Each metric's verdict; the worst of several challengers'.")


class FlaggerIn(BaseModel):
    """What Flagger posts to a webhook."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "name": "ranker",
                    "namespace": "models",
                    "phase": "Progressing",
                    "checksum": "85d557f47b",
                    "metadata": {},
                }
            ]
        },
    )

    name: str = Field(max_length=300, description="The canary's.")
    namespace: str = Field(max_length=300)
    phase: str = Field(max_length=100, description="Of the canary, such as Progressing.")
    checksum: str = Field("", max_length=300)
    metadata: dict[str, str] | None = Field(
        None, description="`token` to read by; `metric` (names apart by commas) and `weight` (percent) as for Argo."
    )


class MoveIn(BaseModel):
    """A person's move."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "the feed is broken"}]})

    reason: str = Field(pattern=SEEN, max_length=2000, description="Why; others will read it in the ledger.")
    actor: str = Field(
        "operator",
        pattern=f"^{SEEN}(?:[{_SEEN} ]*{SEEN})?$",
        max_length=200,
        description="Who moves it; `rule` is the rules' own name.",
        json_schema_extra={"not": {"const": "rule"}},
    )


class CalibrationOf(Open):
    """Calibration of both models' probabilities, by challenger."""

    name: str
    available: bool
    reason: str
    arms: list[dict[str, Any]]


class MuteIn(MoveIn):
    """A person's word on whether differences of a field count."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"field": "$.took_ms", "reason": "a time, never the same"}]}
    )

    field: str = Field(
        pattern=f"^(?:{FIELD.pattern})$",
        min_length=1,
        max_length=500,
        description="The field as `differences` names it, such as $.took_ms or $.rows[*].id; those below it as well.",
    )


class ExcludeIn(MoveIn):
    """A person's word on whether a segment stays on the champion."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"segment": "header:x-country=DE", "reason": "the law there changed"}]},
    )

    segment: str = Field(
        min_length=1, max_length=500, description="FIELD=VALUE with a field that the spec declares in `segments`."
    )


class ApproveIn(MoveIn):
    """A person's word that a rollout may go on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "read the dossier"}]})

    shown: str | None = Field(
        None,
        min_length=8,
        max_length=64,
        description="How the digest of the verdicts begins that they looked at (`approval.shown`); refused if it has "
        "changed. Left out, they approve what was shown last.",
    )


class Check(Open):
    """One condition of being ready."""

    ok: bool
    reason: str


class Ready(Open):
    """Whether traffic may be sent and will be judged."""

    ready: bool
    checks: dict[str, Check]


class Alive(BaseModel):
    """The control port answers."""

    status: Literal["alive"]
