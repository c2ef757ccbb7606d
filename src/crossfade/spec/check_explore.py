"""What must hold of the fields in which harm is searched for; part of `spec.check`."""

from __future__ import annotations

from crossfade.spec.document import Document
from crossfade.spec.model import From
from crossfade.spec.partial import known
from crossfade.spec.source import shown

MOST = 16
"""Fields that are searched beside the declared ones: pairs of them grow with the square."""

_ALLOWED = "header:NAME, cookie:NAME or json:$.path"


def check_explore(document: Document) -> None:
    """Report fields that would make every unit a group, or be searched twice."""
    if not known(document.explore):
        return
    node = document.at("explore")
    if len(document.explore) > MOST:
        node.report(
            f"found {len(document.explore)} fields, all pairs of which are searched; expected at most {MOST} fields",
            allowed=f"at most {MOST} fields",
        )
    taken: dict[str, str] = {}
    if known(document.segments):
        taken |= {str(field): "among the segments, which are searched, too" for field in document.segments}
    for index, field in enumerate(document.explore):
        if not known(field):
            continue
        at = node.value[index]
        if field.source is From.REQUEST:
            at.report(f"every request would be a group of its own; expected {_ALLOWED}", allowed=_ALLOWED)
        elif known(document.unit) and field == document.unit:
            at.report(
                f"found {shown(str(field))}, which is the unit: every unit would be a group of its own; remove it"
            )
        elif str(field) in taken:
            at.report(f"found {shown(str(field))}, which is {taken[str(field)]}; remove it")
        taken.setdefault(str(field), "there already")
