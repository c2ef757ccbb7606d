"""Writes cli.md, the reference of the command line, from the commands themselves and nothing else.

Run it after a change to a command: `python docs/reference/make_cli.py`. A test compares.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer

from crossfade.cli.main import COMMANDS, build

PAGE = Path(__file__).with_name("cli.md")

HEAD = """\
# The command line

Every command and option. This page is generated from the commands by `docs/reference/make_cli.py`; `crossfade COMMAND --help`
says the same.

Exit codes: 0 fine, 1 found a problem, 2 wrong use. `--json` prints the record for programs instead of text for people, errors
included. `--data` (or the variable `CROSSFADE_DATA`) names the folder that holds the rollouts, `./crossfade-data` unless given.
"""


def page() -> str:
    """The page as it should be."""
    commands: dict[str, Any] = typer.main.get_command(build()).commands  # type: ignore[attr-defined]
    assert commands.keys() == COMMANDS.keys(), "a command is registered under another name"
    return "\n".join([HEAD, *(_command(name, commands[name]) for name in COMMANDS)])


def _command(name: str, command: Any, above: str = "crossfade") -> str:
    inner = getattr(command, "commands", None)
    if inner:
        parts = [f"## {name}\n\n{_text(command.help)}\n"]
        return "\n".join([*parts, *(_command(one, each, f"{above} {name}") for one, each in inner.items())])
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join([above, name, *(_argument(one) for one in arguments)])
    lines = [f"{'##' if above == 'crossfade' else '###'} {name}", "", f"`{usage}`", "", _text(command.help), ""]
    shown = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)]
    if shown:
        lines += ["| | default | |", "| --- | --- | --- |"]
    lines += [f"| {_named(one)} | {_default(one)} | {_plain(one.help or '')} |" for one in shown]
    return "\n".join(lines) + "\n"


def _argument(one: Any) -> str:
    name = (one.metavar or one.name.upper()).strip("[]")
    name += " …" if one.nargs == -1 else ""
    return name if one.required else f"[{name}]"


def _named(one: Any) -> str:
    if one.param_type_name == "argument":
        return f"`{_argument(one)}`"
    words = ", ".join(f"`{opt}`" for opt in (*one.opts, *one.secondary_opts))
    return words if one.is_flag or not one.metavar else f"{words} `{_plain(one.metavar)}`"


def _default(one: Any) -> str:
    value = one.default
    if one.required:
        return "required"
    if value is None or value is False or callable(value) or value in ((), []):
        return ""
    return f"`{value}`"


def _text(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\b\n", "")


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
