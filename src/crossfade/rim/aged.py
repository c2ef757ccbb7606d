"""Whether facts that are gone went in their time: a seal said so before, and the spec no longer asked for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossfade.ledger import Entry, Sealed
from crossfade.spec.parse import parse
from crossfade.spec.problems import SpecProblems
from crossfade.view.words import duration, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A file that a decision stands on and that a seal says was removed."""

    lawful: bool
    """It was removed after the time for which the spec asks to keep facts."""
    said: str


class Aged:
    """By what rule the facts of one rollout may go, as its own record says."""

    def __init__(self, entries: Sequence[Entry], specs: Mapping[str, str], seals: Sequence[Sealed]) -> None:
        self._entries, self._specs, self._seals = entries, specs, seals
        self._kept: dict[str, float | None] = {}

    def gone(self, entry: Entry, by: int) -> Gone:
        """What to say of facts of a decision that the seal with this number removed."""
        seal = self._seals[by - 1]
        kept, when = self._keep(seal.at), moment(seal.at)
        if kept is None:
            return Gone(
                lawful=False, said=f"its facts were removed by seal {by}, and no spec says for how long to keep"
            )
        if entry.at + kept <= seal.at:
            asks = f"beyond the {duration(kept)} that keep_facts asks for"
            return Gone(
                lawful=True, said=f"aged out, as recorded: its facts were deleted {asks} (seal {by}, {when} UTC)"
            )
        asked = f"keep_facts asks for {duration(kept)} from {moment(entry.at)} UTC on"
        return Gone(lawful=False, said=f"its facts were removed too early, by seal {by} at {when} UTC: {asked}")

    def _keep(self, at: float) -> float | None:
        """For how long the revision that was in force then asks to keep facts."""
        inforce = [entry.revision for entry in self._entries if entry.at <= at]
        revision = inforce[-1] if inforce else self._entries[0].revision
        if revision not in self._kept:
            try:
                self._kept[revision] = parse(self._specs[revision]).keep_facts
            except (KeyError, SpecProblems):
                self._kept[revision] = None
        return self._kept[revision]
