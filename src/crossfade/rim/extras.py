"""How to install an optional part of this package, said for the way in which the package itself was installed."""

from __future__ import annotations

import json
import shlex
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from urllib.parse import unquote, urlsplit

NAME = "crossfade"


@cache
def install(extra: str) -> str:
    """The command, such as `pip install '/home/ana/crossfade[pdf]'`.

    A bare name is only said where a package index is where this one came from: elsewhere the name may be anybody's.
    """
    try:
        found: Distribution | None = Distribution.from_name(NAME)
    except PackageNotFoundError:
        found = None
    return command(extra, None if found is None else found.read_text("direct_url.json"), found is not None)


def command(extra: str, direct: str | None, installed: bool = True) -> str:
    """The command, from what pip noted down of where the package came from (`direct_url.json`)."""
    try:
        told = json.loads(direct) if direct else {}
        url = str(told.get("url", ""))
    except (ValueError, AttributeError):
        told, url = {}, ""
    if url.startswith("file:") and "dir_info" in told:
        editable = "-e " if told["dir_info"].get("editable") else ""
        return f"pip install {editable}{_quoted(f'{unquote(urlsplit(url).path)}[{extra}]')}"
    if "vcs_info" in told:
        vcs = told["vcs_info"].get("vcs", "git")
        return f"pip install {_quoted(f'{NAME}[{extra}] @ {vcs}+{url}')}"
    if url:
        return f"pip install {_quoted(f'{NAME}[{extra}] @ {url}')}"
    if installed:
        return f"pip install {_quoted(f'{NAME}[{extra}]')}"
    # It runs from a clone that nobody installed.
    clone = Path(__file__).resolve().parents[3]
    place = str(clone) if (clone / "pyproject.toml").is_file() else "."
    return f"pip install {_quoted(f'{place}[{extra}]')}"


def _quoted(text: str) -> str:
    # Brackets mean something to shells, also where shlex sees nothing to quote.
    return shlex.quote(text) if shlex.quote(text) != text else f"'{text}'"
