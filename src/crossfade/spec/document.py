"""What people write: the spec as pydantic models, whose field descriptions become the published JSON Schema.

Every key here means something in `spec.model`; there is no key that is read and not used. Reading a `Node` never
raises: what is wrong is reported at its place and becomes `UNKNOWN`, so that everything else can still be checked.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from crossfade.spec import measures, words
from crossfade.spec.costs import Costs
from crossfade.spec.document_compare import ComparisonDocument, ExamplesDocument
from crossfade.spec.document_drift import DriftDocument
from crossfade.spec.document_notify import NotifyDocument, RegistryDocument
from crossfade.spec.document_router import RouterDocument
from crossfade.spec.document_stages import StageDocument
from crossfade.spec.measures import Duration
from crossfade.spec.model import KEEP_FACTS, Better, Kind, Margin, OnSegmentHarm, Protocol, Source
from crossfade.spec.source import UNKNOWN, Node, Unknown
from crossfade.spec.words import Covariate, FieldName, JsonPath, Name, ParameterName
from crossfade.spec.written import Written

ModelName = Annotated[str, words.text("a model's name, without spaces or '/'", r"[^\s/?#\x00-\x1f\x7f]+")]


class ProbeDocument(Written):
    """How gateways ask an arm whether it is well, apart from users' requests."""

    what: ClassVar[str] = "a probe such as {path: /v2/health/ready, every: 5s}"

    path: Annotated[str, words.ROUTE]
    """What is asked for below the arm's url, such as /v2/health/ready; a reply of status 2xx is good."""
    every: Duration = 5.0
    """The time between two probes, which is also how long one may take. 5s unless written."""
    body: Annotated[str, words.text("a JSON text of at most 10000 characters", most=10_000)] | None = None
    """A JSON body, posted to the path: a real inference, whose reply has to be a usable prediction."""


_PROSE = r"[^\x00-\x09\x0b-\x1f\x7f]+"
"""Lines of printable characters."""


_DIGEST = words.text("a digest: sha256: and 64 of the characters 0-9a-f", r"sha256:[0-9a-f]{64}")


class ArmDocument(Written):
    """One model behind one URL."""

    what: ClassVar[str] = "an arm such as {name: v1, url: http://127.0.0.1:8101}"

    name: Name
    """The arm's name in records and pages, such as v1."""
    url: Annotated[str, words.URL]
    """Where the model server listens, such as http://127.0.0.1:8101; the request's path is added to it. python: stands
    for a callable of your own program, which `crossfade.client` calls and no gateway can."""
    model: ModelName | None = None
    """The model's name at this URL, where it differs from the name that clients use; theirs is put back in replies."""
    timeout: Duration = 30.0
    """How long this arm may take for one request. 30s unless written."""
    probe: ProbeDocument | None = None
    """How to ask whether it is well, such as {path: /v2/health/ready, every: 5s}; without it only users' requests
    tell. An arm that is not well is left out for a while, its users served by the champion. Never the champion."""
    digest: Annotated[str, _DIGEST] | None = None
    """The SHA-256 of the model's file, such as `sha256sum` prints it, for the record: reviewers find it in the dossier,
    and another one while the rollout runs is another model, which is refused. Nobody compares it with what answers."""


class GuardrailDocument(Written):
    """A metric that must not get worse than its margin."""

    what: ClassVar[str] = "a guardrail such as {margin: 0.5pp} or {margin: 20%}"

    margin: Annotated[Margin, measures.MARGIN]
    """How much worse still counts as no worse: 0.5pp is percentage points, 20% is relative to the champion, a plain
    number is in the metric's own units (milliseconds for latency)."""


class MetricDocument(Written):
    """A question asked of both arms."""

    what: ClassVar[str] = "a metric such as {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}"

    source: Annotated[Source, words.SOURCE] = Field(alias="from")
    """Where the values come from: response (the reply itself), outcome (what is reported later), prediction (what the
    reply predicted, set against an outcome that says what came true: in shadow, for both models) or cost (what the
    reply cost, as the key cost says: in shadow, for both models)."""
    kind: Annotated[Kind, words.KIND]
    """How values become a number: rate (share of units with an event), mean (average over units of each one's total),
    count (average number of events), ratio (one outcome's total over another's, see per) or quantile. Of predictions:
    accuracy, auc, log-loss, brier, rmse, mae, ndcg or score (your own function, see score)."""
    better: Annotated[Better, words.BETTER]
    """Which direction is an improvement: lower or higher."""
    q: Annotated[float, measures.QUANTILE] | None = None
    """Which quantile, such as 0.99; only for kind quantile."""
    blocks: Duration | None = None
    """How much of an arm's latency is compared as one, such as 30m: about five times as long as an arm is slow by
    itself (a noisy neighbour, a garbage collector, a cold cache), as the requests of such a spell are no independent
    witnesses. Verdicts take six blocks or more. Only for kind quantile of responses; without it every unit counts."""
    window: Duration | None = None
    """How long after a unit's first exposure its outcomes count, such as 24h; only, and always, for outcomes. For
    predictions, always too: how long after the request its label counts."""
    arrives_within: Duration | None = None
    """How long after it happened an outcome may still arrive, such as 1d for a daily import: windows close so much
    later, and what counts is when it happened. Only for outcomes; without it their receipt counts."""
    outcome: Name | None = None
    """The name under which the outcome is reported, where it differs from the metric's own."""
    per: Name | None = None
    """The outcome in the denominator, such as visit; only, and always, for kind ratio."""
    covariate: Covariate | None = None
    """An outcome whose total before a unit's first exposure says much about its value afterwards (often the same one):
    the comparison is adjusted for it and needs fewer units. Or shadow:champion or shadow:challenger: what that model
    predicted, on average, for the unit's mirrored requests in the shadow before. Only for a mean or a count of
    outcomes."""
    cap: Annotated[float, measures.CAP] | None = None
    """The most that counts of one unit, such as 20: a unit with more counts as so much, and less than nothing as 0.
    Of a metric whose values have such a bound, units without any are evidence: without one, that nothing happens in
    either arm proves nothing. Only for a mean or a count of outcomes, or a count of responses."""
    only: Annotated[Literal["differing"], words.choice(["differing"])] | None = None
    """With the value differing, units count from their first request at which the arms' answers differ, and units
    without one, to whom the arms make no difference, not at all. Only for outcomes, and only where all canary and ab
    stages have counterfactual with of: both."""
    absent: Annotated[float, measures.ANY_NUMBER] | None = None
    """Of predictions: the label of a request that none came for inside the window, such as 0 where only clicks are
    reported. Unless written such requests are left out."""
    join: Annotated[Literal["decision", "unit"], words.choice(["decision", "unit"])] = "decision"
    """Of predictions: what labels name. decision (unless written): the request's decision id. unit: the rollout and
    the unit; of each unit its first prediction in the stage is set against the label."""
    score: words.Function | None = None
    """Only, and always, for kind score: your own function as module:function. It is called with what came true and
    what was predicted, and returns a number; the metric is its mean over pairs."""
    goal: Annotated[bool, words.FLAG] = False
    """Whether this is what the rollout is for: the challenger must be better here before an ab stage ends well."""
    guardrail: GuardrailDocument | None = None
    """Makes this a guardrail: getting worse than its margin rolls the rollout back."""


class PagesDocument(Written):
    """How requests ask for a part of the ranked list."""

    what: ClassVar[str] = "places in requests such as {offset: query:from, limit: query:size}"

    offset: ParameterName | None = None
    """Where a request says how many items come before its page: query:NAME or json:$.path."""
    page: ParameterName | None = None
    """Where a request says its page's number, in place of `offset`: query:NAME or json:$.path."""
    first: Annotated[int, measures.whole(0, 1)] = 1
    """The number of the first page, for `page`. 1 unless written."""
    limit: ParameterName
    """Where a request says how many items it wants: query:NAME or json:$.path."""
    size: Annotated[int, measures.whole(1, 1000)] = 10
    """How many those are where it does not say. 10 unless written."""
    at_most: Annotated[int, measures.whole(1, 10_000)] = 100
    """How deep lists are merged, which models must be able to give at once. Pages that end beyond are the champion's.
    100 unless written."""


class RankingDocument(Written):
    """Where a reply carries its ranked list."""

    what: ClassVar[str] = "a ranking such as {items: $.items, id: $.id}"

    items: JsonPath
    """JSON path to the list inside the reply, such as $.items."""
    id: JsonPath = "$"
    """JSON path to an item's id inside one item; $ where the items are the ids themselves."""
    pinned: JsonPath | None = None
    """JSON path inside one item, such as $.ad. Where it leads to true, a number but 0, or a text, the item is not
    ranked: the champion's stays in its slot and is credited to nobody, the challenger's is left out."""
    query: Annotated[
        list[ParameterName],
        words.items("a list of places in requests such as [query:q, json:$.filters]"),
    ] = Field(default_factory=list)
    """What says in requests what is searched, such as [query:q]: a unit that asks the same sees the same list. The
    whole request but its page unless written."""
    pages: PagesDocument | None = None
    """How requests ask for pages, so that a page goes on where the one before it ended."""


class PredictionDocument(Written):
    """Where a reply carries what labels are set against later."""

    what: ClassVar[str] = "a prediction such as {probability: $.probability} or {class: $.label}"

    probability: words.FieldPath | None = None
    """The probability of 1, or one for each class as a list or a mapping, such as $.probability. The label is 0 or 1,
    the place in the list, or the class's name as the outcome's item."""
    label: words.FieldPath | None = Field(default=None, alias="class")
    """The class, such as $.label. The label is its number, or its name as the outcome's item."""
    value: words.FieldPath | None = None
    """A number, such as $.price. The label is the number that came true."""
    items: words.FieldPath | None = None
    """A ranked list, such as $.items. Labels are outcomes with an item: what it was worth (0, 1, 2, ...)."""
    id: JsonPath = "$"
    """JSON path to an item's id inside one item of the list; $ where the items are the ids themselves."""


class Document(Written):
    """A Crossfade rollout: one challenger's way from shadow to serving everyone."""

    what: ClassVar[str] = "a mapping with the keys name, route, protocol, unit, ... (`crossfade init` writes one)"
    model_config = ConfigDict(
        title="Crossfade rollout",
        json_schema_extra={
            "oneOf": [{"required": ["challenger"]}, {"required": ["challengers"]}],
        },
    )

    name: Name
    """The rollout's name in commands, records and pages, such as ranker-v2."""
    route: Annotated[str, words.ROUTE]
    """Path prefix of the requests this rollout is about, such as /v2/models/ranker/infer."""
    protocol: Annotated[Protocol, words.PROTOCOL]
    """The wire protocol of the models: open-inference, json, mlflow, predict-v1 or openai-chat."""
    unit: FieldName
    """Who is randomised: header:NAME, cookie:NAME, json:$.path, or request for each request by itself."""
    champion: ArmDocument
    """The model that serves now."""
    challenger: ArmDocument | None = None
    """The model that wants to take over. Write this or challengers."""
    challengers: (
        Annotated[
            list[ArmDocument],
            words.items("a list of arms, each with a name and a url", least=1),
            Field(json_schema_extra={"minItems": 1}),
        ]
        | None
    ) = None
    """Several models that want to take over, compared with the champion side by side. Write this or challenger."""
    purpose: Annotated[str, words.text("a text of at most 2000 characters", _PROSE, most=2_000)] | None = None
    """What the models are for and whom their answers concern, for those who review the rollout."""
    alpha: Annotated[float, measures.share(zero=False, most=0.5)] = 0.05
    """How often, at most, a wrong decision may be taken over the rollout's whole life. 5% unless written."""
    salt: words.Text | None = None
    """What assignment is hashed with; the rollout's name unless written. The same salt gives the same units."""
    segments: Annotated[list[FieldName], words.items("a list such as [header:x-country]")] = Field(default_factory=list)
    """Fields of the request by which exposure is recorded, to look at groups of units separately."""
    on_segment_harm: Annotated[OnSegmentHarm, words.ON_SEGMENT_HARM] | None = None
    """What to do when one of these groups provenly comes to harm and units as a whole do not: hold, report, or exclude,
    which keeps that group on the champion and goes on with all others. Hold unless written."""
    explore: Annotated[list[FieldName], words.items("a list such as [json:$.age, header:x-app-version]")] = Field(
        default_factory=list
    )
    """Further fields of the request, recorded beside `segments`: groups by one or two of all of them, nobody named, are
    searched for harm. What is found is reported as exploratory and moves nothing."""
    ranking: RankingDocument | None = None
    """Where replies carry a ranked list; an interleave stage needs it."""
    compare: Annotated[
        dict[str, ComparisonDocument],
        words.table("a mapping from fields to comparisons, such as `$.score: {as: number, relative: 1%}`"),
    ] = Field(default_factory=dict)
    """How single fields of the replies are compared in a shadow, by their paths; see `crossfade compare`."""
    prediction: PredictionDocument | None = None
    """Where replies carry what labels are set against later, for metrics `from: prediction`. It is recorded."""
    examples: ExamplesDocument | None = None
    """Which mirrored pairs that differ are kept with their replies, such as {share: 1%}. None unless written."""
    redact: Annotated[list[words.AnyField], words.items("a list such as [$.user.email]")] = Field(default_factory=list)
    """Fields of replies, such as $.user.email, that are taken out before anything of a reply is kept or shown."""
    drift: DriftDocument | None = None
    """Whether inputs and predictions are counted, such as {sample: 5%}, to tell a changed world from a worse model and
    a broken feed. Nothing is counted unless written."""
    pseudonyms: Annotated[str, words.SECRET] | None = None
    """Where the key is with which units are hashed before they are recorded: env:NAME or file:/PATH. Without it units
    are recorded as requests name them. Who sees what does not change; see docs/how-to/privacy.md."""
    dry_run_header: Annotated[str, words.HEADER] | None = None
    """A header that marks every mirrored copy with the value true, such as x-dry-run, for models that write."""
    cost: Costs | None = None
    """Where replies say what they cost, for metrics `from: cost`: a place such as json:$.usage.total_tokens or
    header:x-cost, or several with the price of one each, such as {json:$.usage.completion_tokens: 0.00001}."""
    model: ModelName | None = None
    """The name by which clients know the model, in the list of models of openai-chat, where arms have names of their
    own; the rollout's name unless written. Requests may name it as they like."""
    reveal: Annotated[bool, words.FLAG] = False
    """Whether replies say in the header x-crossfade-arm which arm served them. false unless written."""
    lease: Duration = 10.0
    """How long gateways go on without their controller before only the champion serves. 10s unless written."""
    deadline: Duration = 30.0
    """How long a request may take in all, with the champion's answer in place of a failed one. 30s unless written."""
    keep_facts: Duration = KEEP_FACTS
    """How long what was recorded is kept at least, and always while the rollout runs. 184d unless written."""
    notify: Annotated[list[NotifyDocument], words.items("a list such as `- slack: {url: env:SLACK_URL}`")] = Field(
        default_factory=list
    )
    """Who is told of what happens, such as `- slack: {url: env:SLACK_URL}`; see docs/how-to/notify.md."""
    registry: RegistryDocument | None = None
    """A model registry whose alias names the version that serves everyone, moved on promotion and rollback."""
    router: RouterDocument | None = None
    """The router that carries the traffic in place of Crossfade's gateway, such as {envoy: {...}}: Crossfade decides,
    it serves, and its access log says what happened. Crossfade's own gateway unless written."""
    metrics: Annotated[
        dict[str, MetricDocument],
        words.table("a mapping from names of your own to metrics, such as `errors: {from: response, ...}`", least=1),
        Field(json_schema_extra={"minProperties": 1}),
    ]
    """What is measured, by names of your own."""
    stages: Annotated[
        list[StageDocument],
        words.items("a list of stages, each such as `- canary: {steps: [1%, 5%, 20%]}`", least=1),
        Field(json_schema_extra={"minItems": 1}),
    ]
    """What happens, in order; exposure only rises."""


def read(root: Node) -> Document | Unknown:
    """The document written under `root`. Problems are reported to the node; where they are, values are `UNKNOWN`."""
    try:
        document: Document | Unknown = Document.model_validate(root)
    except ValidationError as error:  # a word that raised instead of reporting: still a problem, never a traceback
        for problem in error.errors(include_url=False):
            root.report(f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}")
        return UNKNOWN
    return document


class _Generator(GenerateJsonSchema):
    """Says what may be written: an absent key is absent, never `null`, and titles do not repeat the keys."""

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        written = super().default_schema(schema)
        # A float default is what was meant (600.0), not what is written (10m); the description says it in words.
        if written.get("default", ...) is None or isinstance(written.get("default"), float):
            del written["default"]
        return written

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a spec, for completion and checks in editors."""
    schema = Document.model_json_schema(by_alias=True, schema_generator=_Generator)
    written = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:crossfade:schema:rollout:1",
        **schema,
    }
    _unwrap(written)
    return written


def _unwrap(schema: Any) -> None:
    """Put every description on one line; in the source they are wrapped."""
    if isinstance(schema, dict):
        if isinstance(schema.get("description"), str):
            schema["description"] = " ".join(schema["description"].split())
        for child in schema.values():
            _unwrap(child)
    elif isinstance(schema, list):
        for child in schema:
            _unwrap(child)
