"""What entries of a ledger tell, by kind: so that readers can count them, and tests find one of each."""

from __future__ import annotations

from collections.abc import Mapping

from crossfade.ledger.entries import MANUAL, Entry

LOOKED = "looked"
"""The rule of an entry that says who looked at bodies."""

KINDS: Mapping[str, str] = {
    "revision": "a spec, or a changed one, was recorded",
    "start": "the rollout was started",
    "decision": "a rule moved it",
    "manual": "a person moved it",
    "override": "a person advanced, resumed or promoted it, whatever the rules were waiting for",
    "mute": "a person said that differences of a field do not count",
    "unmute": "a person let them count again",
    "approve": "a person approved going on to the next stage",
    "takeover": "another controller took over from one that had died or hung",
    "lease": "gateways had not heard the controller for the lease, and served the champion alone",
    LOOKED: "a person looked at replies that are kept as examples",
    "forgotten": "a unit was forgotten, and files of facts were written anew",
}
"""Each kind and what it tells. An entry of another tells what another part, or a later version, has to say."""

_OVERRIDES = frozenset({"advance", "resume", "promote"})


def kind_of(entry: Entry) -> str:
    """What an entry tells: one of KINDS, or the name of its own rule."""
    if entry.kind == "spec":
        return "revision"
    if entry.move == "start":
        return "start"
    if entry.move is None:
        return entry.rule
    if entry.rule != MANUAL:
        return "decision"
    return "override" if entry.move in _OVERRIDES else "manual"
