"""Each command that a dossier prints beside its numbers gives these numbers, from the exported folder alone."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from crossfade.judge.evidence import Evidence
from crossfade.rim.dossier import gather
from crossfade.rim.exporting import export
from crossfade.rim.lake_columns import SCHEMAS
from crossfade.rim.record import ExportedRecord, LiveRecord
from crossfade.rim.replaying import chains
from crossfade.spec.parse import parse
from crossfade.view.dossier import dossier
from crossfade.view.record import line_in_words
from crossfade.view.words import percent, whole
from rim.facts_made import START
from rim.recorded import NAME, SPEC, make

from .conftest import Crossfade


@pytest.fixture(scope="module", params=[0.15, 0.9], ids=["good", "bad"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("traced")
    make(here / "data", wrong=request.param)
    record = LiveRecord(here / "data", NAME)
    export(record, here / "out", at=START)
    record.close()
    return here / "out"


def numbers(block: dict[str, Any]) -> set[str]:
    """Counts as they stand in a block: whole numbers, with their thousands apart."""
    cells = [row[place] for row in block.get("rows", []) for place in block["numbers"]] or [block.get("text", "")]
    return {n for cell in cells for n in re.findall(r"(?<![\d.:−-])\d[\d,]*(?![\d.:%]|-\d| %)", cell)}


def counts(value: Any) -> set[str]:
    """The whole numbers of an answer, said in the same way."""
    if isinstance(value, dict | list):
        return {n for one in (value.values() if isinstance(value, dict) else value) for n in counts(one)}
    return {whole(value)} if isinstance(value, int) and not isinstance(value, bool) else set()


NUMBER = re.compile(r"[+−-]?\d[\d,]*(?:\.\d+)?")


def said(text: str) -> list[tuple[float, int]]:
    """The numbers of a text as they stand there, each with its decimals."""
    found = [one.replace(",", "").replace("−", "-") for one in NUMBER.findall(text)]
    return [(float(one), len(one.partition(".")[2])) for one in found]


def stands_for(text: str, value: float | None, scale: float = 1.0) -> None:
    """Hold the one number of a text against the one it stands for, to the last decimal that is shown."""
    if value is None:
        assert not said(text), text
        return
    ((shown, decimals),) = said(text)
    assert abs(shown - value * scale) <= 0.5 * 10.0**-decimals + 1e-9, (text, value)


def cells(row: list[str], line: dict[str, Any]) -> None:
    """Hold a row of evidence against the line it tells of: every cell, by arithmetic of its own."""
    scale = 100.0 if line["kind"] in ("rate", "accuracy") else 1.0
    for cell, arm in ((row[1], line["baseline"]), (row[2], line["arm"])):
        *value, units = cell.split("\n")
        stands_for(units, line["units"][arm])
        if value:
            stands_for(value[0], line["values"][arm], scale)
    stands_for(row[3], line["estimate"], scale)
    interval = re.fullmatch(r"[\[(](\S+), (\S+)[\])](?: at (.*))?", row[4])
    if line["lower"] is None and line["upper"] is None:
        assert not row[4]
    else:
        assert interval, row[4]
        for end, value in ((interval[1], line["lower"]), (interval[2], line["upper"])):
            assert ("∞" in end) == (value is None)
            stands_for(end, value, scale)
        if interval[3]:
            stands_for(interval[3], line["confidence"], 100.0)
    stands_for(row[5], line["limit"], scale)
    assert line["verdict"] in row[6]


ARITHMETIC = re.compile(
    r"(?P<stage>\w+): (?P<bad>[\d,]+) of (?P<units>[\d,]+); at the champion's rate \((?P<theirs>[\d,]+) of "
    r"(?P<beside>[\d,]+)\) (?P<due>[\d,.]+); excess (?P<excess>[+−][\d,.]+)"
)


def harm_adds_up(blocks: list[dict[str, Any]], counted: dict[tuple[str, str], tuple[int, int]]) -> None:
    """Hold what is said of harm against the facts, and every sum against its parts. `counted`: units and failed ones
    by stage and arm."""
    told = [(a["text"], b["items"]) for a, b in pairwise(blocks) if b["kind"] == "items"]
    assert {text.partition(":")[0] for text, _ in told} == {"errors", "wrong"}
    for text, lines in told:
        total = 0.0
        for found in (ARITHMETIC.fullmatch(line) for line in lines if "no champion units" not in line):
            assert found, lines
            bad, units, theirs, beside = (
                int(found[name].replace(",", "")) for name in ("bad", "units", "theirs", "beside")
            )
            stands_for(found["due"], units * theirs / beside)
            stands_for(found["excess"], bad - units * theirs / beside)
            total += bad - units * theirs / beside
            if text.startswith("errors"):
                assert (counted[found["stage"], "v2"], counted[found["stage"], "v1"]) == (
                    (units, bad),
                    (beside, theirs),
                )
        if abs(total) >= 0.05:
            stands_for(text, abs(total))
            assert ("more" if total > 0 else "fewer") in text


def compared(part: str, block: dict[str, Any], answer: Any, moves: list[int]) -> None:
    """Hold a block against what its command says."""
    if block["kind"] == "forest":
        lines = [line for line in answer["evidence"] if line["segment"] is None]
        words = [line_in_words(parse(SPEC), Evidence.from_json(line)) for line in lines]
        assert [row[3] for row in block["rows"]] == [line["estimate"] for line in words]
        for row, line in zip(block["rows"], lines, strict=True):
            cells(row, line)
        drawn = enumerate(block["data"]["lines"])
        assert lines == [{**line, "assumptions": lines[n]["assumptions"]} for n, line in drawn]
    elif block["kind"] == "picture":
        seen: dict[int, int] = {}
        for place, _, units in answer["rows"]:
            seen[place] = seen.get(place, 0) + units
        assert [one["units"] for one in block["data"]["looks"]] == list(seen.values())
    elif part == "exposure" and block["kind"] == "table":
        seen_by: dict[int, list[str]] = {n: [] for n in moves}
        for n, arm, units in answer["rows"]:
            seen_by[n].append(f"{arm} {whole(units)}")
        assert [row[-1] for row in block["rows"]] == [", ".join(told) for told in seen_by.values()]
    elif "SELECT" not in block["trace"]:
        held = [[name, rows] for name, rows, _ in answer["rows"] if name in SCHEMAS and rows]
        assert [[row[0], int(row[1].replace(",", ""))] for row in block["rows"]] == held
    else:
        # Each number of the block is one of the answer, and the other way round.
        assert counts(answer["rows"]) == numbers(block), block


def test_every_command_gives_the_numbers_beside_it(folder: Path, crossfade: Crossfade) -> None:
    record = ExportedRecord(folder, NAME)
    moves = [entry.n for entry in chains(record)[0] if entry.move is not None]
    told = dossier(gather(record, now=START + 3600.0))
    asked: list[str] = []

    def run(command: str) -> Any:
        asked.append(command)
        program, *words = shlex.split(command.replace("FOLDER", str(folder)))
        if program == "cat":
            return Path(words[0]).read_text()
        ran = crossfade(*words, *([] if "--json" in words else ["--json"]))
        assert ran.code == 0, (command, ran.out)
        return json.loads(ran.out)

    for part in told["parts"]:
        for block in part["blocks"]:
            if block.get("trace"):
                compared(part["id"], block, run(block["trace"]), moves)
    parts = {part["id"]: part for part in told["parts"]}
    tests = run(parts["plan"]["trace"])["tests"]
    rows = next(block["rows"] for block in parts["plan"]["blocks"] if "harmful" in block.get("head", ()))
    assert [(row[0], row[1], row[5], row[6]) for row in rows] == [
        (test["stage"], test["metric"], percent(test["alpha_harm"]), percent(test["alpha_safe"])) for test in tests
    ]
    verified, replayed = (run(command) for command in parts["integrity"]["trace"].split("; "))
    words = " ".join(block.get("text", "") for block in parts["integrity"]["blocks"])
    assert verified["head"] in words
    assert f"{verified['entries']} entries of the ledger and {verified['facts']} files of facts" in words
    assert f"{replayed['reproduced']} of {replayed['decisions']} decisions were reproduced" in words
    acts = [row for row in run(parts["people"]["trace"])["rows"] if row[1] not in ("rule", "spec")]
    table = next(block for block in parts["people"]["blocks"] if block["kind"] == "table")
    shown = [(row[0], row[2], row[5]) for row in table["rows"]]
    assert shown == [(str(n), who, why) for n, who, _, why in acts]
    by_stage = run(f'crossfade facts {NAME} --folder FOLDER "{HARM}"')["rows"]
    harm_adds_up(parts["harm"]["blocks"], {(mode, arm): (units, failed) for mode, arm, units, failed in by_stage})
    assert run(parts["purpose"]["trace"]) == SPEC
    kinds = {" ".join(command.split()[:2]) for command in asked}
    assert {"crossfade facts", "crossfade explain", "crossfade plan", "crossfade verify"} <= kinds
    assert len([command for command in asked if "SELECT" in command]) >= 6


HARM = (
    "SELECT mode, arm, count(DISTINCT unit), count(DISTINCT unit) FILTER (failed) FROM exposed "
    "WHERE unit <> '' GROUP BY ALL ORDER BY ALL"
)


@pytest.mark.parametrize(
    ("question", "wrong"),
    [
        ("SELECT * FROM read_csv('/etc/hostname')", "disabled by configuration"),
        ("COPY exposed TO 'stolen.csv'", "begins with SELECT"),
        ("DROP TABLE ledger", "begins with SELECT"),
        ("SELECT 1; SELECT 2", "only one question"),
        ("SELECT arm FROM exposures", "exposures does not exist"),
        ("SELEC", "syntax error"),
        ("", "only one question"),
    ],
)
def test_questions_reach_the_facts_and_nothing_else(
    folder: Path, crossfade: Crossfade, question: str, wrong: str
) -> None:
    ran = crossfade("facts", NAME, "--folder", str(folder), question)
    assert (ran.code, wrong in ran.err, "Traceback" in ran.err) == (2, True, False), ran.err


def test_what_there_is_to_ask_is_told(folder: Path, crossfade: Crossfade) -> None:
    ran = crossfade("facts", NAME, "--folder", str(folder))
    assert (ran.code, "latency_ms" in ran.out, "sentence" in ran.out) == (0, True, True)
    ran = crossfade("facts", NAME, "--folder", str(folder), "SELECT count(*) AS n FROM moves")
    assert ran.out.split()[0] == "n"
    ran = crossfade("explain", NAME, "--folder", str(folder))
    assert (ran.code, "name a decision" in ran.err) == (2, True)
