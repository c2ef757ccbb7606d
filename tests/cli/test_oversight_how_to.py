"""The commands of docs/how-to/oversight.md do what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crossfade.cli.check import summary
from crossfade.rim import stop_orders
from crossfade.rim.store import Store
from crossfade.rim.tokens import Tokens
from crossfade.spec.parse import parse
from crossfade.state import Phase
from rim.recorded import NAME, SPEC, make

from .conftest import Crossfade

pytestmark = pytest.mark.timeout(400)

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "oversight.md").read_text()

STAGES = re.search(r"```yaml\n(stages:.*?)```", PAGE, re.S)
COMMANDS = [line.removeprefix("$ crossfade ") for line in PAGE.splitlines() if line.startswith("$ crossfade ")]


def words(command: str) -> list[str]:
    return [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command.replace("ranker-v2", NAME))]


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A rollout that waits for an approval."""
    asked = SPEC.replace("at_most: 1d}}", "at_most: 1d}, approve: [ana, ben]}")
    make(tmp_path / "crossfade-data", wrong=0.05, ticks=12, spec=asked)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "crossfade-data"


def test_the_stages_of_the_page_are_a_spec() -> None:
    assert STAGES is not None
    told = summary(parse(SPEC[: SPEC.index("stages:")] + STAGES[1]))
    assert "approval of ana or ben, then ab 50%" in told
    assert "approval of 2 of ana, ben or cy, then promote" in told


def test_every_command_of_the_page_runs(waiting: Path, crossfade: Crossfade) -> None:
    assert len(COMMANDS) == 9
    said = {}
    for command in COMMANDS:
        ran = crossfade(*words(command))
        assert ran.code == 0, (command, ran)
        said[command.split()[0], command.split()[1]] = ran.out
    status = re.sub(r"[\s│]+", " ", said["status", "ranker-v2"])
    assert "Waiting for the approval of ana or ben to go on to ab" in status
    assert re.search(r"Evidence [0-9a-f]{12}\.", status)
    assert "ab needs the approval of ana or ben; given by nobody yet" in status
    assert "Nothing else is needed: it goes on at the next look." in said["approve", "ranker-v2"]
    assert said["token", "revoke"] == "The token of wall opens nothing any more.\n"
    assert [token.name for token in Tokens(waiting).all()] == ["ana", "ben", "dan"]
    store = Store(waiting)
    assert store.get(NAME).position.phase is Phase.ROLLED_BACK
    assert [entry.rule for entry in store.entries(NAME)][-2:] == ["approve", "manual"]
    assert not stop_orders.ordered(waiting)


def test_what_cannot_be_approved_says_why(waiting: Path, crossfade: Crossfade) -> None:
    eve = crossfade("approve", NAME, "-r", "x", "--actor", "eve")
    assert (eve.code, eve.err.splitlines()[0]) == (2, "crossfade: eve cannot approve ab: that is for ana or ben")
    old = crossfade("approve", NAME, "-r", "x", "--actor", "ana", "--shown", "0" * 12)
    assert "the evidence is not what was shown any more" in old.err
    assert crossfade("approve", NAME, "--actor", "ana", "-r", " ").code == 2
    assert crossfade("approve", NAME, "-r", "x", "--actor", "ana").code == 0
    again = crossfade("approve", NAME, "-r", "x", "--actor", "ana")
    assert "it takes 1 different people" not in again.err
    assert again.code == 2
    plain = crossfade("explain", NAME, str(Store(waiting).get(NAME).seq))
    assert "approved going on to ab on evidence" in plain.out
    ended = crossfade("advance", NAME, "-r", "x")
    assert ended.code == 0


def test_the_plan_says_who_is_asked(waiting: Path, crossfade: Crossfade, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(Store(waiting).get(NAME).text)
    ran = crossfade(
        "plan", str(tmp_path / "spec.yaml"), "--rate", "10", "--baseline", "errors=1%", "--baseline", "wrong=40%"
    )
    assert "ab: entered with the approval of ana or ben" in ran.out, ran


def test_who_approves_by_token_needs_the_role_and_is_that_person(waiting: Path, crossfade: Crossfade) -> None:
    ana, dan = (Tokens(waiting).add(name, [role], at=1.0, by="root") for name, role in ROLES)
    refused = crossfade("approve", NAME, "-r", "x", "--token", dan)
    assert (refused.code, "may not approve" in refused.err) == (2, True)
    given = crossfade("approve", NAME, "-r", "read it", "--token", ana)
    assert given.out.startswith("ana approved going on to ab on evidence")
    entry = Store(waiting).entries(NAME)[-1]
    assert (entry.actor, entry.by and entry.by["token"], entry.about and entry.about["via"]) == (
        "ana", "ana", "token ana",
    )  # fmt: skip


ROLES = (("ana", "approver"), ("dan", "operator"))
