"""Who acted, by what right, and who was asked: human oversight as far as the record shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crossfade.approvals import wanted
from crossfade.ledger import Entry, kind_of
from crossfade.ledger.kinds import LOOKED
from crossfade.spec.model import stage_name
from crossfade.state import RULE, Move
from crossfade.view.dossier.blocks import Block, Part, items, table, text, traced
from crossfade.view.dossier.known import Known
from crossfade.view.dossier.questions import facts
from crossfade.view.words import moment

SPEC = "spec"
"""The actor of an entry that records a revision."""

_STOPPING = (Move.HOLD, Move.ROLLBACK)


def people(known: Known) -> Part:
    """Who acted, and why."""
    acts = [entry for entry in known.entries if entry.actor not in (RULE, SPEC) and entry.rule != LOOKED]
    rows = [(entry.n, moment(entry.at), entry.actor, _right(entry.by), _done(entry), entry.sentence) for entry in acts]
    moves = sum(entry.move is not None for entry in acts)
    rules = sum(entry.actor == RULE for entry in known.moves)
    asked = any(stage.approve is not None for stage in known.rollout.stages)
    able = "hold or roll back" if asked else "hold, roll back or promote"
    return Part(
        id="people",
        title="People",
        blocks=[
            text(
                f"{moves} of {len(known.moves)} moves were made by people, {rules} by rule. At any time a person can "
                f"{able}, with a reason, and the ledger keeps who and why."
            ),
            *([table(("entry", "at (UTC)", "who", "known by", "what", "why"), rows, numbers=(0,))] if rows else []),
            *_approvals(known),
            *_stops(acts),
            *_tokens(known),
            *_readers(known),
        ],
        missing=_missing(known, acts),
        trace=facts(known.rollout.name, "SELECT l.n, l.actor, l.kind, l.sentence FROM ledger l ORDER BY l.n"),
    )


def _approvals(known: Known) -> Iterator[Block]:
    """What the spec asked of people, and what they said."""
    asked = [(stage_name(stage), wanted(stage.approve)) for stage in known.rollout.stages if stage.approve is not None]
    if not asked:
        yield text("The spec asks nobody's approval: evidence alone lets the rollout go on.")
        return
    yield text("The spec asks for approval before a stage is entered:")
    yield items([f"{stage}: {who}" for stage, who in asked])
    given = [entry for entry in known.entries if kind_of(entry) == "approve"]
    if not given:
        yield text("None was given.")
        return
    rows = [
        (entry.n, entry.actor, str((entry.about or {}).get("stage")), str((entry.about or {}).get("shown"))[:12])
        for entry in given
    ]
    yield text("Given, each on the evidence that its entry holds:")
    yield table(("entry", "by", "to enter", "on evidence"), rows, numbers=(0,))


def _stops(acts: Sequence[Entry]) -> Iterator[Block]:
    """Who did stop it, and who has shown that they could have."""
    stopped = sorted({entry.actor for entry in acts if entry.move in _STOPPING})
    if stopped:
        yield text(f"It was held or rolled back by {', '.join(stopped)}.")
    able = sorted({entry.actor for entry in acts if _may_stop(entry.by)} - set(stopped))
    if able:
        yield text(f"{', '.join(able)} acted with a right that includes to hold it and to roll it back.")


def _tokens(known: Known) -> Iterator[Block]:
    """Who was given a right to act, by the account log."""
    if not known.accounts:
        return
    void = {one.get("of") for one in known.accounts if one["what"] == "undone"}
    rows = [
        (one["n"], moment(one["at"]), one["name"], ", ".join(one["roles"]), one["what"], one["by"])
        for one in known.accounts
        if one["what"] != "undone" and one["n"] not in void
    ]
    yield text("Tokens for the control port, of all rollouts of the data folder, as its account log has them:")
    yield traced(
        table(("entry", "at (UTC)", "whose", "roles", "what", "by"), rows, numbers=(0,)), "cat FOLDER/accounts.jsonl"
    )


def _readers(known: Known) -> Iterator[Block]:
    """Who saw what users were answered."""
    looks = [entry for entry in known.entries if entry.rule == LOOKED]
    if not looks:
        kept = known.rollout.examples is not None
        none = "Nobody is recorded to have looked at replies that are kept as examples."
        yield text(none if kept else "The spec keeps no replies as examples, so that nobody could look at any.")
        return
    rows = [(entry.n, moment(entry.at), entry.actor, _right(entry.by)) for entry in looks]
    yield text("Who looked at replies that are kept as examples, once an hour a person:")
    yield table(("entry", "at (UTC)", "who", "known by"), rows, numbers=(0,))


def _may_stop(by: Mapping[str, Any] | None) -> bool:
    """Whether somebody known like this may stop a rollout: by a role for it, or as the store is theirs to write."""
    if not by:
        return False
    return by.get("through") != "token" or bool({"operator", "approver"} & set(by.get("roles", ())))


def _right(by: Mapping[str, Any] | None) -> str:
    if not by:
        return "not recorded"
    if by.get("through") == "token":
        return f"token {by.get('token')} ({', '.join(by.get('roles', ()))})"
    return f"{by.get('through')}, account {by['user']}" if "user" in by else str(by.get("through"))


def _done(entry: Entry) -> str:
    what = str(entry.move or entry.rule)
    instead = (entry.about or {}).get("instead_of") if kind_of(entry) == "override" else None
    return f"{what}, in place of: {instead}" if instead else what


def _missing(known: Known, acts: Sequence[Entry]) -> list[str]:
    told = ["who these people are and what they are trained for: names are as the system knew them"]
    if known.accounts:
        told.append("who may write the data folder, and could have acted without a token")
    else:
        told.append(
            "who else could have stopped it: no token was ever given, and who may write the data folder is not told"
        )
    unknown = sum(not entry.by for entry in acts)
    if unknown:
        told.append(f"by what right {unknown} acts were done: an earlier version did not record it")
    return told
