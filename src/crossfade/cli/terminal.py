"""One rollout's record as a tree for the terminal: sentence, exposure, evidence, harm, decisions, arms.

It draws what the record says and computes nothing. Shape repeats colour, so that the tree reads the same when
piped; green is kept for a rollout that is finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from crossfade.cli.narrow import ByWidth
from crossfade.view.drift import SHAPES
from crossfade.view.outcomes import outcomes_in_words
from crossfade.view.words import clock, duration, known_at, percent, promoted_by, seen_in, unmeasured, untold, whole

INK = {"grey": "bright_black", "accent": "cyan", "amber": "yellow", "red": "red", "green": "green"}

VERDICT_INK = {"undecided": "bright_black", "safe": "bold", "harmful": "red", "unmeasured": "yellow"}

POINT = {
    "done": ("■", ""),
    "here": ("▶", "bold cyan"),
    "ahead": ("□", "bright_black"),
    "stopped": ("✖", "bold"),
    "skipped": ("·", "bright_black"),
}

DECISIONS_SHOWN = 6

FIELDS_SHOWN = 4

DAYS_SHOWN = 8

QUIET = "bright_black"

Record = Mapping[str, Any]


def tree(record: Record, *, now: float | None = None) -> RenderableType:
    """The record of one rollout as a Rich renderable; `now` adds how old it is when it should be newer."""
    ink = INK[record["tone"]]
    title = Text.assemble((record["name"], "bold"), "  ", (_standing(record), ink))
    root = Tree(title, guide_style=QUIET)
    root.add(Text(record["sentence"], style="bold" if record["tone"] in ("red", "amber") else ""))
    silent = silence(record, now)
    if silent is not None:
        root.add(Text(silent, style=INK["amber"]))
    root.add(_titled("exposure", "", _exposure(record)))
    if record["lines"]:
        challenger = record["harm"]["arm"]
        whole_ = [line for line in record["lines"] if line["segment"] is None]
        promotion = promoted_by(record)
        told = _evidence(whole_)
        if promotion is not None:
            asked = f"what promoted it: `crossfade explain {record['name']} {promotion}`"
            told.append(Text(asked, style=QUIET))
        root.add(_titled(f"evidence{seen_in(record)}", f"{challenger} − champion, always-valid", told))
    else:
        root.add(_titled("evidence", "", [Text(_nothing_yet(record), style=QUIET)]))
    segments = _segments(record)
    if segments:
        root.add(_titled("segments", "", segments))
    harm = _harm(record["harm"])
    if harm:
        root.add(_titled("harm", f"beyond the champion's rate, {known_at(record)}", harm))
    outcomes = record.get("outcomes")
    if outcomes and outcomes["received"] is not None:
        root.add(_titled("outcomes", "", _outcomes(outcomes)))
    drift = record.get("drift")
    if drift:
        root.add(_titled("drift", "", _drift(drift)))
    ageing = record.get("ageing")
    if ageing:
        root.add(
            _titled("by days since first exposure", f"{ageing['confidence']} intervals, exploratory", _ageing(ageing))
        )
    if record.get("approval"):
        root.add(_titled("approval", "", _approval(record["approval"])))
    if record["decisions"]:
        root.add(_titled("decisions", "", [_decisions(record["decisions"])]))
    root.add(_titled("arms", "", [_arms(record["arms"]), *_losses(record)]))
    return root


def trees(records: Sequence[Record], *, now: float | None = None) -> RenderableType:
    """Several rollouts below each other."""
    parts: list[RenderableType] = []
    for record in records:
        parts.extend([tree(record, now=now), Text("")])
    return Group(*parts[:-1])


def _approval(approval: Record) -> list[RenderableType]:
    given = ", ".join(f"{one['by']} (evidence {one['shown'][:12]})" for one in approval["given"]) or "nobody yet"
    told = [Text(f"{approval['stage']} needs the approval of {approval['wanted']}; given by {given}")]
    if approval["waiting"] and approval["missing"]:
        told.append(Text(f"waiting; it would be on evidence {approval['shown'][:12]}", style=INK["amber"]))
    return [*told]


def _standing(record: Record) -> str:
    words = [str(record["phase"]).replace("_", " ")]
    here = next((point["label"] for point in record["stages"] if point["state"] in ("here", "stopped")), None)
    if here and here not in (record["phase"], "promote"):
        words.append(f"in {here}" if record["phase"] == "rolled_back" else here)
    held = record["held"]
    if held:
        words.append("by a rule" if held["by"] == "rule" else f"by {held['by']}")
    return " · ".join(words)


def _nothing_yet(record: Record) -> str:
    """What a newcomer should do about it, where it is that nobody has asked."""
    if record["phase"] == "pending":
        return f"none yet: `crossfade start {record['name']}` begins"
    if record["phase"] == "running" and not any(arm["requests"] for arm in record["arms"].values()):
        return f"none yet: no request to {record['route']} has come; clients must ask the gateway, not the model"
    return "none yet"


def silence(record: Record, now: float | None) -> str | None:
    """A warning when a living rollout has not been looked at for a while: an old look must not pass for a new one."""
    if now is None or record["phase"] not in ("running", "held", "promoted"):
        return None
    age = now - float(record["at"])
    if age < 15.0:
        return None
    return f"? as of {duration(age)} ago; the controller has been silent since"


def _titled(title: str, note: str, body: Iterable[RenderableType]) -> RenderableType:
    head = Text.assemble((title, "bold"), ("  " + note if note else "", QUIET))
    return Group(head, *(Padding(part, (0, 0, 0, 2), expand=False) for part in body))


def _exposure(record: Record) -> list[RenderableType]:
    line = Text()
    previous = None
    for point in record["stages"]:
        mark, style = POINT[point["state"]]
        same = point["stage"] == previous
        label = percent(point["weight"]) if same else point["label"]
        line.append(" ─ " if line else "", style=QUIET)
        line.append(f"{mark} {label}", style=style)
        previous = point["stage"]
    exposure = record["exposure"]
    seen = "before it stopped" if record["phase"] == "rolled_back" else "actual"
    shares = f"planned {percent(exposure['planned'])}  {seen} {percent(exposure['actual'])}"
    units = " · ".join(f"{arm} {whole(n)} units" for arm, n in exposure["units"].items())
    parts: list[RenderableType] = [line, Text(f"{shares}   {units}".rstrip())]
    told = [record["progress"]["text"]] if record["progress"] else []
    following = record["next"]
    if following["what"]:
        told.append(following["what"])
    if told:
        parts.append(Text(" · ".join(told), style=QUIET))
    return parts


def _evidence(lines: Sequence[Record]) -> list[RenderableType]:
    """Two rows a metric: the difference with its interval and limit, then each arm's own value with its denominator."""
    names = _column(lines, lambda line: line["metric"])
    estimates = _column(lines, lambda line: line["estimate"])
    intervals = _column(lines, lambda line: line["interval"])
    limits = _column(lines, lambda line: line["limit"])
    parts: list[RenderableType] = []
    for index, line in enumerate(lines):
        ink = VERDICT_INK[line["verdict"]]
        row = Text.assemble((line["shape"], ink), " ", (names[index], "bold" if line["role"] == "goal" else ""))
        row.append(f"  {estimates[index]}  {intervals[index]}  {limits[index]}  ")
        row.append(line["verdict"], style=ink)
        row.no_wrap = True
        short = Text.assemble((line["shape"], ink), f" {line['metric']}  ", (line["verdict"], ink))
        numbers = Text(f"{line['estimate']}  {line['interval']}  {line['limit']}".rstrip())
        below = Group(short, Padding(numbers, (0, 0, 0, 2), expand=False))
        parts.append(ByWidth(wide=row, narrow=below, least=row.cell_len))
        parts.append(Padding(Text(" · ".join(_denominators(line)), style=QUIET), (0, 0, 0, 2), expand=False))
    return parts


def _segments(record: Record) -> list[RenderableType]:
    """Where harm is proven, then how each metric's segments stand; their lines are in `--json` and on the page."""
    told = record.get("segments") or {}
    if not told.get("available"):
        return []
    parts: list[RenderableType] = [Text(one["text"], style="red") for one in told["harmful"]]
    lines = [line for line in record["lines"] if line["segment"] is not None]
    for metric in dict.fromkeys(line["metric"] for line in lines):
        own = [line["verdict"] for line in lines if line["metric"] == metric]
        counts = ", ".join(f"{whole(own.count(one))} {one}" for one in VERDICT_INK if one in own)
        parts.append(
            Text.assemble(
                (metric, "bold"), f" in {whole(len(own))} {'segment' if len(own) == 1 else 'segments'}: {counts}"
            )
        )
    for one in told["gone_on"]:
        seen = f"{one['metric']} of {one['arm']} where {one['segment']}: somebody saw it, and went on"
        parts.append(Text(seen, style=QUIET))
    parts.append(Text(told["text"], style=QUIET))
    return parts


def _denominators(line: Record) -> list[str]:
    told = [] if line["role"] == "guardrail" else [line["role"]]
    for arm, n in line["units"].items():
        value = line["values"].get(arm)
        told.append(f"{arm} {value} of {n}" if value else f"{arm} {n} units")
    ways = line["toward"]
    if line["verdict"] == "undecided":
        told.extend(f"{percent(round(ways[way], 2))} toward {way}" for way in ("safe", "harm") if ways[way])
    if line["reason"]:
        told.append(line["reason"])
    if line.get("unadjusted"):
        told.append(line["unadjusted"])
    return told


def _column(lines: Sequence[Record], of: Any) -> list[str]:
    texts = [str(of(line)) for line in lines]
    width = max(cell_len(text) for text in texts)
    return [text + " " * (width - cell_len(text)) for text in texts]


def _harm(harm: Record) -> list[RenderableType]:
    if not harm["units"]:
        return []
    parts: list[RenderableType] = [Text(f"{whole(harm['units'])} units have been served by {harm['arm']}")]
    for metric in harm["metrics"]:
        parts.append(Text(metric["text"]))
        parts.extend(Padding(Text(text, style=QUIET), (0, 0, 0, 2), expand=False) for text in metric["arithmetic"])
    return parts


def _outcomes(outcomes: Record) -> list[RenderableType]:
    """The counts in a line, and per metric how many units do not count yet."""
    windows = [(name, window["text"]) for name, window in outcomes["windows"].items() if window["open"]]
    told = [Text(outcomes_in_words(outcomes))]
    return [*told, *(Text(f"{name}: {text}", style=QUIET) for name, text in windows)]


def _drift(drift: Record) -> list[RenderableType]:
    """What was found, and the first fields that changed."""
    ink = {"feed": INK["amber"], "model": "bold", "unclear": INK["amber"], "unmeasured": INK["amber"]}
    told = [
        Text(f"{SHAPES[one['cause']]} {one['sentence']}", style=ink.get(one["cause"], "")) for one in drift["findings"]
    ]
    changed = [field for field in drift["fields"] if field["changed"]]
    lines = [f"{field['field']} ({field['arm'] or 'all arms'}): {field['what']}" for field in changed[:FIELDS_SHOWN]]
    return [*told, *(Padding(Text(line, style=QUIET), (0, 0, 0, 2), expand=False) for line in lines)]


def _ageing(ageing: Record) -> list[RenderableType]:
    """The first and the last days of each metric."""
    parts: list[RenderableType] = []
    for metric in ageing["metrics"]:
        parts.append(Text(metric["metric"]))
        days = metric["days"]
        shown = days if len(days) <= DAYS_SHOWN else [*days[: DAYS_SHOWN // 2], *days[-DAYS_SHOWN // 2 :]]
        grid = Table.grid(padding=(0, 2, 0, 0))
        for day in shown:
            said = day["text"]
            units = " · ".join(f"{arm} {said['values'][arm]} of {n}" for arm, n in said["units"].items())
            grid.add_row(f"day {day['age'] + 1}", said["estimate"], said["interval"], Text(units, style=QUIET))
        parts.append(Padding(grid, (0, 0, 0, 2), expand=False))
    return parts


def _decisions(decisions: Sequence[Record]) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for style in (QUIET, QUIET, "", ""):
        grid.add_column(style=style, no_wrap=style == QUIET)
    below: list[RenderableType] = []
    for entry in decisions[-DECISIONS_SHOWN:]:
        by = "" if entry["actor"] == "rule" or entry["actor"] in entry["reason"] else f" ({entry['actor']})"
        told = (f"{entry['n']}", clock(entry["at"]), entry["move"] or entry["rule"])
        grid.add_row(*told, f"{entry['reason']}{by}")
        below += [Text("  ".join(told), style=QUIET), Padding(f"{entry['reason']}{by}", (0, 0, 0, 2), expand=False)]
    return ByWidth(wide=grid, narrow=Group(*below), least=60)


def _arms(arms: Mapping[str, Record]) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column()
    grid.add_column(style=QUIET)
    for _ in range(4):
        grid.add_column(justify="right")
    below: list[RenderableType] = []
    words = ("requests", "failed", "fell back", "share")
    grid.add_row("", "", *(Text(word, style=QUIET) for word in words))
    for name, arm in arms.items():
        style = INK["accent"] if arm["role"] == "challenger" else ""
        counts = (whole(arm["requests"]), whole(arm["failures"]), whole(arm["fallbacks"]), percent(arm["share"]))
        grid.add_row(Text(name, style=style), arm["role"], *counts)
        numbers = " · ".join(f"{count} {word}" for count, word in zip(counts, words, strict=True))
        below += [
            Text.assemble((name, style), "  ", (arm["role"], QUIET)),
            Padding(numbers, (0, 0, 0, 2), expand=False),
        ]
    return ByWidth(wide=grid, narrow=Group(*below), least=max(map(len, arms), default=0) + 48)


def _losses(record: Record) -> list[RenderableType]:
    """What was not measured, where there was anything: dropped copies, missing units, orphans, faults, a lost lease."""
    told = unmeasured(record["counts"])
    parts: list[RenderableType] = []
    if told:
        parts.append(Text("? " + " · ".join(told), style=INK["amber"]))
    if record["votes"]:
        parts.append(Text(record["votes"]["text"]))
    worth = record.get("worth") or {"expected": (), "both": (), "note": ""}
    parts += [Text(f"{one['text'][:1].upper()}{one['text'][1:]}.", style="dim") for one in worth["expected"]]
    parts += [Text(one["text"], style="dim") for one in worth["both"]]
    parts += [Text(worth["note"], style="dim")] if worth["note"] else []
    for one in record.get("notices") or ():
        if one["error"]:
            parts.append(Text(f"? {untold(one)}", style=INK["amber"]))
    if (record.get("found") or {}).get("sentence"):
        parts.append(Text(record["found"]["sentence"], style="dim"))
    if record.get("excluded"):
        parts.append(Text(f"! kept on the champion: {', '.join(record['excluded'])}", style=INK["amber"]))
    if record["lease"]["held"] is False:
        parts.append(Text("? the gateways do not hear the controller: only the champion serves", style=INK["amber"]))
    return parts
