"""`crossfade init`: writes a spec that passes check, and never destroys what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.test_check import crossfade
from cli.typing_person import Person
from crossfade.spec.model import Protocol
from crossfade.spec.parse import parse
from crossfade.spec.template import template


def test_what_it_writes_passes_check(tmp_path: Path) -> None:
    run = crossfade("init", cwd=tmp_path)
    assert run.returncode == 0
    assert "crossfade check rollout.yaml" in run.stdout
    assert (tmp_path / "rollout.yaml").read_text() == template()
    assert crossfade("check", "rollout.yaml", cwd=tmp_path).returncode == 0


def test_its_options_reach_the_spec(tmp_path: Path) -> None:
    given = ["--name", "12", "--route", "/a", "--champion", "http://h:1", "--challenger", "https://h:2/x"]
    run = crossfade("init", "spec.yaml", *given, "--protocol", "json", cwd=tmp_path)
    assert run.returncode == 0
    rollout = parse((tmp_path / "spec.yaml").read_text())
    assert (rollout.name, rollout.route, rollout.protocol) == ("12", "/a", Protocol.JSON)
    assert (rollout.champion.url, rollout.challenger.url) == ("http://h:1", "https://h:2/x")


def test_it_leaves_a_file_that_is_there_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "rollout.yaml"
    path.write_text("mine")
    run = crossfade("init", path)
    assert run.returncode == 2
    assert "was left as it is" in run.stderr
    assert "--force" in run.stderr
    assert path.read_text() == "mine"
    assert crossfade("init", path, "--force").returncode == 0
    assert path.read_text() == template()


def test_it_can_print_instead() -> None:
    run = crossfade("init", "-")
    assert (run.returncode, run.stdout) == (0, template())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--name", "a b"], "--name: found 'a b'; expected a name"),
        (["--name", "a\nb: c"], "--name: found 'a\\nb: c'; expected a name"),
        (["--route", "predict"], "--route: found 'predict'; expected a path prefix that begins with '/'"),
        (
            ["--protocol", "grpc"],
            "--protocol: found 'grpc'; expected open-inference, json, mlflow, predict-v1 or openai-chat",
        ),
        (["--champion", "localhost:80"], "--champion: found 'localhost:80'; expected an http:// or https:// URL"),
        (["--challenger", ""], "--challenger: found ''; expected an http:// or https:// URL"),
    ],
)
def test_wrong_options_write_nothing_and_say_why(arguments: list[str], says: str, tmp_path: Path) -> None:
    run = crossfade("init", "spec.yaml", *arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert says in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("place", "says"), [("no/spec.yaml", "mkdir -p no"), (".", "is a directory")])
def test_a_place_that_cannot_be_written_is_explained(place: str, says: str, tmp_path: Path) -> None:
    run = crossfade("init", place, cwd=tmp_path)
    assert run.returncode == 2
    assert says in run.stderr


def test_on_a_terminal_it_asks_three_questions_until_the_answers_could_stand_in_a_spec(tmp_path: Path) -> None:
    with Person("init", cwd=tmp_path) as person:
        person.sees("What do the models speak (")
        person.types("grpc")
        person.sees("found 'grpc'; expected")
        person.types("json")
        person.sees("the champion? [http://127.0.0.1:8101]")
        person.types("")
        person.sees("the challenger?")
        person.types("localhost:3")
        person.sees("did you mean http://localhost:3?")
        person.types("http://h:1")
        person.sees("crossfade doctor rollout.yaml")
        assert person.ends() == 0
    rollout = parse((tmp_path / "rollout.yaml").read_text())
    told = (rollout.protocol, rollout.champion.url, rollout.challenger.url)
    assert told == (Protocol.JSON, "http://127.0.0.1:8101", "http://h:1")


def test_an_option_or_a_file_that_is_there_spares_the_questions(tmp_path: Path) -> None:
    with Person("init", "--protocol", "mlflow", cwd=tmp_path) as person:
        assert person.ends() == 0
        assert "?" not in person.shown
    with Person("init", cwd=tmp_path) as person:
        assert person.ends() == 2
        assert "is there already" in person.shown
