"""Pages of one merged list: which slots a request asks for, and what models must be asked so that they can be merged.

The second page of a merged list depends on what the first one showed. So models are asked for everything up to its end,
the same list is drawn again, and the page is cut out of it: nothing has to be remembered between requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote_plus, unquote_plus

import msgspec
import xxhash

from crossfade.live import paths
from crossfade.spec.model import Parameter, Ranking

GROWING = ("team-draft", "balanced")
"""Methods by which longer rankings begin with what shorter ones gave. By the others a list depends on its last item, so
that every page asks for the same depth."""

MOST_ITEMS = 1_000_000
"""A page that begins beyond is no page."""

Document = Callable[[], Any]


class Page(NamedTuple):
    """Slots of the merged list, from 0."""

    start: int
    stop: int | None
    """None: as many as the models gave."""
    asked_anew: bool
    """Models were asked for more than the client asked for."""
    beyond: bool
    """Deeper than lists are merged."""


class Turned(NamedTuple):
    """A request as models have to get it."""

    page: Page | None
    target: bytes
    body: bytes
    digest: str
    """Of what was searched, the same for all pages."""


def turned(ranking: Ranking, method: str, target: bytes, body: bytes, document: Document) -> Turned | None:
    """What a request asks for; None where nothing in it says so. Never raises."""
    try:
        return _turned(ranking, method, target, body, document)
    except (ValueError, TypeError, RecursionError):
        return None


def _turned(ranking: Ranking, method: str, target: bytes, body: bytes, document: Document) -> Turned | None:
    pages = ranking.pages
    if pages is None:
        return Turned(None, target, body, _digest(ranking, target, body, document)) if ranking.query else None
    first, limit = _number(pages.first, target, document), _number(pages.limit, target, document)
    size = pages.size if limit is None else limit
    start = (pages.start if first is None else first) - pages.start
    start *= size if pages.counted else 1
    if size < 1 or not 0 <= start <= MOST_ITEMS:
        return None
    digest = _digest(ranking, target, body, document)
    stop = start + size
    if stop > pages.deepest:
        return Turned(Page(start, None, False, start > 0), target, body, digest)
    if not start and method in GROWING:
        return Turned(Page(0, None if limit is None else stop, False, False), target, body, digest)
    asked = {pages.first: pages.start, pages.limit: stop if method in GROWING else pages.deepest}
    return Turned(Page(start, stop, True, False), *_with(target, body, document, asked), digest)


def _number(parameter: Parameter, target: bytes, document: Document) -> int | None:
    """The number there; None where there is nothing. Raises ValueError for what is no whole number."""
    value = _value(parameter, target, document)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is no whole number")
    return int(value)


def _value(parameter: Parameter, target: bytes, document: Document) -> Any:
    if not parameter.in_query:
        return paths.compile(parameter.name).get(document())
    found = [value for name, value in _members(target) if name == parameter.name]
    return found[-1] if found else None


def _members(target: bytes) -> list[tuple[str, str]]:
    query = target.partition(b"?")[2]
    pairs = [pair.partition(b"=") for pair in query.split(b"&") if pair]
    return [(unquote_plus(name.decode("latin-1")), unquote_plus(value.decode("latin-1"))) for name, _, value in pairs]


def _with(target: bytes, body: bytes, document: Document, numbers: dict[Parameter, int]) -> tuple[bytes, bytes]:
    """Target and body with some numbers replaced; every other byte of the target stays, and every other member."""
    path, _, query = target.partition(b"?")
    in_query = {parameter.name: number for parameter, number in numbers.items() if parameter.in_query}
    kept = [pair for pair in query.split(b"&") if pair and _name(pair) not in in_query]
    added = [f"{quote_plus(name)}={number}".encode() for name, number in in_query.items()]
    pairs = b"&".join([*kept, *added])
    in_body = {parameter.name: number for parameter, number in numbers.items() if not parameter.in_query}
    if in_body:
        said = document()
        for name, number in in_body.items():
            place = paths.compile(name)
            said = place.set(said, str(number) if isinstance(place.get(said), str) else number)
        body = msgspec.json.encode(said)
    return (path + b"?" + pairs if pairs else path), body


def _name(pair: bytes) -> str:
    return unquote_plus(pair.partition(b"=")[0].decode("latin-1"))


def _digest(ranking: Ranking, target: bytes, body: bytes, document: Document) -> str:
    """A fingerprint of what was searched: what `query` names, or all but the page."""
    path = target.partition(b"?")[0]
    if ranking.query:
        said = [_value(parameter, target, document) for parameter in ranking.query]
        return _print(path, msgspec.json.encode(said))
    assert ranking.pages is not None
    page = (ranking.pages.first, ranking.pages.limit)
    names = {parameter.name for parameter in page if parameter.in_query}
    kept = b"&".join(pair for pair in target.partition(b"?")[2].split(b"&") if _name(pair) not in names)
    places = [paths.compile(parameter.name) for parameter in page if not parameter.in_query]
    if places and document() is not None:
        said = document()
        for place in places:
            said = _without(place, said)
        body = msgspec.json.encode(said)
    return _print(path + b"?" + kept, body)


def _without(place: paths.Path, said: Any) -> Any:
    try:
        return place.set(said, None)
    except paths.PathError:
        return said


def _print(target: bytes, body: bytes) -> str:
    return f"{xxhash.xxh3_64_intdigest(body, xxhash.xxh3_64_intdigest(target)):016x}"
