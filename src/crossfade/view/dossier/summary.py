"""The dossier in a few lines: what was decided and when, who met it, what it cost, and whether the record holds."""

from __future__ import annotations

from crossfade.spec.model import Promote
from crossfade.state import RULE, Phase, Position, weight
from crossfade.view.dossier.happened import excess_said
from crossfade.view.dossier.known import Known
from crossfade.view.words import duration, known_at, moment, percent, whole


def summary(known: Known) -> list[dict[str, str]]:
    """Lines of a label, a text, and the part that shows it."""
    told = [
        ("Decision", _decision(known), "evidence"),
        ("Standing", _standing(known), "exposure"),
        ("Exposure", _exposure(known), "exposure"),
        ("Harm", _harm(known), "harm"),
        ("People", _people(known), "people"),
        ("Record", _record(known), "integrity"),
    ]
    return [{"label": label, "text": text, "part": part} for label, text, part in told]


def _decision(known: Known) -> str:
    if not known.moves:
        return "None was taken: the rollout has not started."
    last = known.moves[-1]
    who = f"the spec's rules ({last.rule})" if last.actor == RULE else last.actor
    return f"{last.sentence} Decided by {who} at {moment(last.at)} UTC, entry {last.n} of the ledger."


def _standing(known: Known) -> str:
    last = known.entries[-1]
    position = Position.from_json(last.to_position or Position().to_json())
    since = f"since {moment(known.moves[-1].at)} UTC" if known.moves else ""
    told = f"{position.phase.replace('_', ' ')} {since}".strip()
    told = told[:1].upper() + told[1:]
    stage = known.rollout.stages[position.stage]
    if position.phase is Phase.PROMOTED and isinstance(stage, Promote) and stage.watch:
        until = position.stage_since + stage.watch
        return f"{told}; the watch after promotion lasts until {moment(until)} UTC and {_watched(known, until)}."
    return f"{told}."


def _watched(known: Known, until: float) -> str:
    return "had not ended when this was written" if known.now < until else "has passed without an entry that ends it"


def _exposure(known: Known) -> str:
    most = max(
        (weight(known.rollout, Position.from_json(entry.to_position or {})) for entry in known.moves), default=0.0
    )
    seen = ", ".join(f"{whole(units)} units met {arm}" for arm, units in known.reached.items()) or (
        "nobody met a challenger" if known.arms else "whom it met is not in the record"
    )
    told = f"{seen[:1].upper()}{seen[1:]}; the largest planned share was {percent(most)}."
    if known.period is not None:
        first, last = known.period
        told += f" Requests from {moment(first)} to {moment(last)} UTC ({duration(last - first)})."
    return told


def _harm(known: Known) -> str:
    metrics = known.view["harm"]["metrics"]
    if not metrics:
        return "No metric counts events, so that harm has no number."
    return f"{' '.join(excess_said(metric) for metric in metrics)} This is {known_at(known.view)}."


def _people(known: Known) -> str:
    by_rule = sum(entry.actor == RULE for entry in known.moves)
    people = len(known.moves) - by_rule
    asked = sum(stage.approve is not None for stage in known.rollout.stages)
    gates = f"{asked} stages needed approval" if asked else "no stage needed anybody's approval"
    return f"{by_rule} of {len(known.moves)} moves were made by the spec's rules and {people} by people; {gates}."


def _record(known: Known) -> str:
    verified, replayed = known.verified, known.replayed
    if not verified["intact"]:
        return f"THE RECORD DOES NOT HOLD: {verified['reason']}."
    signed = "signed" if verified["signed"]["by"] and not verified["signed"]["unsigned"] else "not signed throughout"
    if replayed.get("decisions") is None:
        return f"Intact, {signed}; its decisions were not recomputed."
    aged = f", {replayed['aged_out']} aged out" if replayed.get("aged_out") else ""
    wrong = len(replayed["differing"])
    differ = f", {wrong} DID NOT COME OUT AGAIN" if wrong else ""
    return f"Intact, {signed}; {replayed['reproduced']} of {replayed['decisions']} decisions reproduced{aged}{differ}."
