"""What was decided: every move with its evidence, segments and groups, and calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from crossfade.judge.evidence import Evidence, Verdict
from crossfade.ledger import Entry
from crossfade.state import RULE
from crossfade.view.dossier.blocks import Block, Part, forest, heading, items, table, text, traced
from crossfade.view.dossier.known import Known
from crossfade.view.dossier.questions import explain
from crossfade.view.record import line_in_words
from crossfade.view.words import interval, moment, percent, signed, whole


def evidence(known: Known) -> Part:
    """Every move with what it stood on."""
    blocks: list[Block] = list(_reading(known)) if known.moves else []
    for entry in known.moves:
        blocks.extend(_decision(known, entry))
    return Part(
        id="evidence",
        title="Decisions and the evidence for each",
        blocks=blocks,
        missing=[] if blocks else ["no decision has been taken"],
        trace=f"crossfade replay {known.rollout.name} --folder FOLDER --json",
    )


def _decision(known: Known, entry: Entry) -> Iterator[Block]:
    again = next((one for one in known.replayed.get("looked", ()) if one["n"] == entry.n), None)
    by = "by rule" if entry.actor == RULE else f"by {entry.actor}"
    yield heading(f"Entry {entry.n}: {entry.move} {by}, {moment(entry.at)} UTC")
    yield text(entry.sentence)
    if entry.sealed is not None and again is not None:
        came = "and comes out again from them" if again["reproduced"] else "and does NOT come out again from them"
        yield text(f"It stands on {again['files']} files of facts (seal {entry.sealed['n']}), {came}.")
    elif entry.actor == RULE:
        yield text("The facts it stands on were not sealed.")
    lines = [line for line in known.lines[entry.n] if line.segment is None]
    if not lines:
        return
    usual = Counter(line.confidence for line in lines).most_common(1)[0][0]
    several = len(known.rollout.challengers) > 1
    rows = []
    words = [line_in_words(known.rollout, line) for line in lines]
    for line, told in zip(lines, words, strict=True):
        sure = f" at {told['confidence']}" if line.confidence != usual else ""
        rows.append(
            (
                f"{line.metric}\n{line.role}",
                _side(told, line.baseline),
                _side(told, line.arm, named=several),
                told["estimate"],
                f"{told['interval']}{sure}" if line.lower is not None or line.upper is not None else "",
                told["limit"],
                _verdict(line, told),
            )
        )
    challenger = "challenger" if several else known.rollout.challenger.name
    head = ("metric", known.rollout.champion.name, challenger, "difference", f"interval at {percent(usual)}")
    yield traced(
        forest(
            (*head, "limit", "verdict"),
            rows,
            [{k: v for k, v in line.to_json().items() if k != "assumptions"} for line in lines],
            words,
            "; ".join(f"{one.metric}: {one.verdict}" for one in lines),
        ),
        explain(known.rollout.name, entry.n),
    )


def _side(told: Mapping[str, Any], arm: str, *, named: bool = False) -> str:
    """What one arm had: its value, and over how many units."""
    units = f"{told['units'][arm]} units" if arm in told["units"] else ""
    return "\n".join(filter(None, (arm if named else "", told["values"].get(arm, ""), units)))


def _reading(known: Known) -> Iterator[Block]:
    """How to read what follows, for who sees such tables for the first time."""
    alpha = percent(known.rollout.alpha)
    yield items(
        [
            "A difference is challenger less champion. In the pictures right is better, differences are counted in "
            "margins, the bar is the interval, and on red ground the limit is broken.",
            "◆ safe: proven to be within the limit; of a goal, proven to be better than the champion. ✖ "
            "harmful: proven "
            "to be beyond it; of a goal, worse. ● undecided: neither is proven yet. ? unmeasured: there is nothing to "
            f"judge, with the reason. What “proven” may err is in part 4; for all tests of a kind together {alpha}.",
            "An interval holds at every look at once, so that looking often does not make it wrong. A verdict comes "
            "from the bets behind it, which are sharper than the interval: an e-value is what a stake has been "
            "multiplied by in betting against a challenger that does no harm (or against one that does). Such a bet "
            "is fair, so that a large number is as rare as its inverse; each verdict has a number that must be "
            "reached.",
            "Gates: disagreement is how often replies differ beyond the champion's own noise; catastrophic is "
            "replies that "
            "nobody can use; sample ratio is whether units came to the arms in the shares that were planned.",
        ]
    )


def segments(known: Known) -> Part:
    """Whether some were served otherwise than all: as the last decision saw it, and wherever harm was proven."""
    lines: list[tuple[Entry, Evidence]] = [
        (entry, line) for entry in known.moves for line in known.lines[entry.n] if line.segment is not None
    ]
    last = max((entry.n for entry, _ in lines), default=0)
    rows = [
        (
            entry.n,
            line.segment,
            line.metric,
            per_arm(told["units"]),
            told["estimate"],
            told["interval"],
            _verdict(line, told),
        )
        for entry, line in lines
        if entry.n == last or line.verdict is Verdict.HARMFUL
        for told in [line_in_words(known.rollout, line)]
    ]
    missing = [] if rows else ["no line of evidence speaks of a segment: whether some group fares worse is not shown"]
    head = ("entry", "segment", "metric", "units", "difference", "interval", "verdict")
    blocks: list[Block] = []
    if rows:
        silent = sum(line.verdict is Verdict.UNMEASURED for entry, line in lines if entry.n == last)
        proven = sum(line.verdict is Verdict.HARMFUL for entry, line in lines if entry.n == last)
        judged = sum(entry.n == last for entry, _ in lines)
        blocks = [
            text(
                "What each segment was found to be at the last decision that saw any, and wherever harm was proven "
                f"before. Of {whole(judged)} lines of entry {last}, {whole(proven)} prove harm and "
                f"{whole(silent)} could not "
                "be measured: that nothing is proven of a small group does not say that it fares well."
            ),
            traced(table(head, rows, numbers=(0, 4, 5)), explain(known.rollout.name, last)),
        ]
    found = _found(known)
    return Part(
        id="segments",
        title="Segments and groups",
        blocks=[*blocks, *found],
        missing=[*missing, *([] if found else [_unsearched(known)])],
    )


def _unsearched(known: Known) -> str:
    why = (known.found or {}).get("reason") or "no search is part of this record"
    return f"groups that nobody declared: {why}"


def _found(known: Known) -> list[Block]:
    """What a search among groups that nobody declared brought up."""
    told = known.found
    if not told or not told["available"]:
        return []
    said = [one["sentence"] for one in told["found"]]
    return [
        heading("Groups that nobody declared"),
        text(
            f"Searched among {', '.join(told['fields'])}, by one field and by two: proposed by what came "
            "before, tested on "
            "what came after, with false discoveries controlled. Exploratory: it moves nothing, and no seal "
            "vouches for it."
        ),
        items(said) if said else text("No group stands out."),
    ]


def calibration(known: Known) -> Part:
    """Whether probabilities come true as often as the models say."""
    told = known.calibration
    blocks: list[Block] = []
    for arm in (told or {}).get("arms", ()):
        ours, theirs = arm["champion"], arm["challenger"]
        span = (
            "an interval needs 100 labels"
            if arm["lower"] is None
            else interval(arm["lower"], arm["upper"], "pp", like=(arm["difference"],))
        )
        blocks.append(
            text(
                f"Expected calibration error over {whole(arm['labels'])} labels: champion {percent(ours['error'])}, "
                f"{arm['arm']} {percent(theirs['error'])}. Difference without what chance alone adds: "
                f"{signed(arm['difference'], 'pp')} ({span})."
            )
        )
        rows = [
            (
                f"{percent(a['from'])} to {percent(a['to'])}",
                *(cell for one in (a, b) for cell in (percent(one["said"]), percent(one["came"]), whole(one["n"]))),
            )
            for a, b in zip(ours["bins"], theirs["bins"], strict=True)
            if a["n"] or b["n"]
        ]
        head = ("said", "champion said", "came true", "labels", f"{arm['arm']} said", "came true", "labels")
        blocks.append(table(head, rows, numbers=(1, 2, 3, 4, 5, 6)))
    why = (told or {}).get("reason") or "the facts that it is counted from are not in the record"
    return Part(
        id="calibration",
        title="Calibration",
        blocks=blocks,
        missing=[] if blocks else [f"whether probabilities come true as often as the models say: {why}"],
        trace=f"crossfade report {known.rollout.name} --folder FOLDER -o FILE.json" if blocks else "",
    )


def per_arm(values: Mapping[str, str]) -> str:
    """Something of each arm, on one line."""
    return ", ".join(f"{arm} {value}" for arm, value in values.items())


def assumptions(known: Known) -> list[str]:
    """What the evidence that was decided on takes for granted, each said once."""
    told: dict[str, None] = {}
    for entry in known.moves:
        for line in known.lines[entry.n]:
            told.update(dict.fromkeys(line.assumptions))
    return list(told)


def _verdict(line: Evidence, told: Mapping[str, Any]) -> str:
    remarks = "; ".join(one for one in (line.reason, told["unadjusted"]) if one)
    return f"{told['shape']} {line.verdict}" + (f": {remarks}" if remarks else "")
