"""What somebody may have meant who wrote a name that is not known, at a price that strangers cannot drive up."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 20
"""Names looked for in one report: one search takes milliseconds, and a body may hold a hundred thousand wrong names."""

LONGEST = 64
"""Characters of a name that is looked for."""

AMONG = 50
"""Names that it is compared with: those whose lengths are nearest."""


class Near:
    """Looks for a few names, and then for no more."""

    __slots__ = ("_left",)

    def __init__(self, most: int = MOST) -> None:
        self._left = most

    def __call__(self, name: str, names: Iterable[str], *, cutoff: float = 0.6) -> str:
        """The known name that is most like this one; '' where none is, or where enough were looked for."""
        if len(name) > LONGEST or self._left <= 0:
            return ""
        self._left -= 1
        among = sorted(names, key=lambda known: abs(len(known) - len(name)))[:AMONG]
        return next(iter(get_close_matches(name, among, n=1, cutoff=cutoff)), "")
