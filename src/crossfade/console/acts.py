"""What a person may do to a rollout from a page: its words, the role it takes, when it is possible, and doing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from crossfade.approvals import IllegalApproval
from crossfade.console.access import Caller
from crossfade.console.markup import Markup, el
from crossfade.console.problems import Refused
from crossfade.ledger import Entry
from crossfade.rim.approving import approve_by_hand
from crossfade.rim.excluding import exclude_by_hand
from crossfade.rim.muting import mute_by_hand
from crossfade.rim.standing import move_by_hand
from crossfade.rim.store import Store
from crossfade.rim.tokens import APPROVE, MOVE, STOP
from crossfade.state import TRANSITIONS, IllegalExclusion, IllegalMove, IllegalMute, Move, Phase

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that a person may do."""

    word: str
    """As in the address, in the API and on the command line."""
    label: str
    needs: str
    """What the token has to allow."""
    does: str
    """What follows from it."""
    move: Move | None = None
    about: str = ""
    """What must be named: a `field` of replies or a `segment`."""
    grave: bool = False
    """Whether there is no way back."""


ACTS: Mapping[str, Act] = {
    act.word: act
    for act in (
        Act(
            word="start",
            label="Start",
            needs=MOVE,
            move=Move.START,
            does="The challenger enters its first stage, and rules watch it from then on.",
        ),
        Act(
            word="hold",
            label="Hold",
            needs=STOP,
            move=Move.HOLD,
            does="Exposure stays where it is until somebody resumes. Proven harm still rolls it back.",
        ),
        Act(
            word="resume",
            label="Resume",
            needs=MOVE,
            move=Move.RESUME,
            does="The rollout goes on. The present step is watched for its full time again.",
        ),
        Act(
            word="advance",
            label="Advance",
            needs=MOVE,
            move=Move.ADVANCE,
            does="The next step or stage begins without waiting for the evidence. The ledger says that a rule was "
            "overridden.",
        ),
        Act(
            word="promote",
            label="Promote",
            needs=MOVE,
            move=Move.PROMOTE,
            does="The challenger gets every unit but the holdback, whatever the evidence says. The ledger says that a "
            "rule was overridden.",
        ),
        Act(
            word="rollback",
            label="Roll back",
            needs=STOP,
            move=Move.ROLLBACK,
            grave=True,
            does="Every unit goes back to the champion within a second. This rollout is over then; another try is a "
            "new rollout.",
        ),
        Act(
            word="approve",
            label="Approve",
            needs=APPROVE,
            does="The rollout may enter the stage that waits for it, on the evidence that is shown now.",
        ),
        Act(
            word="mute",
            label="Mute a field",
            needs=MOVE,
            about="field",
            does="Differences in this field, and in those below it, do not count any more, in gates neither. The page "
            "of differences shows who muted it, and why.",
        ),
        Act(
            word="unmute",
            label="Let a field count again",
            needs=MOVE,
            about="field",
            does="Differences in this field count again.",
        ),
        Act(
            word="exclude",
            label="Keep a segment on the champion",
            needs=STOP,
            about="segment",
            does="Requests of this segment are answered by the champion from now on.",
        ),
        Act(
            word="include",
            label="Serve a segment again",
            needs=MOVE,
            about="segment",
            does="Requests of this segment are served like all others again.",
        ),
    )
}
"""By word."""


def possible(act: Act, record: Record) -> bool:
    """Whether a rollout's phase allows it."""
    phase = Phase(record["phase"])
    ended = phase in (Phase.ROLLED_BACK, Phase.FINISHED)
    match act.word:
        case "approve":
            return bool((record.get("approval") or {}).get("waiting"))
        case "exclude":
            return not ended and record.get("segments") is not None
        case "include":
            return bool(record.get("excluded"))
        case "mute":
            return any(stage["stage"] == "shadow" for stage in record["stages"])
        case "unmute":
            return bool(record.get("muted"))
        case _:
            return act.move is not None and (phase, act.move) in TRANSITIONS


def done(
    store: Store,
    name: str,
    act: Act,
    *,
    caller: Caller,
    actor: str,
    reason: str,
    about: str = "",
    shown: str | None = None,
    at: float,
) -> Entry:
    """Do it, and what the ledger has of it. Raises Refused."""
    try:
        if act.move is not None:
            return move_by_hand(store, name, act.move, actor=actor, reason=reason, at=at, by=caller.by)
        if act.word == "approve":
            return approve_by_hand(store, name, actor=actor, reason=reason, at=at, by=caller.by, shown=shown)
        by_hand = mute_by_hand if act.about == "field" else exclude_by_hand
        on = act.word in ("mute", "exclude")
        return by_hand(store, name, about, actor=actor, reason=reason, at=at, on=on, by=caller.by)
    except (IllegalMove, IllegalMute, IllegalExclusion, IllegalApproval) as error:
        raise Refused(409, str(error), "look at the rollout again") from error
    except ValueError as error:
        raise Refused(422, str(error), "fill in what is missing") from error


def acts_bar(record: Record) -> Markup | None:
    """Links to what may be done now: each leads to a page that says what follows, and asks for a reason and a token."""
    words = ("approve", "start", "hold", "resume", "advance", "promote", "rollback", "exclude", "include")
    acts = [ACTS[word] for word in words if possible(ACTS[word], record)]
    links = [
        el("a", f"{act.label}…", href=act_link(record["name"], act.word), class_="grave" if act.grave else None)
        for act in acts
    ]
    return el("nav", links, class_="acts", aria_label="What you can do") if links else None


def act_link(name: str, word: str, **about: str) -> str:
    """Where a person does it."""
    asked = f"?{urlencode(about)}" if about else ""
    return f"/rollouts/{quote(name, safe='')}/act/{word}{asked}"
