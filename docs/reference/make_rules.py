"""Writes rules.md, the reference of how decisions are taken, from the rules and the table of moves and nothing else.

Run it after a change to a rule: `python docs/reference/make_rules.py`. A test compares.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crossfade.judge.decide import RULES
from crossfade.judge.decide.wait import wait
from crossfade.judge.evidence import Verdict
from crossfade.state import TRANSITIONS

PAGE = Path(__file__).with_name("rules.md")

HEAD = """\
# Rules and moves

How a decision is taken. This page is generated from `src/crossfade/judge/decide` and `src/crossfade/state.py` by
`docs/reference/make_rules.py`.

Once a tick every rollout is looked at. The rules are asked in this order, and the first that speaks decides; its name, its
sentence and the evidence as it stood become an entry of the ledger before anything is done.
"""

VERDICTS = {
    Verdict.SAFE: "proven no worse than its margin (a guardrail), better (a goal), or under its limit (a gate)",
    Verdict.HARMFUL: "proven worse than its margin, or over its limit",
    Verdict.UNDECIDED: "measured, and neither is proven yet",
    Verdict.UNMEASURED: "could not be measured, with the reason; never taken for good news",
}


def page() -> str:
    """The page as it should be."""
    lines = [HEAD, "| | rule | |", "| --- | --- | --- |"]
    lines += [f"| {n} | `{rule.__name__}` | {_about(rule)} |" for n, rule in enumerate((*RULES, wait), 1)]
    lines += ["", "## Verdicts", "", "| verdict | |", "| --- | --- |"]
    assert VERDICTS.keys() == set(Verdict)
    lines += [f"| `{verdict}` | {said} |" for verdict, said in VERDICTS.items()]
    lines += ["", "## Moves", "", "What may follow what; a move that is not here is refused, whoever asks for it.", ""]
    lines += ["| phase | move | phase after |", "| --- | --- | --- |"]
    lines += [f"| `{before}` | `{move}` | `{after}` |" for (before, move), after in TRANSITIONS.items()]
    return "\n".join(lines) + "\n"


def _about(rule: Callable[..., Any]) -> str:
    room = inspect.getdoc(sys.modules[rule.__module__]) or ""
    more = inspect.getdoc(rule) or ""
    return " ".join(f"{room} {more}".split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
