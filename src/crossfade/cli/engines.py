"""`--engine`: which engine questions are put to, for the commands that ask some."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.common import PROBLEM, WRONG_USE, fail

if TYPE_CHECKING:
    from crossfade.rim.engine.backend import Backend

EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        help="Who computes: duckdb (default), postgresql://…, spark://HOST:PORT, spark:local[2] or clickhouse:local. "
        "Else CROSSFADE_ENGINE.",
    ),
]


@contextmanager
def opened_engine(told: str | None, *, as_json: bool) -> Iterator[Backend | None]:
    """The engine that was asked for, None for DuckDB; whatever is wrong with it ends the command."""
    from crossfade.rim.engine.backend import EngineError
    from crossfade.rim.engine.elsewhere import HERE, opened

    engine = named(told, as_json=as_json)
    backend = None
    try:
        backend = None if engine == HERE else opened(engine)
        yield backend
    except EngineError as error:
        fail(str(error), code=PROBLEM, as_json=as_json)
    finally:
        if backend is not None:
            backend.close()


def named(told: str | None, *, as_json: bool) -> str:
    """The engine that was asked for, in one spelling; what is none ends the command."""
    from crossfade.rim.engine.backend import EngineError
    from crossfade.rim.engine.elsewhere import chosen

    try:
        return chosen(told)
    except EngineError as error:
        fail(str(error), code=WRONG_USE, as_json=as_json)


def put_to_work(told: str | None, *, as_json: bool) -> None:
    """Let the controllers that this command starts ask an engine; one that cannot be named ends the command."""
    from crossfade.rim.engine.elsewhere import HERE, VARIABLE

    engine = named(told, as_json=as_json)
    if engine != HERE:
        os.environ[VARIABLE] = engine
