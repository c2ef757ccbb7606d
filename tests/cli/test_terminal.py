"""The tree as text, against golden files; `CROSSFADE_WRITE_GOLDEN=1` writes them anew for review."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from crossfade.cli.narrow import fitting
from crossfade.cli.terminal import tree
from crossfade.state import Move, Position
from crossfade.view import Progress, view
from view.sample import DECISION, INPUTS, MOVES, NOW, ROLLOUT, evidence, ledger_of

GOLDEN = Path(__file__).parents[1] / "golden" / "terminal"

END = (Move.ROLLBACK, 1690.0, "harm", "Rolled back from 5 %: purchase is proven worse by 0.9 to 5.2 pp.")


def running() -> dict:
    position, entries = ledger_of()
    return view(ROLLOUT, position, evidence(), DECISION, entries, now=NOW, **INPUTS)


def rolled_back() -> dict:
    position, entries = ledger_of((*MOVES, END))
    return view(ROLLOUT, position, evidence(), None, entries, now=NOW, **INPUTS)


def pending() -> dict:
    return view(ROLLOUT, Position(), [], None, [], now=NOW)


def held_and_unheard() -> dict:
    position, entries = ledger_of((*MOVES, (Move.HOLD, 1690.0, "unmeasured", "Holding at 5 %: no outcome from v2.")))
    given = INPUTS | {"progress": Progress(lease_held=False, wins=3, ties=1, losses=2)}
    return view(ROLLOUT, position, evidence()[2:3], None, entries, now=NOW, **given)


RECORDS = {"running": running, "rolled-back": rolled_back, "pending": pending, "held": held_and_unheard}


def drawn(record: dict, *, width: int = 80, colour: bool = False, now: float | None = None) -> str:
    out = io.StringIO()
    system = "truecolor" if colour else None
    console = Console(file=out, width=width, highlight=False, force_terminal=colour, color_system=system)
    console.print(tree(record, now=now))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", RECORDS)
def test_the_tree_reads_as_it_did(name: str) -> None:
    text = drawn(RECORDS[name]())
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("CROSSFADE_WRITE_GOLDEN"):
        GOLDEN.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    assert max(len(line) for line in drawn(RECORDS[name](), width=width).splitlines()) <= width


def test_piped_text_has_no_colour_and_green_is_not_used_before_the_end() -> None:
    assert "\x1b" not in drawn(running())
    coloured = drawn(running(), colour=True)
    assert "\x1b[36m" in coloured
    assert "\x1b[32m" not in coloured
    assert "\x1b[31m" in coloured


def test_an_old_record_does_not_pass_for_a_new_one() -> None:
    assert "silent" not in drawn(running(), now=NOW + 5.0)
    assert "as of 3 min 20 s ago; the controller has been silent since" in drawn(running(), now=NOW + 200.0)
    assert "silent" not in drawn(rolled_back(), now=NOW + 200.0)


@pytest.mark.parametrize("name", RECORDS)
def test_nothing_is_cut_where_there_is_little_room(name: str) -> None:
    """At 40 columns a row goes on below: every verdict, interval and reason is still there."""
    record = RECORDS[name]()
    narrow = drawn(record, width=40)
    assert "…" not in narrow
    said = " ".join(re.sub(r"[│├└─]", " ", narrow).split())
    for line in record["lines"]:
        if line["segment"] is None:
            below, beside = f"{line['metric']} {line['verdict']}", f"{line['limit']} {line['verdict']}".strip()
            assert f"{line['shape']} {line['metric']}" in said
            assert below in said or beside in said
            assert line["interval"] in said
    for entry in record["decisions"]:
        assert " ".join(entry["reason"].split()) in said


def test_a_table_becomes_a_list_where_it_would_break_words() -> None:
    rows = [("stage", "expected", "units"), ("canary 10 % to 30 %", "1 min 38 s", "2,441")]
    table = Table(*rows[0], box=None)
    table.add_row(*rows[1])
    out = io.StringIO()
    for width in (80, 40):
        Console(file=out, width=width).print(fitting(table, rows, least=60))
    wide, narrow = out.getvalue().split("\n", 2)[:2], out.getvalue().splitlines()[2:]
    assert [line.split("  ")[0].strip() for line in wide] == ["stage", "canary 10 % to 30 %"]
    assert [line.rstrip() for line in narrow] == ["canary 10 % to 30 %", "  expected 1 min 38 s · units 2,441"]
