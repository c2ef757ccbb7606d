"""The parsed rollout: plain frozen records that every other room reads.

What people type lives in `spec.document`; this file holds what it means. Shares are fractions in
0–1, durations are seconds, latencies are milliseconds. No dependency beyond the standard library,
because the request path and the client import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crossfade.spec.copies import Counterfactual, PerDay
from crossfade.spec.gated import Gated
from crossfade.spec.router import Router

DEFAULT_PATIENCE = 14 * 86400.0
"""Seconds a stage may stay undecided when its spec does not say `at_most`."""


KEEP_FACTS = 184 * 86_400.0
"""Seconds for which facts are kept where the spec does not say `keep_facts`: six months, counted generously."""


class Protocol(StrEnum):
    """The wire protocol spoken by the models behind a route."""

    OPEN_INFERENCE = "open-inference"
    MLFLOW = "mlflow"
    PREDICT_V1 = "predict-v1"
    OPENAI_CHAT = "openai-chat"
    JSON = "json"


class Kind(StrEnum):
    """How a metric turns facts about a unit into a number."""

    RATE = "rate"
    MEAN = "mean"
    RATIO = "ratio"
    QUANTILE = "quantile"
    COUNT = "count"
    ACCURACY = "accuracy"
    AUC = "auc"
    LOG_LOSS = "log-loss"
    BRIER = "brier"
    RMSE = "rmse"
    MAE = "mae"
    NDCG = "ndcg"
    SCORE = "score"
    """What a function of the user's makes of a prediction and its label."""


class Better(StrEnum):
    """Which direction of a metric is an improvement."""

    LOWER = "lower"
    HIGHER = "higher"


class Source(StrEnum):
    """Where a metric's values come from."""

    RESPONSE = "response"
    """The reply itself: failed or not (rate), latency in ms (quantile, mean)."""
    OUTCOME = "outcome"
    """What happened later, joined by decision id or by unit."""
    PREDICTION = "prediction"
    """What the reply predicted, set against an outcome that says what came true. Measured in shadow, of both models."""
    COST = "cost"
    """What the reply cost, as the spec's `cost` says. Measured in shadow, of both models for the same requests."""


class OnSegmentHarm(StrEnum):
    """What to do when a declared segment comes to harm and the whole does not."""

    REPORT = "report"
    HOLD = "hold"
    """Until a person resumes it or rolls it back."""
    EXCLUDE = "exclude"
    """The segment stays on the champion from then on, and the rollout goes on without it."""


SCORES = (Kind.ACCURACY, Kind.AUC, Kind.LOG_LOSS, Kind.BRIER, Kind.RMSE, Kind.MAE, Kind.NDCG, Kind.SCORE)
"""Kinds of metric that set predictions against labels, and no others."""

HIGHER_SCORES = (Kind.ACCURACY, Kind.AUC, Kind.NDCG)
"""Those of them of which more is better."""


class From(StrEnum):
    """Where in a request a value is read."""

    HEADER = "header"
    COOKIE = "cookie"
    JSON = "json"
    REQUEST = "request"
    """Every request is a unit of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A place in a request: `header:x-user-id`, `cookie:sid`, `json:$.user.id` or `request`."""

    source: From
    name: str = ""

    def __str__(self) -> str:
        return f"{self.source}:{self.name}" if self.name else str(self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """Something that replies count, and what one of it costs."""

    place: Field
    price: float = 1.0
    arms: tuple[tuple[str, float], ...] = ()
    """(arm, price) pairs where prices differ by arm; then `price` is not used."""

    def price_of(self, arm: str) -> float:
        """What one costs at an arm."""
        return dict(self.arms).get(arm, self.price) if self.arms else self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How gateways ask an arm whether it is well, apart from users' requests."""

    path: str
    """Added to the arm's URL; any 2xx reply is good."""
    every: float = 5.0
    """Seconds between two probes of one gateway; also the time a probe may take."""
    body: str = ""
    """A JSON body makes the probe a real inference: it is posted, and its reply has to be a usable prediction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One model behind one URL."""

    name: str
    url: str
    model: str | None = None
    """The model's name at this URL, where it differs from the public name that clients use."""
    timeout: float = 30.0
    """Seconds this arm may take for one request."""
    probe: Probe | None = None
    """None: only users' requests tell how it fares."""
    digest: str = ""
    """What the spec says of the model's file, `sha256:HEX`; empty where it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How much worse than the champion still counts as no worse."""

    value: float
    relative: bool
    """True: a share of the champion's value (`20%`). False: in the metric's own units (`0.5pp`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A question asked of both arms."""

    name: str
    source: Source
    kind: Kind
    better: Better
    q: float | None = None
    """The quantile asked for, only for `kind: quantile`."""
    window: float | None = None
    """Seconds after a unit's first exposure in which outcomes count. Required for outcomes."""
    arrives_within: float = 0.0
    """Seconds after it happened in which an outcome may still arrive; so much later a unit's window closes."""
    outcome: str | None = None
    """The outcome's name; the metric's own name unless the spec says otherwise."""
    per: str | None = None
    """The outcome counted in the denominator, only for `kind: ratio`."""
    covariate: str | None = None
    """An outcome whose total before a unit's first exposure explains some of its value; for means and counts."""
    predicted: str = ""
    """`champion` or `challenger`: what explains it is what that side predicted of the unit's mirrored requests before;
    for means and counts, in place of `covariate`."""
    absent: float | None = None
    """Of predictions: the label of a request that none came for; None where such requests are left out."""
    by_unit: bool = False
    """Of predictions: labels name units; the first prediction of each unit in the stage is set against them."""
    score: str = ""
    """`module:function` that scores a prediction against its label, only for `kind: score`."""
    differing: bool = False
    """`only: differing`: units count from their first request at which the arms' answers differ, and others do not."""
    goal: bool = False
    guardrail: Margin | None = None
    blocks: float | None = None
    """Seconds of an arm's latency that hang together, only for `kind: quantile` of responses: they are compared as one.
    None where units are taken to be independent."""
    cap: float | None = None
    """The most that counts of one unit, only for means and counts; what is below 0 counts as 0 then. None: no bound."""

    @property
    def only_in_shadow(self) -> bool:
        """Whether it is about both models' replies to the same request, which only a shadow has."""
        return self.source in (Source.PREDICTION, Source.COST)

    @property
    def horizon(self) -> float:
        """Seconds after its first exposure at which what a unit has is settled; 0 for responses."""
        return (self.window or 0.0) + self.arrives_within


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A place in a request that says what is searched or which page is wanted: `query:from` or `json:$.from`."""

    in_query: bool
    """In the query of the target; else in the JSON body."""
    name: str
    """The query's member, or the path in the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """How requests ask for a part of a ranked list."""

    first: Parameter
    """Where the page begins: an offset, or a page's number."""
    counted: bool
    """`first` counts pages, not items."""
    start: int
    """What `first` says of the first page."""
    limit: Parameter
    """How many items are wanted."""
    size: int = 10
    """How many those are where a request does not say."""
    deepest: int = 100
    """Items up to which lists are merged; pages that end beyond are the champion's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Where a reply carries its ranked list, and how an item names itself."""

    items: str
    """JSON path to the list, such as `$.items`."""
    id: str = "$"
    """JSON path inside one item; `$` where the items are the ids themselves."""
    pinned: str = ""
    """JSON path inside one item to what says that it is sold or placed by hand; empty where no item is."""
    query: tuple[Parameter, ...] = ()
    """What says what is searched; empty for the whole request but its page."""
    pages: Pages | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Where a reply carries what labels are set against later; one of the paths is given."""

    probability: str = ""
    """The probability of 1, or a list or mapping with one for each class."""
    label: str = ""
    """The class."""
    value: str = ""
    """A number."""
    items: str = ""
    """A ranked list."""
    id: str = "$"
    """JSON path inside one item of a ranked list; `$` where the items are the ids themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Which mirrored pairs that differ are kept with their replies."""

    share: float = 0.01
    """Of pairs that differ; a few of each field are kept in any case."""
    most: int = 200
    """Pairs that one worker keeps of a rollout, the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What of requests and replies is counted, to tell whether the world, a model or the feed has changed."""

    sample: float = 0.05
    """Share (0–1) of requests that are read."""
    reference: float = 86_400.0
    """Seconds from a field's first values with which later ones are compared."""
    features: tuple[str, ...] = ()
    """Fields of requests and replies that are read, their texts by name; empty for all, texts by a hash alone."""

    @property
    def every(self) -> float:
        """Seconds that one sketch covers: a minute, or less where the reference is short."""
        return min(60.0, max(1.0, float(int(self.reference / 60.0))))


class Channel(StrEnum):
    """How somebody is told."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    EMAIL = "email"


TOLD = ("start", "advance", "hold", "resume", "rollback", "promote", "finish", "note", "fault", "approval")
"""What somebody may be told of: moves by their names, whatever else the ledger gets, and faults of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Somebody who is told of what happens. URLs and secrets may be `env:NAME` or `file:/PATH`."""

    channel: Channel
    url: str = ""
    """Where a webhook or a channel is."""
    key: str = ""
    """What a webhook's events are signed with."""
    server: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    user: str = ""
    password: str = ""
    on: tuple[str, ...] = ()
    """Of what; empty for everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registered model in MLflow whose alias names the version that serves everyone."""

    mlflow: str
    model: str
    alias: str
    versions: tuple[tuple[str, int], ...]
    """(arm, version of the registered model) pairs."""
    token: str = ""


class Comparator(StrEnum):
    """How one field of two replies is compared."""

    EXACT = "exact"
    NUMBER = "number"
    LABEL = "label"
    PROBABILITIES = "probabilities"
    RANKING = "ranking"
    TEXT = "text"
    TENSOR = "tensor"
    SET = "set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How one field is compared, where not as it comes: numbers with a small tolerance, all else exactly."""

    path: str
    """The field as differences name it, elements of a list as `[*]`, such as `$.items[*].score`."""
    how: Comparator | None = None
    """None: as the values come."""
    by: str = ""
    """Which measure of distance; empty for the comparator's own."""
    within: float | None = None
    """The largest distance, as a share, that still counts as the same."""
    relative: float | None = None
    absolute: float | None = None
    """Tolerances of a number: a share of the larger magnitude, and the number's own units."""
    depth: int | None = None
    """How many ranks of a ranking are looked at; None for all."""
    id: str = "$"
    """JSON path inside one item of a ranking or a set; `$` where the items are the ids themselves."""
    mute: str = ""
    """Why differences of this field do not count; empty where they do."""
    embedding: str = ""
    """`module:function` that turns texts into vectors, only for texts by embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """When a stage has seen enough."""

    requests: int | None = None
    """Mirrored requests compared (shadow)."""
    decided: bool = False
    """The goal metric has been decided (interleave, ab)."""
    at_most: float = DEFAULT_PATIENCE
    """Seconds after which an undecided stage is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow(Gated):
    """The challenger answers copies; nobody sees its answers."""

    mirror: float = 1.0
    noise: float = 0.0
    """Share of mirrored requests that go to the champion twice, to learn its own noise."""
    gates: tuple[tuple[str, float], ...] = ()
    """(`disagreement` or `catastrophic`, at most) pairs, as written."""
    until: Until = Until(requests=1000)
    at_once: int | None = None
    """Copies under way at one arm; None for the gateway's own limit."""
    per_day: PerDay | None = None


AUTO_STEPS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
"""The weights that `steps: auto` climbs, up to that of the stage after it."""

HASTE = 0.25
"""Of `hold_for`, how long each automatic step lasts at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is believed, before anything is seen, of the harm that one unit comes to: a normal distribution."""

    mean: float = 0.0
    sd: float
    """Both in the counts of the budgeted metric: 0.02 is two more of a hundred units with the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary(Gated):
    """A small share of units, raised step by step."""

    steps: tuple[float, ...]
    hold_for: float = 600.0
    """Seconds each step is held at least."""
    budget: tuple[tuple[str, float], ...] = ()
    """(metric, most excess harm in that metric's own counts) pairs."""
    auto: bool = False
    """`steps: auto`: the steps are rungs of `AUTO_STEPS`, and the budget says how fast they are climbed."""
    prior: Prior | None = None
    """`steps: risk-of-ruin`: the same rungs, climbed as this belief allows."""
    counterfactual: Counterfactual | None = None
    """None: each request is answered by its own arm alone."""
    until: Until = Until()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What one kind of outcome on an item of an interleaved list weighs in its unit's vote."""

    outcome: str
    weight: float = 1.0
    valued: bool = False
    """The weight is for each 1 of the outcome's value, such as a second of dwelling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interleave(Gated):
    """Both rankings in one list; credit to the model whose items people engage with."""

    weight: float
    method: str = "team-draft"
    credit: tuple[Credit, ...] = (Credit(outcome="click"),)
    """Outcomes that carry an `item`."""
    until: Until = Until(decided=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ab(Gated):
    """Units split at random, outcomes compared."""

    weight: float = 0.5
    counterfactual: Counterfactual | None = None
    """None: each request is answered by its own arm alone."""
    until: Until = Until(decided=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote(Gated):
    """The challenger serves everyone but a holdback."""

    holdback: float = 0.0
    watch: float = 0.0
    """Seconds the holdback is kept before the rollout is finished."""


Stage = Shadow | Canary | Interleave | Ab | Promote

STAGE_NAMES: dict[type, str] = {
    Shadow: "shadow",
    Canary: "canary",
    Interleave: "interleave",
    Ab: "ab",
    Promote: "promote",
}


def copies_of(stage: Stage) -> Counterfactual | None:
    """Which requests of a stage are also answered by the arm that does not serve them; None where none are."""
    return stage.counterfactual if isinstance(stage, Canary | Ab) else None


def stage_name(stage: Stage) -> str:
    """The word for a stage in specs, records and pages."""
    return STAGE_NAMES[type(stage)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One spec: one identity from shadow to holdback."""

    name: str
    route: str
    protocol: Protocol
    unit: Field
    champion: Arm
    challengers: tuple[Arm, ...]
    metrics: tuple[Metric, ...]
    stages: tuple[Stage, ...]
    alpha: float = 0.05
    salt: str = ""
    """Assignment salt; the rollout's name unless the spec says otherwise."""
    segments: tuple[Field, ...] = ()
    on_segment_harm: OnSegmentHarm = OnSegmentHarm.HOLD
    explore: tuple[Field, ...] = ()
    """Fields recorded beside the segments, in which groups that come to harm are searched for."""
    ranking: Ranking | None = None
    reveal: bool = False
    """Whether replies carry `x-crossfade-arm`."""
    lease: float = 10.0
    """Seconds gateways go on without hearing from the controller before only the champion serves."""
    deadline: float = 30.0
    """Seconds a request may take in all; a failing challenger must leave room for the champion."""
    keep_facts: float = KEEP_FACTS
    """Seconds for which its facts are kept at least, and always while it runs."""
    compare: tuple[Comparison, ...] = ()
    """Fields of replies that a shadow compares in a way of their own."""
    prediction: Predicted | None = None
    """What is recorded of mirrored replies, to be set against labels."""
    examples: Examples | None = None
    """None: no reply is kept."""
    redact: tuple[str, ...] = ()
    """Fields of replies that are never written or shown."""
    drift: Drift | None = None
    """None: nothing of requests is counted."""
    dry_run_header: str = ""
    """Header that marks mirrored copies, in lower case; empty for none."""
    pseudonyms: str = ""
    """Where the key of pseudonyms is, `env:NAME` or `file:/PATH`; empty where units are recorded as they are."""
    cost: tuple[Priced, ...] = ()
    """What a reply costs, added up; empty where nobody asks."""
    model: str = ""
    """What clients call the model in lists of models; empty for the rollout's name."""
    notify: tuple[Notify, ...] = ()
    """Who is told of what happens."""
    purpose: str = ""
    """What the models are for, for those who review the rollout; empty where the spec does not say."""
    registry: Registry | None = None
    """None: no registry follows."""
    router: Router | None = None
    """None: Crossfade's own gateway carries the traffic."""
    revision: str = ""
    """Digest of the spec this was parsed from."""

    @property
    def in_process(self) -> bool:
        """Whether the arms are callables of a program (`python:` URLs) and no gateway can ask them."""
        return self.champion.url.startswith("python:")

    @property
    def features(self) -> tuple[Field, ...]:
        """What facts record of each request in `segments`: those declared, then those explored."""
        return (*self.segments, *self.explore)

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """The names of outcomes that are asked for, in order."""
        stages = [stage for stage in self.stages if isinstance(stage, Interleave)]
        names: set[str | None] = {one.outcome for stage in stages for one in stage.credit}
        for metric in self.metrics:
            if metric.source in (Source.OUTCOME, Source.PREDICTION):
                names |= {metric.outcome or metric.name, metric.per, metric.covariate}
        return tuple(sorted(name for name in names if name))

    @property
    def challenger(self) -> Arm:
        """The first challenger; most rollouts have one."""
        return self.challengers[0]

    def arm(self, name: str) -> Arm:
        """The arm of that name. Raises KeyError when there is none."""
        for arm in (self.champion, *self.challengers):
            if arm.name == name:
                return arm
        raise KeyError(name)

    def metric(self, name: str) -> Metric:
        """The metric of that name. Raises KeyError when there is none."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)
