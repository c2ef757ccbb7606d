"""What happened to people: exposure over time, drift, harm and incidents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crossfade.ledger import kind_of
from crossfade.spec.model import stage_name
from crossfade.state import Move, Phase, Position, weight
from crossfade.view.dossier.blocks import Block, Part, items, picture, table, text, traced
from crossfade.view.dossier.decided import per_arm
from crossfade.view.dossier.known import Known
from crossfade.view.dossier.questions import FAULTS, LEASES, SPANS, facts, late, reached
from crossfade.view.drift import about
from crossfade.view.words import duration, moment, of_which, percent, whole


def exposure(known: Known) -> Part:
    """How many met the challenger, and when."""
    if not known.moves:
        return Part(id="exposure", title="Exposure over time", blocks=[], missing=["it has not started"])
    steps = []
    for entry in known.moves:
        position = Position.from_json(entry.to_position or {})
        stage = stage_name(known.rollout.stages[position.stage])
        steps.append({"at": entry.at, "weight": weight(known.rollout, position), "move": entry.move, "stage": stage})
    end = max([known.moves[-1].at, *(float(part["until"]) for part in known.timeline)])
    rows = []
    for place, (entry, following) in enumerate(zip(known.moves, [*known.moves[1:], None], strict=True)):
        position = Position.from_json(entry.to_position or {})
        until = following.at if following else end
        rows.append(
            (
                f"{moment(entry.at)}",
                entry.move,
                _where(known, position),
                percent(weight(known.rollout, position)),
                duration(until - entry.at),
                per_arm({arm: whole(n) for arm, n in known.spans[place].items()}) if known.spans else "",
            )
        )
    seen = "" if known.timeline else " What was seen is not in the record."
    head = ("from (UTC)", "move", "to", "planned share", "for", "units seen meanwhile")
    name = known.rollout.name
    return Part(
        id="exposure",
        title="Exposure over time",
        blocks=[
            traced(
                picture(
                    "exposure",
                    f"The planned share of units of the challenger as steps, and the share seen as a line.{seen}",
                    steps=steps,
                    looks=_seen(known),
                    end=end,
                ),
                facts(name, known.slices) if known.slices else "",
            ),
            traced(table(head, rows, numbers=(3, 4)), facts(name, SPANS)),
            text(
                "A unit that came in two of these spans is counted in both. Evidence below counts fewer: units whose "
                "facts had come in when it was decided, and for outcomes those whose window had closed."
            ),
            *_late(known),
        ],
    )


def _where(known: Known, position: Position) -> str:
    """Where a move led, in a word: a stage, or a phase that is over."""
    if position.phase is Phase.RUNNING or position.phase is Phase.HELD:
        return stage_name(known.rollout.stages[position.stage])
    return str(position.phase).replace("_", " ")


def _late(known: Known) -> Iterator[Block]:
    """Whom a challenger still served after it was stopped."""
    if not any(entry.move == Move.ROLLBACK for entry in known.moves):
        return
    told = "No request is recorded as served by a challenger after it was rolled back."
    if known.late:
        told = " ".join(
            f"After the rollback of entry {one['n']} gateways served {whole(one['requests'])} more requests of "
            f"{whole(one['units'])} units by a challenger until they had heard of it, the last of them "
            f"{one['seconds']:.2f} s later."
            for one in known.late
        )
    elif not known.arms:
        told = "Whether a challenger served anybody after it was rolled back is not in the record."
    yield traced(text(told), facts(known.rollout.name, late(known.rollout)))


def _seen(known: Known) -> list[dict[str, Any]]:
    """The share of units on challengers, slice by slice."""
    found = []
    for part in known.timeline:
        units = {arm: int(count) for arm, count in part["units"].items()}
        everybody = sum(units.values())
        if everybody:
            mine = sum(units.get(arm.name, 0) for arm in known.rollout.challengers)
            at = (part["at"] + part["until"]) / 2.0
            found.append({"at": at, "actual": mine / everybody, "units": everybody, "lines": []})
    return found


def drift(known: Known) -> Part:
    """Whether the world, a model or the feed changed meanwhile."""
    told = known.view.get("drift")
    if told is None:
        return Part(
            id="drift",
            title="Drift",
            blocks=[],
            missing=[
                "no check of the inputs or of the world is in this record: its spec does not ask for one by `drift`. "
                "Arms are compared at the same time, so that a change which meets both is not taken for a difference "
                "between them"
            ],
        )
    rows = [
        (field["side"], field["field"], field["arm"] or "all", field["what"], moment(field["since"]) if field["since"]
         else "", f"{field['psi']:.2g}" if field["psi"] is not None else "")
        for field in told["fields"] if field["changed"]
    ]  # fmt: skip
    unmeasured = sorted({field["reason"] for field in told["fields"] if not field["measured"]})
    head = ("side", "field", "arm", "what changed", "since (UTC)", "PSI")
    return Part(
        id="drift",
        title="Drift",
        blocks=[
            *(text(one["sentence"]) for one in told["findings"] if one["cause"] != "unmeasured"),
            *([table(head, rows, numbers=(5,))] if rows else []),
            text(about(told)),
        ],
        missing=[one["sentence"] for one in told["findings"] if one["cause"] == "unmeasured"]
        or [f"some fields are not measured: {reason}" for reason in unmeasured],
    )


def harm(known: Known) -> Part:
    """What the challenger did to those who met it."""
    told = known.view["harm"]
    name = known.rollout.name
    met = ", ".join(f"{whole(units)} units by {arm}" for arm, units in known.reached.items())
    blocks: list[Block] = [
        traced(
            text(f"Served at least once: {met}." if met else "No unit is recorded as served by a challenger."),
            facts(name, reached(known.rollout)),
        )
    ]
    for metric in told["metrics"]:
        budget = f" A budget of {metric['budget']:g} was set." if metric["budget"] is not None else ""
        blocks += [text(f"{excess_said(metric)}{budget}"), items(metric["arithmetic"])]
    if told["metrics"]:
        until = (
            f"Counted stage by stage over all that had come in by {moment(known.view['at'])} UTC, also after the last "
            "decision; units whose window was still open are not counted. It is an estimate: the champion's "
            "rate is that of "
            "the units beside them."
        )
        blocks.append(text(until))
    return Part(
        id="harm",
        title="Harm",
        blocks=blocks,
        missing=[*([] if told["metrics"] else ["no metric counts events, so harm has no number"]), *unmade(known)],
        trace=f"crossfade report {name} --folder FOLDER -o FILE.json",
    )


def excess_said(metric: Mapping[str, Any]) -> str:
    """How many events more or fewer than at the champion's rate."""
    total = metric["excess"]
    if total is None:
        return f"{metric['metric']}: no champion units beside them, so that harm has no number."
    if abs(total) < 0.05:
        return f"{metric['metric']}: as many units with bad events as at the champion's rate."
    more = "more" if total > 0 else "fewer"
    return f"{metric['metric']}: about {abs(total):,.1f} {more} units with bad events than at the champion's rate."


def unmade(known: Known) -> list[str]:
    """What to say of counts that could not be made anew."""
    return [] if known.view["from"] == "facts" else ["counts from the facts: these are the ones that were last shown"]


def incidents(known: Known) -> Part:
    """What went wrong on the way."""
    counts = known.view["counts"]
    rows = [(entry.n, moment(entry.at), entry.move, entry.sentence) for entry in known.moves if entry.move in _STOPS]
    blocks: list[Block] = []
    if rows:
        blocks += [text("Holds and rollbacks:"), table(("entry", "at (UTC)", "move", "why"), rows, numbers=(0,))]
    faults = [(one["what"], whole(one["times"]), moment(one["first"]), moment(one["last"])) for one in known.faults]
    if faults:
        blocks += [
            text("Faults of Crossfade itself:"),
            traced(
                table(("what", "times", "first (UTC)", "last (UTC)"), faults, numbers=(1,)),
                facts(known.rollout.name, FAULTS),
            ),
        ]
    lost = []
    if known.leases:
        lost.append(f"gateways lost the controller {whole(known.leases)} times; only the champion served meanwhile")
    lost += [f"entry {entry.n}: {entry.sentence}" for entry in known.entries if kind_of(entry) in _OUTAGES]
    if known.dropped:
        lost.append(f"{whole(sum(known.dropped.values()))} shadow copies were dropped{of_which(None, known.dropped)}")
    if counts.get("orphans"):
        lost.append(f"{whole(counts['orphans'])} outcomes joined no exposure")
    if lost:
        blocks.append(items(lost))
    if not blocks:
        blocks.append(text("No hold, no rollback, no fault and no loss is recorded."))
    if not faults:
        blocks.append(traced(text("Faults of Crossfade itself: none is recorded."), facts(known.rollout.name, FAULTS)))
    return Part(
        id="incidents",
        title="Incidents",
        blocks=blocks,
        missing=["complaints of people, and what happened outside of what was measured"],
        trace=facts(known.rollout.name, LEASES),
    )


_OUTAGES = ("takeover", "lease")
"""Entries of the controller having been away."""

_STOPS = (Move.HOLD, Move.ROLLBACK)
