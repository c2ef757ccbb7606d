"""The process in which one function of the user's runs: `python -m crossfade.rim.theirs_process MODULE:FUNCTION HOW`.

It reads lists from its standard input and writes a list of answers for each, or why there is none. It ends when its
input does. What the function prints goes to standard error.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

MOST_SAID = 200
"""Characters of an error that are passed on."""


def main() -> None:
    """Load the function, say so, and answer until the input ends."""
    function, how = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.path.insert(0, os.getcwd())
    try:
        called, digest = _load(function)
    except BaseException as error:
        _write(answers, {"why": f"cannot be loaded: {_say(error)}"})
        return
    _write(answers, {"digest": digest})
    while (asked := _read(sys.stdin.buffer)) is not None:
        try:
            found = [_plain(called(*one)) for one in asked] if how == "score" else _rows(called(asked))
        except BaseException as error:
            _write(answers, {"why": f"failed: {_say(error)}"})
            continue
        _write(answers, found)


def _load(function: str) -> tuple[Callable[..., Any], str]:
    module, _, name = function.partition(":")
    loaded = importlib.import_module(module)
    called = getattr(loaded, name)
    if not callable(called):
        raise TypeError(f"{name} is no function")
    source = getattr(loaded, "__file__", None)
    return called, hashlib.sha256(Path(source).read_bytes() if source else b"").hexdigest()


def _rows(found: Any) -> list[Any]:
    """A vector for each text, from lists, arrays, or sparse rows."""
    found = found.toarray() if hasattr(found, "toarray") else found
    return [[float(number) for number in _plain(row)] for row in _plain(found)]


def _plain(found: Any) -> Any:
    """Numbers and arrays of numeric libraries as those of the language."""
    return found.tolist() if hasattr(found, "tolist") else found


def _say(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MOST_SAID]


def _read(pipe: BinaryIO) -> Any:
    head = pipe.read(4)
    return msgspec.msgpack.decode(pipe.read(int.from_bytes(head, "big"))) if len(head) == 4 else None


def _write(pipe: BinaryIO, message: Any) -> None:
    try:
        said = msgspec.msgpack.encode(message)
    except TypeError as error:
        said = msgspec.msgpack.encode({"why": f"answered what is no number: {_say(error)}"})
    pipe.write(len(said).to_bytes(4, "big") + said)
    pipe.flush()


if __name__ == "__main__":
    main()
