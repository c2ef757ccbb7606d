"""`crossfade init`: a commented spec to start from, never written over another file unasked."""

from __future__ import annotations

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


def init(
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

    Exit code 0: written; 2: not written, with the reason.
    """
    text = template(name=name, route=route, champion=champion, challenger=challenger, protocol=protocol)
    try:
        parse(text)
    except SpecProblems as error:
        told = [f"{_OPTIONS.get(problem.path, problem.path)}: {problem.message}" for problem in error.problems]
        fail("\n  ".join(["nothing was written:", *told]))
    if str(file) == "-":
        typer.echo(text, nl=False)
        return
    if file.is_dir():
        fail(f"{file} is a directory", f"name a file inside it, such as {file / 'rollout.yaml'}")
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        fail(f"{file} is there already and was left as it is", "name another file, or say --force to write over it")
    except FileNotFoundError:
        fail(f"there is no directory {file.parent}", f"make it first: mkdir -p {file.parent}")
    except OSError as error:
        fail(f"cannot write {file}: {error.strerror or error}", "name another place")
    typer.echo(f"Wrote {file}. Read it, change it to your needs, then: crossfade check {file}")


def register(app: typer.Typer) -> None:
    """Add the command to an app."""
    app.command("init")(init)
