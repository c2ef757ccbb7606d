"""How a demo scenario ended, as a record and as sentences. Pure: it reads records and counts, and invents no number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.sim.delivered import Delivered
from crossfade.sim.rival import Needed
from crossfade.sim.scenarios import Scenario
from crossfade.sim.training import Trained
from crossfade.state import Phase
from crossfade.view.words import percent, signed, whole

SCHEMA = "crossfade.demo/1"

Record = Mapping[str, Any]


def summary(
    scenario: Scenario,
    record: Record | None,
    *,
    expected: Phase,
    seconds: float,
    trained: Trained,
    fault: str,
    tally: Record | None,
    counted: Delivered | None,
    ranking: Record | None = None,
    deaths: int = 0,
) -> dict[str, Any]:
    """The summary of one scenario. `counted` is None while the facts are still being written.

    `deaths` counts how often the challenger's server went away without being told to: after that, rolling back is
    right even for the better model.
    """
    phase = record["phase"] if record else None
    ended = phase == expected or (deaths > 0 and phase == Phase.ROLLED_BACK)
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "rollout": scenario.rollout,
        "fault": fault,
        "expected": str(expected),
        "phase": phase,
        "as_expected": ended,
        "challenger_deaths": deaths,
        "seconds": round(seconds, 1),
        "sentence": record["sentence"] if record else "The rollout has no record.",
        "held_out": {"champion": trained.champion_score, "challenger": trained.challenger_score},
        "decisions": list(record["decisions"]) if record else [],
        "harmed": _harmed(record, counted),
        "harm": dict(record["harm"]) if record else None,
        "client": dict(tally) if tally else None,
        "ranking": dict(ranking) if ranking else None,
    }


def _harmed(record: Record | None, counted: Delivered | None) -> dict[str, Any] | None:
    if record is None or counted is None:
        return None
    champion, challenger = _names(record)
    return {
        "arm": challenger,
        "baseline": champion,
        "units": counted.units.get(challenger, 0),
        "arms": {
            arm: {
                "units": counted.units.get(arm, 0),
                "answers": counted.answers(arm),
                "judged": counted.judged(arm),
                "wrong": counted.wrong(arm),
            }
            for arm in (champion, challenger)
        },
        "excess_wrong": counted.excess(challenger, champion),
    }


def _names(record: Record) -> tuple[str, str]:
    roles = {arm["role"]: name for name, arm in record["arms"].items()}
    return roles["champion"], roles["challenger"]


def ranking_result(
    record: Record, evidence: Sequence[Record], interleaved: Needed | None, ab: Sequence[Needed]
) -> dict[str, Any] | None:
    """Which ranker people preferred, and what an A/B test would have needed; None when no preference was measured."""
    champion, challenger = _names(record)
    line = next((e for e in evidence if e["stage"] == "interleave" and e["role"] == "goal"), None)
    if line is None or line["estimate"] is None:
        return None
    prefers_challenger = (line["estimate"] > 0.0) == (line["better"] == "higher")
    return {
        "preferred": challenger if prefers_challenger else champion,
        "verdict": line["verdict"],
        "preference": line["estimate"],
        "lower": line["lower"],
        "upper": line["upper"],
        "confidence": line["confidence"],
        "sessions": sum(line["units"].values())
        if len(set(line["units"].values())) > 1
        else max(line["units"].values()),
        "interleaving": _needed(interleaved) if interleaved else None,
        "ab": [_needed(needed) for needed in ab],
    }


def _needed(needed: Needed) -> dict[str, Any]:
    return {"metric": needed.metric, "sessions": needed.sessions, "runs": needed.runs, "most": needed.most}


def sentences(said: Record) -> list[str]:
    """The summary of one scenario in words."""
    ended = str(said["phase"] or "unknown").replace("_", " ")
    wanted = str(said["expected"]).replace("_", " ")
    first = f"{said['rollout']} ended {ended} after {said['seconds']:.0f} s"
    lines = [f"{first}, as it should." if said["as_expected"] else f"{first}; it should have been {wanted}."]
    if said["challenger_deaths"]:
        times = "once" if said["challenger_deaths"] == 1 else f"{whole(said['challenger_deaths'])} times"
        right = "" if said["expected"] == Phase.ROLLED_BACK else ", so rolling back is right too"
        lines.append(f"The challenger's server died {times} and was restarted{right}.")
    # The last decision, not the present sentence: that may already speak of what comes next.
    lines.append(f"Why: {said['decisions'][-1]['reason'] if said['decisions'] else said['sentence']}")
    harm = _harm_in_words(said["harmed"]) if said["harmed"] else _harm_so_far(said["harm"])
    for part in (harm, _client_in_words(said["client"]), _ranking_in_words(said["ranking"])):
        lines.extend(part)
    return lines


def _harm_so_far(harm: Record | None) -> list[str]:
    """The rollout's own account of harm in units, for while its facts are still being written."""
    if harm is None or harm["units"] is None:
        return ["Who was harmed could not be counted."]
    lines = [f"{harm['arm']} has served {whole(harm['units'])} units so far."]
    for metric in harm["metrics"]:
        lines.extend(f"{metric['metric']}, in units: {text}." for text in metric["arithmetic"])
    return lines


def _harm_in_words(harmed: Record) -> list[str]:
    if not harmed["units"]:
        return [f"No user ever got an answer from {harmed['arm']}."]
    mine, base = harmed["arms"][harmed["arm"]], harmed["arms"][harmed["baseline"]]
    text = f"{harmed['arm']} answered {whole(mine['units'])} units {whole(mine['answers'])} times"
    if not mine["judged"]:
        return [text + "."]
    text += f"; {whole(mine['wrong'])} of {whole(mine['judged'])} judged answers were wrong"
    if base["judged"]:
        text += f" ({percent(mine['wrong'] / mine['judged'])}; {harmed['baseline']}: "
        text += f"{percent(base['wrong'] / base['judged'])})"
    lines = [text + "."]
    excess = harmed["excess_wrong"]
    if excess is not None:
        kind = "more wrong answers" if excess > 0 else "fewer wrong answers"
        lines.append(f"That is {whole(round(abs(excess)))} {kind} than {harmed['baseline']} would have given them.")
    return lines


def _client_in_words(client: Record | None) -> list[str]:
    if client is None:
        return ["The users left no tally."]
    kinds = ", ".join(f"{name} {whole(n)}" for name, n in client["failures"].items())
    text = f"The client saw {whole(client['failed'])} failed requests of {whole(client['requests'])}"
    lines = [text + (f" ({kinds})." if kinds else ".")]
    if client["reset_in_flight"]:
        lines.append(f"{whole(client['reset_in_flight'])} connections died under a request, with a gateway.")
    return lines


def _ranking_in_words(ranking: Record | None) -> list[str]:
    if ranking is None:
        return []
    bounds = (ranking["preference"], ranking["lower"], ranking["upper"])
    low, high = (signed(b, "", like=bounds) if b is not None else "open" for b in bounds[1:])
    lines = [
        f"Interleaving prefers {ranking['preferred']}: {signed(bounds[0], '', like=bounds)}, "
        f"{percent(ranking['confidence'])} interval {low} to {high}, from {whole(ranking['sessions'])} sessions."
    ]
    inter = ranking["interleaving"]
    if inter and inter["sessions"] is not None:
        lines.append(
            f"The preference alone is decided after {whole(inter['sessions'])} sessions (median of simulation)."
        )
    for needed in ranking["ab"]:
        count = (
            f"{whole(needed['sessions'])}" if needed["sessions"] is not None else f"more than {whole(needed['most'])}"
        )
        lines.append(f"An A/B test on {needed['metric']} would have needed {count} sessions of the same traffic.")
    return lines
