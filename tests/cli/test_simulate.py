"""`crossfade simulate --interleave`: its record, its sentences, and what it says of files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossfade.cli import simulate
from crossfade.sim.interleave import METHODS

from .conftest import Crossfade

RECORD = {
    "method",
    "sessions",
    "preference",
    "lower",
    "upper",
    "e_value",
    "verdict",
    "sessions_to_decision",
    "ab_sessions_to_decision",
    "ratio",
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str, str]:
    """Judgments, a run that has relevant documents last, and one that has them first."""
    grades = {f"d{n}": n // 4 for n in range(12)}
    qrels, worse, better = (tmp_path / name for name in ("qrels.txt", "worse.run", "better.run"))
    topics = [str(topic) for topic in range(5)]
    qrels.write_text("".join(f"{topic} 0 {name} {grade}\n" for topic in topics for name, grade in grades.items()))
    for file, sign in ((worse, -1), (better, 1)):
        file.write_text(
            "".join(f"{topic} Q0 {name} 0 {sign * int(name[1:])} x\n" for topic in topics for name in grades)
        )
    return str(qrels), str(worse), str(better)


def arguments(files: tuple[str, str, str], *more: str) -> tuple[str, ...]:
    return ("simulate", "--interleave", "--qrels", files[0], "--run", files[1], "--run", files[2], *more)


@pytest.mark.parametrize("method", METHODS)
def test_the_record(crossfade: Crossfade, files: tuple[str, str, str], method: str) -> None:
    ran = crossfade(*arguments(files, "--method", method, "--json"))
    assert ran.code == 0
    found = json.loads(ran.out)
    assert set(found) == RECORD
    assert (found["method"], found["verdict"]) == (method, "safe")
    assert -1.0 <= found["lower"] < found["preference"] <= found["upper"] <= 1.0
    assert found["e_value"] >= 20.0
    assert 10 <= found["sessions_to_decision"] < 500
    assert found["ratio"] == pytest.approx(found["ab_sessions_to_decision"] / found["sessions_to_decision"])


def test_the_same_seed_gives_the_same_record(crossfade: Crossfade, files: tuple[str, str, str]) -> None:
    first, again, other = (crossfade(*arguments(files, "--json", "--seed", seed)).out for seed in ("7", "7", "8"))
    assert first == again
    assert first != other


def test_turned_round_it_is_harmful(crossfade: Crossfade, files: tuple[str, str, str]) -> None:
    found = json.loads(crossfade(*arguments((files[0], files[2], files[1]), "--json")).out)
    assert found["verdict"] == "harmful"
    assert found["preference"] < 0.0


@pytest.mark.parametrize("clicks", simulate.CLICKS)
def test_a_run_against_itself_says_nothing(crossfade: Crossfade, files: tuple[str, str, str], clicks: str) -> None:
    ran = crossfade(*arguments((files[0], files[1], files[1]), "--clicks", clicks, "--sessions", "500", "--json"))
    found = json.loads(ran.out)
    absent = ("preference", "lower", "upper", "sessions_to_decision", "ab_sessions_to_decision", "ratio")
    assert [found[key] for key in absent] == [None] * 6
    assert (found["sessions"], found["verdict"], found["e_value"]) == (500, "unmeasured", 1.0)


def test_random_clicks_find_nothing_between_different_runs(crossfade: Crossfade, files: tuple[str, str, str]) -> None:
    found = json.loads(crossfade(*arguments(files, "--clicks", "random", "--sessions", "2000", "--json")).out)
    assert (found["verdict"], found["sessions"]) == ("undecided", 2000)
    assert found["ratio"] is None


def test_in_words(crossfade: Crossfade, files: tuple[str, str, str]) -> None:
    said = crossfade(*arguments(files)).out
    assert "better.run (B) is preferred to worse.run (A) after" in said
    assert "95 % of such tests decide within" in said
    assert "An A/B test on click rate" in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--method", "teamdraft"], "--method: found 'teamdraft'"),
        (["--clicks", "none"], "--clicks: found 'none'"),
        (["--run", "third"], "one --qrels and 3 --run"),
    ],
)
def test_wrong_use(crossfade: Crossfade, files: tuple[str, str, str], changed: list[str], said: str) -> None:
    ran = crossfade(*arguments(files, *changed))
    assert ran.code == 2
    assert said in ran.err
    assert "error" in json.loads(crossfade(*arguments(files, *changed, "--json")).out)


def test_files_are_named_with_their_line(crossfade: Crossfade, files: tuple[str, str, str]) -> None:
    Path(files[2]).write_text("0 Q0 d1 1 0.5 x\n0 Q0 d2 2\n")
    ran = crossfade(*arguments(files))
    assert ran.code == 2
    assert f"{files[2]}:2: found 4 fields; expected 6" in ran.err
    Path(files[2]).write_text("other Q0 d1 1 0.5 x\n")
    assert "no topic is in" in crossfade(*arguments(files)).err


def test_a_whole_rollout_is_left_for_later(crossfade: Crossfade) -> None:
    ran = crossfade("simulate")
    assert ran.code == 2
    assert "--interleave" in ran.err
