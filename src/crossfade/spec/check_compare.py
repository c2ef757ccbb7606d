"""What must hold between the keys of one field's comparison; part of `spec.check`."""

from __future__ import annotations

import re

from crossfade.spec.document import Document
from crossfade.spec.document_compare import MEASURES, ComparisonDocument
from crossfade.spec.model import Comparator, Field, From
from crossfade.spec.partial import fields_recorded, known
from crossfade.spec.problems import listed
from crossfade.spec.source import shown

_BELONGS: dict[str, tuple[Comparator, ...]] = {
    "by": tuple(MEASURES),
    "within": (
        Comparator.PROBABILITIES,
        Comparator.RANKING,
        Comparator.TEXT,
        Comparator.TENSOR,
        Comparator.SET,
    ),
    "relative": (Comparator.NUMBER,),
    "absolute": (Comparator.NUMBER,),
    "depth": (Comparator.RANKING,),
    "id": (Comparator.RANKING, Comparator.SET),
    "embedding": (Comparator.TEXT,),
}
"""Each key that only some comparators know."""

# `$` and steps with `[*]` for elements of a list, or the bare name of a tensor.
_STEPS = r"(?:\.[\w-]+|\[[0-9]{1,9}\]|\[\*\]|\['[^'\x00-\x1f]+'\])"
FIELD = re.compile(rf"\${_STEPS}*|[^$\x00-\x20\x7f][^\x00-\x1f\x7f]{{0,200}}")


_OURS = frozenset(("host", "connection", "content-length", "content-type", "content-encoding", "transfer-encoding"))
"""Headers that say how a request is to be read."""


def check_dry_run(document: Document) -> None:
    """Report a header for mirrored copies that would change what the request is."""
    header = document.dry_run_header
    if not isinstance(header, str):
        return
    units = [field for field in (document.unit, *fields_recorded(document)) if isinstance(field, Field)]
    taken = {field.name for field in units if field.source is From.HEADER}
    if header.lower() in _OURS or header.lower() in taken:
        document.at("dry_run_header").report(
            f"found {shown(header)}, which already means something else; expected one such as x-dry-run",
            allowed="a header that requests do not carry, such as x-dry-run",
        )


def check_compare(document: Document) -> None:
    """Report every problem in the comparisons to the nodes of `document`."""
    if not known(document.compare):
        return
    for path, comparison in document.compare.items():
        if FIELD.fullmatch(path) is None:
            document.at("compare").value[path].report_key(
                f"found the field {shown(path)}; expected a path such as $.label or $.items[*].score, "
                "or the name of an output",
                allowed="$ followed by .name, [0], [*] or ['any name'], or the name of an output",
            )
        if known(comparison):
            check_one(comparison)


def _embedding(comparison: ComparisonDocument) -> None:
    if comparison.wrote("embedding"):
        comparison.at("embedding").report_key("'embedding' belongs to by: embedding; write that as well, or remove it")
    else:
        comparison.place.report_missing(
            "embedding", "by: embedding needs 'embedding', your own function, such as embedding: shop.texts:embed"
        )


def check_one(comparison: ComparisonDocument) -> None:
    """Report what does not fit together in one comparison."""
    how = comparison.how
    if how is None:
        if not comparison.wrote("mute") or any(comparison.wrote(key) for key in _BELONGS):
            comparison.place.report_missing(
                "as",
                "the key 'as' is missing: what the field holds, such as as: number "
                "(or only `mute: why` where its differences do not count)",
            )
        return
    if not known(how):
        return
    for key, fitting in _BELONGS.items():
        if comparison.wrote(key) and how not in fitting:
            comparison.at(key).report_key(
                f"'{key}' belongs to as: {listed([str(one) for one in fitting])}, and this is as: {how}; remove it"
            )
    if how is Comparator.TEXT and comparison.wrote("embedding") is not (comparison.by == "embedding"):
        _embedding(comparison)
    allowed = MEASURES.get(how)
    if allowed and comparison.by is not None and known(comparison.by) and comparison.by not in allowed:
        comparison.at("by").report(
            f"found {shown(comparison.by)}; as: {how} is measured by {listed(list(allowed))}", allowed=listed(allowed)
        )
