"""The record of `crossfade compare` as a tree of fields for the terminal.

It draws what the record says and computes nothing. Fields that never differed are counted, not listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from crossfade.cli.terminal import QUIET, VERDICT_INK
from crossfade.view.words import percent, signed, whole

SHAPE = {"undecided": "●", "safe": "◆", "harmful": "✖", "unmeasured": "?"}

FIELDS_SHOWN = 40
EXAMPLES_SHOWN = 2
_STEP = re.compile(r"\.[\w-]+(?:\[\*\])*|\[[^\]]*\](?:\[\*\])*")

Record = Mapping[str, Any]


def tree(record: Record, title: str = "compare") -> RenderableType:
    """What was compared, the verdict as a whole, the fields that differ as a tree, and what could not be compared."""
    harmful = [line for line in record["fields"] if line["verdict"] == "harmful" and line["muted"] is None]
    root = Tree(Text.assemble((title, "bold"), f"  {whole(record['pairs'])} pairs"), guide_style=QUIET)
    for sentence, style in _sentences(record, harmful):
        root.add(Text(sentence, style=style))
    worst = record["catastrophic"]
    if worst["differing"]:
        root.add(_line("unusable replies", worst, worst["margin"]))
    differing = [line for line in record["fields"] if line["differing"] or line["noise"]]
    if differing:
        _branches(root, differing[:FIELDS_SHOWN], record)
    more = [f"{whole(len(differing) - FIELDS_SHOWN)} more fields differ"] if len(differing) > FIELDS_SHOWN else []
    same = record["fields_never_differing"]
    if same:
        more.append(f"{whole(same)} {'field' if same == 1 else 'fields'} never differ")
    if record["fields_left_out"]:
        more.append("only the first 2,000 fields are told apart: are some keys data?")
    if more:
        root.add(Text(" · ".join(more), style=QUIET))
    for file in record.get("files", ()):
        lost = _lost(file)
        if lost:
            root.add(lost)
    failed = [f"{whole(n)} of the {who} ({kind})" for who, some in record["failed"].items() for kind, n in some.items()]
    for path, reasons in record.get("unmeasured", {}).items():
        for why, n in reasons.items():
            root.add(Text(f"? {path} was not measured in {whole(n)} pairs, which are left out: {why}", style="yellow"))
    if failed:
        root.add(Text(f"? replies that could not be used: {', '.join(failed)}", style="yellow"))
    return root


def _sentences(record: Record, harmful: Sequence[Record]) -> list[tuple[str, str]]:
    whole_reply, worst = record["disagreement"], record["catastrophic"]
    margin = percent(record["margin"])
    noise = f"the champion from itself in {percent(whole_reply['noise'])}" if record["twice"] else ""
    rate = (
        f"Replies differ in {percent(whole_reply['rate'])} of pairs "
        f"({percent(whole_reply['lower'])} to {percent(whole_reply['upper'])})"
    )
    told = [(f"{rate}{', ' + noise if noise else ''}.", "")]
    if worst["verdict"] == "harmful":
        told.append((f"The challenger's replies are unusable in {percent(worst['rate'])} of pairs.", "bold red"))
    if harmful:
        count = "1 field differs" if len(harmful) == 1 else f"{len(harmful)} fields differ"
        beyond = "beyond the champion's own noise" if record["twice"] else "of pairs"
        told.append((f"{count} in more than {margin} {beyond}, proven.", "bold red"))
    elif whole_reply["verdict"] == "harmful":
        told.append((f"Together fields differ in more than {margin}, though none is proven to alone.", "bold red"))
    elif whole_reply["verdict"] == "safe":
        told.append((f"Proven to be within the margin of {margin}.", "bold"))
    else:
        told.append((f"Not proven to be within the margin of {margin}, nor beyond it.", ""))
    if not record["twice"] and whole_reply["differing"]:
        told.append(("The champion's own noise is not known: give its second answers with --noise.", QUIET))
    return told


def _branches(root: Tree, lines: Sequence[Record], record: Record) -> None:
    """Fields under the places they share; a place with one way on is not a branch of its own."""
    nodes: dict[str, Tree] = {}
    paths = [str(line["path"]) for line in lines]
    prefixes = {path: _prefixes(path) for path in paths}
    shared = {
        prefix for path in paths for prefix in prefixes[path] if sum(prefix in prefixes[other] for other in paths) > 1
    }
    for line in lines:
        path, above, where = str(line["path"]), "", root
        for prefix in prefixes[path]:
            if prefix not in shared:
                continue
            if prefix not in nodes:
                nodes[prefix] = where.add(Text(prefix.removeprefix(above), style="bold"))
            where, above = nodes[prefix], prefix
        # What is harmless is not looked into at first; the record has its examples too.
        wanted = 0 if line["verdict"] == "safe" or line["muted"] is not None else EXAMPLES_SHOWN
        examples = [one for one in record["examples"] if one["path"] == path][:wanted]
        where.add(Group(_line(path.removeprefix(above) or path, line, None), *map(_example, examples)))


def _prefixes(path: str) -> list[str]:
    steps = _STEP.findall(path) if path.startswith("$") else []
    found, so_far = [], "$"
    for step in steps[:-1]:
        so_far += step
        found.append(so_far)
    return found


def _line(name: str, line: Record, margin: float | None) -> Text:
    ink = "bright_black" if line["muted"] is not None else VERDICT_INK[line["verdict"]]
    kinds = " · ".join(f"{kind} {whole(n)}" for kind, n in sorted(line["kinds"].items(), key=lambda one: -one[1]))
    text = Text.assemble((SHAPE[line["verdict"]], ink), " ", (name, "bold"), "  ", (_verdict(line), ink))
    interval = f"{percent(line['lower'])} to {percent(line['upper'])}"
    text.append(f"\n  {percent(line['rate'])} of pairs ({interval})", style="")
    if kinds:
        text.append(f"  {kinds}", style=QUIET)
    if line["noise"] is not None:
        text.append(f"\n  noise {percent(line['noise'])}, beyond it {signed(line['excess'], 'pp')}", style=QUIET)
    if line["muted"] is not None:
        text.append(f"\n  muted: {line['muted']}", style=QUIET)
    return text


def _verdict(line: Record) -> str:
    return "muted" if line["muted"] is not None else str(line["verdict"])


def _example(example: Record) -> RenderableType:
    if example["champion"] is None and example["challenger"] is None:
        return Padding(Text(f"decision {_cut(str(example['id']))}", style=QUIET), (0, 0, 0, 4), expand=False)
    sides = [_cut("(none)" if example[side] is None else str(example[side])) for side in ("champion", "challenger")]
    return Padding(
        Text(f"{_cut(str(example['id']), 20)}: {sides[0]} → {sides[1]}", style=QUIET), (0, 0, 0, 4), expand=False
    )


def _cut(text: str, most: int = 60) -> str:
    # What a reply holds must not reach the cursor or the colours of the terminal that shows it.
    text = "".join(character if character.isprintable() else "·" for character in text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _lost(file: Record) -> RenderableType | None:
    words = {"bad": "lines without a reply", "unmatched": "ids of its own", "duplicates": "repeated ids left out"}
    told = [f"{whole(file[key])} {text}" for key, text in words.items() if file[key]]
    if not told:
        return None
    lines = [Text(f"? {file['file']}: {', '.join(told)}", style="yellow")]
    lines += [
        Text(f"  {file['file']}:{one['line']}: {_cut(one['problem'], 100)}", style=QUIET)
        for one in file["bad_lines"][:3]
    ]
    return Group(*lines)


def beside(pair: Record) -> RenderableType:
    """Both replies of a pair that was kept, side by side."""
    ways = ", ".join(f"{one['path']} ({one['kind']})" for one in pair["fields"])
    table = Table("champion", pair["arm"], title=f"{ways}  decision {pair['id']}", title_justify="left", expand=True)
    table.add_row(*(Text(_reply(pair[side])) for side in ("champion", "challenger")))
    return table


def _reply(side: Record) -> str:
    if "fields" in side:
        body = json.dumps(side["fields"], indent=1, ensure_ascii=False)
    else:
        body = f"{side['cut']}…" if "cut" in side else ""
    return "\n".join(part for part in (f"failed: {side['failed']}" if "failed" in side else "", body) if part)
