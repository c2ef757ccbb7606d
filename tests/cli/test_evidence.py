"""The commands of docs/how-to/evidence.md do what the page says, and fail with its exit codes."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.rim import otherwise, signing
from crossfade.state import Phase
from rim.recorded import NAME, SPEC, make

from .conftest import Crossfade

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "evidence.md").read_text()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    assert make(folder, wrong=0.15) is Phase.PROMOTED
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own, and the directory that commands run in."""
    shutil.copytree(made, tmp_path / "crossfade-data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(signing.VARIABLE, raising=False)
    return tmp_path


def test_every_command_of_the_page_runs(folder: Path, crossfade: Crossfade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otherwise, "LOOKS", 6)
    (folder / "other.yaml").write_text(SPEC.replace("margin: 10pp", "margin: 1pp"))
    commands = re.findall(r"^\$ (.+)$", PAGE, flags=re.MULTILINE)
    assert len(commands) >= 9
    for command in commands:
        words = shlex.split(command.replace("digits-v2", NAME))
        if words[0] == "crossfade":
            ran = crossfade(*words[1:])
            assert ran.code == 0, (command, ran)
        elif words[0] == "export":
            name, value = words[1].split("=")
            assert name == signing.VARIABLE
            monkeypatch.setenv(name, value)
        else:
            subprocess.run(words, check=True, capture_output=True)
    # From here on a move is signed, and the page's key is the one that signed it.
    assert crossfade("rollback", NAME, "--reason", "enough").code == 0
    said = json.loads(crossfade("verify", NAME, "--json").out)
    assert said["signed"] == {"by": [signing.public(folder / "public.pem")], "unsigned": said["signed"]["unsigned"]}
    ran = crossfade("verify", NAME, "--key", "public.pem")
    assert (ran.code, "entry 1 is not signed" in ran.out.lower()) == (1, True)


def test_the_published_record_of_verify(folder: Path, crossfade: Crossfade) -> None:
    ran = crossfade("verify", NAME, "--json")
    said = json.loads(ran.out)
    assert ran.code == 0
    assert (said["intact"], said["first_broken"], said["entries"] > 3, said["facts"] > 3) == (True, None, True, True)
    assert crossfade("verify", NAME, "--expect", said["head"]).code == 0
    assert crossfade("verify", NAME, "--expect", "0" * 64).code == 1
    file = sorted((folder / "crossfade-data" / "lake" / "outcome").glob("*.parquet"))[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    ran = crossfade("verify", NAME, "--json")
    said = json.loads(ran.out)
    assert (ran.code, said["intact"]) == (1, False)
    assert said["first_broken"].endswith(f"outcome/{file.name}")
    text = crossfade("verify", NAME).out
    assert f"broken at {said['first_broken']}" in text
    # The dossier of a record that does not hold says so.
    ran = crossfade("report", NAME, "-o", "dossier.md")
    assert (ran.code, "THE RECORD DOES NOT HOLD" in Path("dossier.md").read_text()) == (1, True)


def test_the_published_record_of_replay(folder: Path, crossfade: Crossfade) -> None:
    ran = crossfade("replay", NAME, "--json")
    said = json.loads(ran.out)
    assert ran.code == 0
    assert (said["decisions"], said["differing"]) == (said["reproduced"], [])
    assert "decisions reproduced" in crossfade("replay", NAME).out
    for file in (folder / "crossfade-data" / "lake" / "exposed").glob("*.parquet"):
        file.unlink()
    ran = crossfade("replay", NAME, "--json")
    said = json.loads(ran.out)
    assert (ran.code, said["reproduced"] < said["decisions"]) == (1, True)
    assert "NOT reproduced" in crossfade("replay", NAME).out


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        (("verify", "r2"), "no rollout is named 'r2'"),
        (("verify", NAME, "--folder", "nowhere"), "holds no export"),
        (("replay", NAME, "--folder", "nowhere"), "holds no export"),
        (("verify", NAME, "--key", "nowhere.pem"), "cannot read the public key"),
        (("report", NAME, "-o", "dossier.doc"), "does not say how to write it"),
        (("report", NAME, "-o", "nowhere/dossier.md"), "cannot write nowhere/dossier.md"),
        (("export", NAME, "-o", "crossfade-data"), "is not empty"),
        (("replay", NAME, "--spec", "nowhere.yaml"), "cannot read nowhere.yaml"),
        (("replay", NAME, "--spec", "no.yaml"), "is not a spec that could run"),
        (("replay", NAME, "--spec", "else.yaml"), "its champion is v0"),
    ],
)
def test_wrong_use_is_said_plainly(folder: Path, crossfade: Crossfade, command: tuple[str, ...], wrong: str) -> None:
    Path("no.yaml").write_text("name: 1\n")
    Path("else.yaml").write_text(SPEC.replace("name: v1", "name: v0"))
    ran = crossfade(*command)
    assert ran.code in (1, 2)
    assert wrong in ran.err
    assert "Traceback" not in ran.err
