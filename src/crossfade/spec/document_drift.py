"""How people write what is counted of requests and replies to see drift; part of `spec.document`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from crossfade.spec import measures, words
from crossfade.spec.measures import Duration
from crossfade.spec.written import Written


class DriftDocument(Written):
    """What is counted of requests and replies, to tell a changed world from a worse model and a broken feed."""

    what: ClassVar[str] = "drift such as {sample: 5%, reference: 24h} or {}"

    sample: Annotated[float, measures.share(zero=False)] = 0.05
    """Share of requests that are read, at most 20 a second of each worker and arm. 5% unless written."""
    reference: Duration = 86_400.0
    """How long from a field's first values makes the time that later ones are compared with; whole days compare each
    hour with the same hour. 24h unless written."""
    features: Annotated[list[words.AnyField], words.items("a list such as [age, $.user.country]")] = Field(
        default_factory=list
    )
    """Fields of requests and replies that are counted, their texts by name. All that can be read unless written, with
    texts counted by a hash of 64 values only."""
