"""What every command shares: the data folder, JSON output, and errors that say what to do instead of a traceback."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from crossfade.cli.completion import names

if TYPE_CHECKING:
    from rich.console import Console

    from crossfade.rim.record import AnyRecord
    from crossfade.rim.store import Store

FINE, PROBLEM, WRONG_USE = 0, 1, 2

DATA = Path("crossfade-data")

DataDir = Annotated[Path, typer.Option("--data", help="Folder that holds the rollouts.", envvar="CROSSFADE_DATA")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record for programs instead of text for people.")]

Name = Annotated[str, typer.Argument(metavar="NAME", help="The rollout's name, as in its spec.", autocompletion=names)]

Register = Callable[[typer.Typer], None]


def console(*, stderr: bool = False) -> Console:
    """A terminal that prints text as it is: no markup, no highlighting; no colour when piped."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)


def print_json(record: Any) -> None:
    """One JSON value on one line of standard output."""
    sys.stdout.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def fail(error: str, what_to_do: str = "", *, code: int = WRONG_USE, as_json: bool = False) -> NoReturn:
    """End the command, saying what was wrong and what to do: on standard error, or with `--json` as a record."""
    if as_json:
        print_json({"error": error, "what_to_do": what_to_do})
    else:
        sys.stderr.write(f"crossfade: {error}\n" + (f"  {what_to_do}\n" if what_to_do else ""))
    raise typer.Exit(code)


_REMEDIES = {
    "is locked": "another program holds it; nothing was changed, so try again",
    "is full": "free some space; nothing was changed, so try again",
    "readonly database": "see to it that the folder and the file can be written",
    "unable to open": "see to it that the folder and the file can be written",
}
"""What helps, by what SQLite says."""


def _remedy(said: str, data: Path) -> str:
    from crossfade.rim import store_address

    if (data / "export.json").exists():
        return "`crossfade verify` says what was changed; export it again from where it was recorded"
    if "the store at " in said or store_address.VARIABLE in said:
        return f"see to it that the server runs, and that {store_address.VARIABLE} has its address and a role"
    damaged = f"if {data / 'state.db'} was damaged, put a copy back or serve into another folder with --data"
    return next((remedy for words, remedy in _REMEDIES.items() if words in said), damaged)


@contextmanager
def opened(data: Path, *, as_json: bool = False) -> Iterator[Store]:
    """The store of a data folder; whatever is wrong with it or with the name or move asked for ends the command."""
    from crossfade.rim import standing

    store = None
    with explained(data, lambda: store, as_json=as_json):
        try:
            store = standing.open_store(data)
            yield store
        finally:
            if store is not None:
                store.close()


@contextmanager
def opened_record(
    data: Path, name: str, folder: Path | None, *, as_json: bool = False, runs_code: bool = False
) -> Iterator[AnyRecord]:
    """A rollout's record for those who check it, from a data folder or an exported one; errors as in `opened`."""
    from crossfade.rim.lake import LakeError
    from crossfade.rim.record import open_record

    record = None
    with explained(folder or data, lambda: None, as_json=as_json):
        try:
            record = open_record(data, name, folder, runs_code=runs_code)
            yield record
        except LakeError as error:
            fail(str(error), "`crossfade verify` says which file it is", code=PROBLEM, as_json=as_json)
        finally:
            if record is not None:
                record.close()


@contextmanager
def explained(data: Path, store: Callable[[], Store | None], *, as_json: bool) -> Iterator[None]:
    """Whatever is wrong with a store, or with the name or move asked for, ends the command and says what to do."""
    from crossfade.rim import standing
    from crossfade.rim.store import StaleDecision, StoreError, UnknownRollout
    from crossfade.spec.problems import SpecProblems
    from crossfade.state import IllegalMove

    try:
        yield
    except standing.NoData as error:
        fail(str(error), error.todo, as_json=as_json)
    except UnknownRollout as error:
        there = store()
        close = standing.nearest(error, there) if there else []
        fail(str(error), f"did you mean {close[0]}?" if close else "see `crossfade status`", as_json=as_json)
    except IllegalMove as error:
        over = "what has ended stays so; serve its spec under another name to begin anew"
        fail(str(error), over if error.ended else "see `crossfade status` for where it stands", as_json=as_json)
    except StaleDecision as error:
        fail(str(error), code=PROBLEM, as_json=as_json)
    except StoreError as error:
        fail(str(error), _remedy(str(error), data), code=PROBLEM, as_json=as_json)
    except SpecProblems as error:
        todo = "it was written by another version of crossfade; use that one, or serve the corrected spec again"
        fail(f"a stored spec is not understood: {error}", todo, code=PROBLEM, as_json=as_json)
