"""The stages people write, one pydantic model each; part of `spec.document`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WrapValidator

from crossfade.spec import measures, words
from crossfade.spec.approvers import Approvers
from crossfade.spec.credits import Credits
from crossfade.spec.document_copies import Counterfactual, PerDayDocument
from crossfade.spec.measures import Duration, PartialShare, PositiveShare, Share
from crossfade.spec.model import AUTO_STEPS, DEFAULT_PATIENCE, Credit
from crossfade.spec.source import UNKNOWN, Node
from crossfade.spec.written import Written


class GateDocument(Written):
    """A limit on something seen in shadow."""

    what: ClassVar[str] = "a gate such as {at_most: 5%}"

    at_most: Share
    """The largest share of mirrored requests that may show it, beyond the champion's own noise."""


class GatesDocument(Written):
    """Limits on what a shadow may show."""

    what: ClassVar[str] = "gates such as {disagreement: {at_most: 5%}}"

    disagreement: GateDocument | None = None
    """The share of requests on which both models answer differently."""
    catastrophic: GateDocument | None = None
    """The share of requests whose reply nobody can use: NaN, infinities, wrong shapes, values that break their
    comparison's rule, documents that cannot be read, streams cut off. Every shadow has this gate, at 0% unless
    written."""


class ShadowUntil(Written):
    """When a shadow has seen enough."""

    what: ClassVar[str] = "an end such as {requests: 1000}"

    requests: Annotated[int, measures.COUNT] = 1000
    """How many mirrored requests must have been compared. 1000 unless written."""
    at_most: Duration = DEFAULT_PATIENCE
    """After this long the stage is given up and the champion stays. 14d unless written."""


class CanaryUntil(Written):
    """When a canary is given up."""

    what: ClassVar[str] = "an end such as {at_most: 7d}"

    at_most: Duration = DEFAULT_PATIENCE
    """After this long the stage is given up and the champion stays. 14d unless written."""


class DecidedUntil(Written):
    """When a comparison has seen enough."""

    what: ClassVar[str] = "an end such as {decided: true, at_most: 14d}"

    decided: Annotated[bool, words.FLAG] = True
    """The stage ends when the comparison is decided; only true is allowed."""
    at_most: Duration = DEFAULT_PATIENCE
    """After this long the stage is given up and the champion stays. 14d unless written."""


class GatedDocument(Written):
    """What every stage may ask of people."""

    what: ClassVar[str] = "a stage with its settings"

    approve: Approvers | None = None
    """Who has to approve before this stage is entered, when evidence has cleared the one before: a list of names, one
    of whom has to, or {by: [ana, ben, cy], needed: 2}. Nobody unless written."""

    @classmethod
    def keys(cls) -> list[str]:
        """What a stage is about comes before whom it asks."""
        every = super().keys()
        every.remove("approve")
        return [*every, "approve"]


class ShadowDocument(GatedDocument):
    """The challenger answers copies of requests; nobody sees its answers."""

    what: ClassVar[str] = "a shadow stage such as {mirror: 100%} or {}"

    mirror: PositiveShare = 1.0
    """Share of requests that are copied to the challenger. 100% unless written."""
    noise: Share = 0.0
    """Share of the copied requests that the champion answers twice, to learn how often it disagrees with itself."""
    at_once: Annotated[int, measures.whole(1, 1000)] | None = None
    """How many copies may be under way at one arm, shared by a host's workers. Up to 32 a worker unless written."""
    per_day: PerDayDocument | None = None
    """What may be spent in a day, such as {requests: 20000} or {cost: 5}; then nothing is mirrored until the next."""
    gates: GatesDocument = Field(default_factory=GatesDocument)
    """Limits that must hold before the next stage."""
    until: ShadowUntil = Field(default_factory=ShadowUntil)
    """When this stage has seen enough."""


class Automatic(list[float]):
    """What `steps: auto` and `steps: risk-of-ruin` stand for."""

    word = "auto"


class RiskOfRuin(Automatic):
    """The second of them."""

    word = "risk-of-ruin"


_WORDS = {kind.word: kind for kind in (Automatic, RiskOfRuin)}


def _steps(value: Any, handler: Callable[[Any], Any]) -> Any:
    kind = _WORDS.get(value.value) if isinstance(value, Node) and isinstance(value.value, str) else None
    return handler(value) if kind is None else kind(AUTO_STEPS)


def _auto_too(schema: dict[str, Any]) -> None:
    """In the JSON Schema: a list, or one of the words."""
    listed = {key: schema.pop(key) for key in ("type", "items") if key in schema}
    schema["anyOf"] = [{**listed, "minItems": 1}, *({"const": word} for word in _WORDS)]


class PriorDocument(Written):
    """How much harm to one unit is credible before anything is seen, as a normal distribution."""

    what: ClassVar[str] = "a prior such as {mean: 0pp, sd: 2pp}"

    mean: Annotated[float, measures.HARM] = 0.0
    """The harm of one unit that is expected: 1pp is one more of a hundred units with the event. 0pp unless written."""
    sd: Annotated[float, measures.HARM_SPREAD]
    """Its standard deviation: set it so that two or three of them are the worst harm you find credible."""


class CanaryDocument(GatedDocument):
    """A small share of units gets the challenger, raised step by step."""

    what: ClassVar[str] = "a canary stage such as {steps: [1%, 5%, 20%], hold_for: 10m}"

    steps: Annotated[
        list[PartialShare],
        words.items("a list of percentages such as [1%, 5%, 20%], auto or risk-of-ruin", least=1),
        WrapValidator(_steps),
        Field(json_schema_extra=_auto_too),
    ]
    """Shares of units that get the challenger, each larger than the one before; or auto, sized by the budget; or
    risk-of-ruin, sized by the budget and a prior."""
    hold_for: Annotated[float, measures.duration(zero=True)] = 600.0
    """How long each step is held at least; automatic ones a quarter of it. 10m unless written."""
    budget: Annotated[
        dict[str, Annotated[float, measures.AMOUNT]],
        words.table("a mapping from metrics to numbers, such as {errors: 50}"),
    ] = Field(default_factory=dict)
    """The most harm this stage may do, for each metric in its own counts: `{purchase: 50}` is 50 purchases lost."""
    prior: PriorDocument | None = None
    """For steps: risk-of-ruin, how much harm to one unit is credible. Worse harm than that may overspend the budget."""
    counterfactual: Counterfactual = None
    """Share of units whose requests are also copied to the arm that does not serve them, hidden, such as 10% or
    {share: 10%, of: both}. None unless written."""
    until: CanaryUntil = Field(default_factory=CanaryUntil)
    """When this stage is given up."""


class InterleaveDocument(GatedDocument):
    """Both models' rankings in one list; credit goes to the model whose items people engage with."""

    what: ClassVar[str] = "an interleave stage such as {weight: 20%}"

    weight: PositiveShare
    """Share of units that see interleaved lists."""
    method: Annotated[Literal["team-draft", "balanced", "probabilistic", "optimized"], words.METHOD] = "team-draft"
    """How the lists are merged: team-draft (unless written), balanced, probabilistic or optimized."""
    credit: Credits = Field(default_factory=lambda: [Credit(outcome="click")])
    """What gives credit: the name of an outcome that is reported with an item, or several with their weights, such as
    {click: 1, purchase: 5}. click unless written."""
    until: DecidedUntil = Field(default_factory=DecidedUntil)
    """When this stage has seen enough."""


class AbDocument(GatedDocument):
    """Units are split at random and outcomes are compared."""

    what: ClassVar[str] = "an ab stage such as {weight: 50%}"

    weight: PartialShare = 0.5
    """Share of units that get the challenger. 50% unless written."""
    counterfactual: Counterfactual = None
    """Share of units whose requests are also copied to the arm that does not serve them, hidden, such as 10% or
    {share: 10%, of: both}. None unless written."""
    until: DecidedUntil = Field(default_factory=DecidedUntil)
    """When this stage has seen enough."""


class PromoteDocument(GatedDocument):
    """The challenger serves everyone but a holdback."""

    what: ClassVar[str] = "a promote stage such as {holdback: 2%, watch: 30d} or {}"

    holdback: Annotated[float, measures.share(whole=False)] = 0.0
    """Share of units kept on the old champion, so that slow harm can still be seen; needs watch. 0% unless written."""
    watch: Annotated[float, measures.duration(zero=True)] = 0.0
    """How long the holdback is kept before the rollout is finished; needs holdback."""


def _defaults(value: Any) -> Any:
    """`- promote:` with nothing behind it is a stage with its defaults."""
    if isinstance(value, Node) and value.value is None:
        value.value = {}
    return value


Defaults = BeforeValidator(_defaults)


class StageDocument(Written):
    """One stage: a mapping with one key, the stage's name."""

    what: ClassVar[str] = "a stage with its settings, such as `canary: {steps: [1%, 5%, 20%]}` or `shadow: {}`"
    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    shadow: Annotated[ShadowDocument, Defaults] | None = None
    """The challenger answers copies of requests; nobody sees its answers."""
    canary: Annotated[CanaryDocument, Defaults] | None = None
    """A small share of units gets the challenger, raised step by step."""
    interleave: Annotated[InterleaveDocument, Defaults] | None = None
    """Both models' rankings in one list; credit goes to the model whose items people engage with."""
    ab: Annotated[AbDocument, Defaults] | None = None
    """Units are split at random and outcomes are compared."""
    promote: Annotated[PromoteDocument, Defaults] | None = None
    """The challenger serves everyone but a holdback."""

    @classmethod
    def _known(cls, node: Node) -> dict[str, Any]:
        """What stands beside a stage's name and not inside it is one mistake, of indentation, and told as that."""
        for name, child in node.value.items():
            inner = STAGES[name].keys() if name in STAGES and child.value is None else ()
            outside = [key for key in node.value if key in inner]
            for key in outside:
                node.value.pop(key).report_key(f"'{key}' belongs inside '{name}': indent it further than '{name}'")
            if outside:
                child.value = UNKNOWN
                break
        return super()._known(node)


STAGES: dict[str, type[Written]] = {
    "shadow": ShadowDocument,
    "canary": CanaryDocument,
    "interleave": InterleaveDocument,
    "ab": AbDocument,
    "promote": PromoteDocument,
}
