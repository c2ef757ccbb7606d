"""`crossfade outcomes import`: report what a file or a table of a warehouse says happened."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, fail, opened, print_json
from crossfade.cli.progress import working

if TYPE_CHECKING:
    from crossfade.cli.importing import Rejects, Totals
    from crossfade.rim.outcome_rows import Mapped


TOKEN = "CROSSFADE_OUTCOME_TOKEN"
"""Has the reporter's token for `--to`; no option, because others can read those in the list of processes."""


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(help="Outcomes: what happened after replies.", no_args_is_help=True)
    group.command("import")(import_)
    group.callback()(_outcomes)
    app.add_typer(group, name="outcomes")


def _outcomes() -> None:
    """Outcomes: what happened after replies."""


def import_(
    source: Annotated[Path, typer.Argument(metavar="FILE|TABLE", help="CSV, NDJSON, Parquet, or a Delta folder.")],
    column: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=COLUMN", help="Which column says what; same names need none.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="The same for all.")] = None,
    to: Annotated[str | None, typer.Option(metavar="URL", help="A control port; else straight into --data.")] = None,
    data: DataDir = DATA,
    format_: Annotated[str | None, typer.Option("--format", help="csv, ndjson, parquet or delta.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Of times without an offset, such as UTC.")] = None,
    batch: Annotated[int, typer.Option(help="Outcomes handed over at once.", min=1, max=50_000)] = 1000,
    rejects: Annotated[Path | None, typer.Option(help="Rows not kept; default SOURCE.rejects.ndjson.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Note of how far it came; goes on from there.")] = None,
    json: AsJson = False,
) -> None:
    """Report every row as an outcome. Fields: outcome_id, decision_id, rollout, unit, name, value, item, at, corrects
    (the outcome_id whose value this row replaces). A row without an outcome_id gets one from its content, so importing
    a file again counts nothing twice; two events that are alike in everything need ids of their own."""
    from crossfade.cli.importing import Notebook, Rejects, Undelivered, carry_all
    from crossfade.rim import outcome_rows
    from crossfade.rim.outcome_rows import RowsError

    began = time.monotonic()
    try:
        kind = outcome_rows.format_of(source, _format(format_, json))
        asked = outcome_rows.Mapped(
            columns=_pairs(column, "--column"), fixed=_pairs(set_, "--set"), zone=_zone(timezone)
        )
        mapped = asked.check(outcome_rows.names_of(source, kind))
        notebook = Notebook(resume, _about(source, kind, mapped, resume))
        totals = notebook.read()
    except RowsError as error:
        fail(str(error), "see `crossfade outcomes import --help`", as_json=json)
    begun_at = totals.last

    def done(so_far: Totals) -> None:
        notebook.write(so_far)
        at_work.forward(so_far.rows - at_work.done)

    noted = Rejects(rejects or source.with_name(source.name + ".rejects.ndjson"), append=begun_at > 0)
    try:
        with _Carrier(to, data, json) as carrier, working("Importing", unit="rows") as at_work:
            found = outcome_rows.rows(source, kind, after=begun_at)
            carry_all(found, mapped, carrier, totals, noted, batch=batch, done=done)
    except (RowsError, Undelivered, OSError) as error:
        so = f"{totals.accepted:,} outcomes were kept before that; import it again, which counts nothing twice"
        fail(str(error), so, code=PROBLEM, as_json=json)
    finally:
        noted.close()
    _tell(totals, noted, began, begun_at, json)
    if totals.rejected:
        raise typer.Exit(PROBLEM)


class _Carrier:
    """Whatever takes the outcomes, open for as long as it is used."""

    def __init__(self, to: str | None, data: Path, as_json: bool) -> None:
        self._to, self._data, self._as_json = to, data, as_json
        self._close: Any = None

    def __enter__(self) -> Any:
        from crossfade.cli.importing import ToFolder, ToPort, Undelivered

        if self._to is not None:
            from crossfade.client.outcomes import Port

            try:
                port = Port(self._to, timeout=60.0, token=os.environ.get(TOKEN, ""))
            except ValueError as error:
                fail(str(error), as_json=self._as_json)
            self._close = port.close
            return ToPort(port)
        from crossfade.rim.batches import JournalError
        from crossfade.rim.inbox import OutcomeInbox
        from crossfade.rim.pseudonym_keys import Keys

        with opened(self._data, as_json=self._as_json) as store:
            known = {stored.name: stored.rollout for stored in store.rollouts()}
            keys = Keys(self._data)
            keys.check(known.values())
        try:
            inbox = OutcomeInbox(self._data)
        except JournalError as error:
            raise Undelivered(str(error)) from error
        self._close = inbox.close
        return ToFolder(inbox, known, lambda rollout, unit: keys.recorded(known[rollout], unit))

    def __exit__(self, *_: object) -> None:
        if self._close is not None:
            self._close()


def _tell(totals: Totals, noted: Rejects, began: float, begun_at: int, as_json: bool) -> None:
    seconds = time.monotonic() - began
    record: dict[str, Any] = {
        "rows": totals.rows,
        "accepted": totals.accepted,
        "duplicates": totals.duplicates,
        "rejected": totals.rejected,
        "rejects": str(noted.path) if totals.rejected else None,
        "resumed_after": begun_at or None,
        "seconds": round(seconds, 3),
    }
    if as_json:
        print_json(record)
        return
    if sys.stderr.isatty():
        sys.stderr.write("\r")
    typer.echo(
        f"{totals.rows:,} rows: {totals.accepted:,} outcomes kept, {totals.duplicates:,} known already, "
        f"{totals.rejected:,} rejected"
    )
    if totals.rejected:
        typer.echo(f"which and why is in {noted.path}")


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    from crossfade.rim.outcome_rows import RowsError

    found: dict[str, str] = {}
    for pair in given or []:
        field, equals, value = pair.partition("=")
        if not equals or not field or not value:
            raise RowsError(
                f"{option} {pair!r} is not of the form FIELD={'COLUMN' if option == '--column' else 'VALUE'}"
            )
        if field in found:
            raise RowsError(f"{option} says {field} twice; say it once")
        found[field] = value
    return found


def _format(given: str | None, as_json: bool) -> str | None:
    from crossfade.rim.outcome_rows import FORMATS

    if given is not None and given not in FORMATS:
        fail(f"--format {given!r} is not known; allowed: {', '.join(FORMATS)}", as_json=as_json)
    return given


def _zone(given: str | None) -> ZoneInfo | None:
    from crossfade.rim.outcome_rows import RowsError

    try:
        return None if given is None else ZoneInfo(given)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise RowsError(f"--timezone {given!r} is not known; write UTC or a name such as Europe/Berlin") from error


def _about(source: Path, kind: str, mapped: Mapped, resume: Path | None) -> dict[str, Any]:
    """What a note of an import is about; when it has changed, row numbers mean something else."""
    from crossfade.rim.outcome_rows import RowsError

    if resume is not None and kind == "delta":
        raise RowsError(
            "a Delta table's rows have no fixed order, so --resume cannot say how far it came; leave it out"
        )
    stat = source.stat()
    zone = str(mapped.zone) if mapped.zone else None
    columns, fixed = dict(mapped.columns), dict(mapped.fixed)
    return {
        "source": str(source.resolve()),
        "size": stat.st_size,
        "changed": stat.st_mtime_ns,
        "columns": columns,
        "fixed": fixed,
        "zone": zone,
    }
