"""`crossfade init`: a commented spec to start from, never written over another file unasked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crossfade.cli.common import fail
from crossfade.spec.model import Protocol
from crossfade.spec.parse import SpecProblems, parse
from crossfade.spec.template import CHALLENGER, CHAMPION, template

_OPTIONS = {
    "name": "--name",
    "route": "--route",
    "protocol": "--protocol",
    "champion.url": "--champion",
    "challenger.url": "--challenger",
}


QUESTIONS = (
    ("protocol", f"What do the models speak ({', '.join(Protocol)})?"),
    ("champion", "Where does the present model listen, the champion?"),
    ("challenger", "Where does the new model listen, the challenger?"),
)
"""What is asked on a terminal where no option has said anything: option and question."""


def init(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; - prints it.")] = Path(
        "rollout.yaml"
    ),
    name: Annotated[str, typer.Option(help="The rollout's name.")] = "my-rollout",
    route: Annotated[
        str | None, typer.Option(help="Path prefix of its requests; by default the protocol's usual one.")
    ] = None,
    champion: Annotated[str, typer.Option(metavar="URL", help="Where the present model listens.")] = CHAMPION,
    challenger: Annotated[str, typer.Option(metavar="URL", help="Where the new model listens.")] = CHALLENGER,
    protocol: Annotated[
        str, typer.Option(help="What the models speak: open-inference, json, mlflow, predict-v1 or openai-chat.")
    ] = str(Protocol.OPEN_INFERENCE),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented spec that passes check, to change to your needs.

    On a terminal, and where no option says anything about the rollout, it asks three questions; Enter takes what is
    in brackets. It never asks when it is piped.

    Exit code 0: written; 2: not written, with the reason.
    """
    if str(file) != "-":
        _check_place(file, force)
    if _may_ask(context, file):
        answers = _asked({"protocol": protocol, "champion": champion, "challenger": challenger})
        protocol, champion, challenger = answers["protocol"], answers["champion"], answers["challenger"]
    text = template(name=name, route=route, champion=champion, challenger=challenger, protocol=protocol)
    try:
        parse(text)
    except SpecProblems as error:
        told = [f"{_OPTIONS.get(problem.path, problem.path)}: {problem.message}" for problem in error.problems]
        fail("\n  ".join(["nothing was written:", *told]))
    if str(file) == "-":
        typer.echo(text, nl=False)
        return
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        fail(f"{file} is there already and was left as it is", "name another file, or say --force to write over it")
    except FileNotFoundError:
        fail(f"there is no directory {file.parent}", f"make it first: mkdir -p {file.parent}")
    except OSError as error:
        fail(f"cannot write {file}: {error.strerror or error}", "name another place")
    typer.echo(f"Wrote {file}. Read it, change it to your needs (what is measured, above all), then:")
    typer.echo(f"  crossfade check {file}     every mistake, with its line")
    typer.echo(f"  crossfade doctor {file}    what is read in the models' replies")
    typer.echo(f"  crossfade serve {file}")


def _check_place(file: Path, force: bool) -> None:
    """Before anything is asked: nobody answers three questions for nothing."""
    if file.is_dir():
        fail(f"{file} is a directory", f"name a file inside it, such as {file / 'rollout.yaml'}")
    if file.exists() and not force:
        fail(f"{file} is there already and was left as it is", "name another file, or say --force to write over it")


def _may_ask(context: typer.Context, file: Path) -> bool:
    """Only where a person is at both ends, and has not said it by options."""
    about = ("name", "route", *(option for option, _ in QUESTIONS))
    said = any(getattr(context.get_parameter_source(one), "name", "") == "COMMANDLINE" for one in about)
    return not said and str(file) != "-" and sys.stdin.isatty() and sys.stdout.isatty()


def _asked(told: dict[str, str]) -> dict[str, str]:
    """The answers, each asked again until it could stand in a spec."""
    for option, question in QUESTIONS:
        while True:
            answer = typer.prompt(question, default=told[option]).strip()
            tried = told | {option: answer}
            try:
                parse(template(name="my-rollout", route=None, **tried))
            except SpecProblems as error:
                typer.echo("  " + error.problems[0].message)
            else:
                told = tried
                break
    return told


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("init")(init)
