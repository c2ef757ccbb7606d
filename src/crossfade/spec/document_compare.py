"""How people write the comparison of single fields; part of `spec.document`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from crossfade.spec import measures, words
from crossfade.spec.measures import Share
from crossfade.spec.model import Comparator
from crossfade.spec.words import JsonPath
from crossfade.spec.written import Written

MEASURES: dict[Comparator, tuple[str, ...]] = {
    Comparator.PROBABILITIES: ("variation", "argmax"),
    Comparator.RANKING: ("rbo", "tau", "overlap"),
    Comparator.TEXT: ("normalised", "words", "phrases", "length", "embedding"),
}
"""What `by` may say for each comparator that knows several measures, its own first."""

_COMPARATOR = words.choice(Comparator)
_MEASURE = words.choice([word for some in MEASURES.values() for word in some])


class ExamplesDocument(Written):
    """Which mirrored pairs that differ are kept with their replies, to look at side by side."""

    what: ClassVar[str] = "examples such as {share: 1%} or {}"

    share: Share = 0.01
    """Of pairs that differ; five of each field are kept in any case. 1% unless written."""
    most: Annotated[int, measures.COUNT] = 200
    """How many pairs each worker keeps, the latest. 200 unless written."""


class ComparisonDocument(Written):
    """How one field of the replies is compared."""

    what: ClassVar[str] = "a comparison such as {as: number, relative: 1%} or {mute: random for each request}"

    how: Annotated[Comparator, _COMPARATOR] | None = Field(default=None, alias="as")
    """What the field holds: exact, number, label, probabilities, ranking, text, tensor or set. As it comes unless
    written: numbers with a small tolerance, everything else exactly."""
    by: Annotated[str, _MEASURE] | None = None
    """Which measure: variation or argmax (probabilities), rbo, tau or overlap (ranking), normalised, words, phrases,
    length or embedding (text). The first of each unless written."""
    within: Share | None = None
    """The largest distance that counts as the same, such as 5%: 0% is the same, 100% has nothing in common."""
    relative: Share | None = None
    """For a number: the tolerance as a share of the larger magnitude, such as 1%."""
    absolute: Annotated[float, measures.AMOUNT] | None = None
    """For a number: the tolerance in the number's own units, such as 0.5."""
    depth: Annotated[int, measures.COUNT] | None = None
    """For a ranking: how many ranks are looked at, such as 10. All unless written."""
    id: JsonPath | None = None
    """For a ranking or a set: JSON path to an item's id inside one item. The item itself unless written."""
    embedding: words.Function | None = None
    """For a text by embedding: your own function as module:function, which turns a list of texts into a vector each."""
    mute: words.Text | None = None
    """Why differences here do not count, such as `random for each request`; they are recorded all the same."""
