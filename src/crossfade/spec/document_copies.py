"""What people write of copies of requests: their budget, and which of them a canary or an A/B test makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from crossfade.spec import measures, words
from crossfade.spec.copies import AT_ONCE
from crossfade.spec.source import Node, Unknown
from crossfade.spec.written import Written

_SHARE = measures.share(zero=False)


class PerDayDocument(Written):
    """What copies may spend in a day of UTC, at one host."""

    what: ClassVar[str] = "a budget such as {requests: 20000} or {cost: 5}"

    requests: Annotated[int, measures.COUNT] | None = None
    """How many requests may be copied."""
    cost: Annotated[float, measures.AMOUNT] | None = None
    """What the replies to copies may cost, in the units of the key cost at the top."""


class CounterfactualDocument(Written):
    """Which units' requests also the arm answers that does not serve them, so that both answers are known."""

    what: ClassVar[str] = "a share of units such as 10%, or {share: 10%, of: both}"

    share: Annotated[float, _SHARE]
    """Share of units, all of whose requests are copied."""
    of: Annotated[Literal["challenger", "both"], words.choice(["challenger", "both"])] = "challenger"
    """Whose answers to copies are wanted. challenger (unless written): the challenger's, to requests of units on the
    champion. both: also the champion's, to requests of units on the challenger, so that both arms know as much."""
    at_once: Annotated[int, measures.whole(1, 1000)] = AT_ONCE
    """How many copies may be under way at one arm, shared by a host's workers. 8 unless written: these models serve
    users, too."""
    per_day: PerDayDocument | None = None
    """What may be spent in a day, such as {requests: 20000} or {cost: 5}; then nothing is copied until the next."""


def _share_alone(value: Any) -> Any:
    """`counterfactual: 10%` is short for a mapping with that share."""
    if isinstance(value, Node) and not isinstance(value.value, dict | list | Unknown):
        return replace(value, value={"share": value})
    return value


def _share_too(schema: dict[str, Any]) -> None:
    """In the JSON Schema: the mapping, or the share alone."""
    mapping = {key: schema.pop(key) for key in ("$ref", "allOf") if key in schema}
    schema["anyOf"] = [*_SHARE.schema["anyOf"], mapping]


Counterfactual = Annotated[
    CounterfactualDocument | None, BeforeValidator(_share_alone), Field(json_schema_extra=_share_too)
]
