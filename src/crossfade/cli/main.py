"""The `crossfade` command: finds the module of the command asked for and runs it.

Only that module is loaded, so that `crossfade check` does not wait for a database engine it never uses.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Sequence

import typer

from crossfade import __version__
from crossfade.cli.act import MOVES
from crossfade.cli.common import FINE, WRONG_USE, print_json

COMMANDS: dict[str, str] = {
    "init": "init",
    "check": "check",
    "doctor": "doctor",
    "test": "spec_tests",
    "demo": "demo",
    **dict.fromkeys(("serve", "gateway", "controller", "console"), "serve"),
    "reload": "reload",
    "status": "status",
    "explain": "explain",
    **dict.fromkeys(MOVES, "act"),
    "approve": "approve",
    "verify": "verify",
    "replay": "replay",
    "facts": "facts",
    "export": "export",
    "report": "report",
    "outcomes": "outcomes",
    "exposures": "exposures",
    "forget": "forget",
    "notify": "notify",
    "analyze": "analyze",
    "plan": "plan",
    "simulate": "simulate",
    "compare": "compare",
    "replay-traffic": "replay_traffic",
    "differences": "differences",
    **dict.fromkeys(("mute", "unmute"), "mute"),
    "token": "token",
    "store": "store",
    **dict.fromkeys(("exclude", "include"), "exclude"),
}
"""Every command and the module that registers it, in the order help lists them."""


SHORT = 58
"""Characters of a description in the list of commands."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; always ends the process with a documented exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if "--json" in given:
            raise SystemExit(_for_programs(given))
        build(given)(args=given, prog_name="crossfade")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader of a pipe went away; that is its right. Closing stderr keeps the interpreter quiet about it.
        sys.stderr.close()
        raise SystemExit(0) from None


def _for_programs(given: list[str]) -> int:
    """Run a command whose caller reads JSON, wrong use included; the exit code."""
    try:
        code = build(given)(args=given, prog_name="crossfade", standalone_mode=False)
    except Exception as error:
        said = getattr(error, "format_message", None)
        if said is None:
            raise
        # A usage error, from whichever copy of click it came.
        named = next((word for word in given if not word.startswith("-")), "")
        told = f"see `crossfade {named} --help`" if named in COMMANDS else "see `crossfade --help`"
        print_json({"error": said(), "what_to_do": told})
        return int(getattr(error, "exit_code", WRONG_USE))
    return code if isinstance(code, int) else FINE


def build(arguments: Sequence[str] = ()) -> typer.Typer:
    """The application with the commands that `arguments` may need: one where it is named, else all."""
    app = typer.Typer(
        name="crossfade",
        help="Take a model from shadow to everyone, gradually, and prove why. "
        "New here: `crossfade demo`, then `crossfade init`. "
        "Exit codes: 0 fine, 1 found a problem, 2 wrong use.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_crossfade)
    named = next((word for word in arguments if not word.startswith("-")), None)
    wanted = [COMMANDS[named]] if named in COMMANDS else COMMANDS.values()
    for module in dict.fromkeys(wanted):
        importlib.import_module(f"crossfade.cli.{module}").register(app)
    for command in app.registered_commands:
        command.short_help = _shortly(command.help or inspect.getdoc(command.callback) or "")
    return app


def _shortly(told: str) -> str:
    """The first clause of a description, for the list of commands: as much as a line of 80 columns holds."""
    sentence = re.split(r"[.;:](?:\s|$)", " ".join(told.split()))[0]
    while len(sentence) > SHORT and "," in sentence:
        sentence = sentence.rpartition(",")[0]
    return sentence if len(sentence) <= SHORT else sentence[:SHORT].rpartition(" ")[0] + " …"


def _version(asked: bool) -> None:
    if asked:
        from crossfade.rim.build_kind import request_path

        typer.echo(f"crossfade {__version__} (request path {request_path()})")
        raise typer.Exit


def _crossfade(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of the program as a whole."""


if __name__ == "__main__":
    main()
