"""A CSV of totals by look and arm: `look, arm, n, sum, sum_squares`, cumulative per look."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from crossfade.judge.analysis.asked import AnalysisError, Asked
from crossfade.judge.analysis.totals import Totals
from crossfade.spec.model import Kind
from crossfade.spec.problems import nearest

NEEDED = ("arm", "n", "sum")
ALL = ("look", "arm", "n", "sum", "sum_squares")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int
    look: int
    arm: str
    n: int
    sum: float
    squares: float | None


def read_summary(path: Path, asked: Sequence[Asked]) -> Totals:
    """The totals of a file, once they are known to make sense for the metrics asked."""
    for one in asked:
        _answerable(path, one)
    rows = _rows(path)
    means = [one for one in asked if one.metric.kind in (Kind.MEAN, Kind.COUNT)]
    for row in rows:
        if means and row.squares is None:
            raise _wrong(path, row.line, "sum_squares", "nothing", "means need the sum of squared values per arm")
        if any(one.metric.kind is Kind.RATE for one in asked):
            _a_rate(path, row)
        if means:
            _a_mean(path, row)
    return _table(path, rows, squares=bool(means))


def _answerable(path: Path, one: Asked) -> None:
    kind = one.metric.kind
    if kind in (Kind.RATIO, Kind.QUANTILE):
        what = "numerators and denominators" if kind is Kind.RATIO else "how values are distributed"
        raise AnalysisError(
            f"{one.metric.name} is a {kind}, and {path} holds totals that do not tell {what}",
            "ask for it with --exposures and --outcomes; a summary answers rate, mean and count",
        )
    if one.covariate is not None or one.cap is not None:
        option = "covariate" if one.covariate is not None else "cap"
        raise AnalysisError(
            f"{one.metric.name}: {option}= needs each unit's value, and {path} holds totals",
            "ask for it with --exposures and --outcomes",
        )


def _rows(path: Path) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            _header(path, header)
            return [_row(path, reader.line_num, record) for record in reader]
    except FileNotFoundError:
        raise AnalysisError(f"there is no file {path}", f"name a CSV file with the columns {', '.join(ALL)}") from None
    except OSError as error:
        raise AnalysisError(f"cannot read {path}: {error.strerror or error}", "see to it that it can be read") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise AnalysisError(f"{path}: {error}", "expected CSV in UTF-8", found_in_data=True) from None


def _header(path: Path, header: Sequence[str]) -> None:
    for column in NEEDED:
        if column not in header:
            near = nearest(column, [name for name in header if name not in ALL])
            hint = f"; did you mean {near}?" if near else ""
            raise AnalysisError(
                f"{path} has no column {column}{hint}",
                f"its columns are {', '.join(header) or 'none'}; needed are {', '.join(ALL)} (look may be left out)",
                found_in_data=True,
            )


def _row(path: Path, line: int, record: dict[str, str | None]) -> _Row:
    if record.get(None) is not None or None in record.values():  # type: ignore[call-overload]
        raise _wrong(path, line, None, "a different number of values than the header has", "one value a column")
    arm = (record["arm"] or "").strip()
    if not arm:
        raise _wrong(path, line, "arm", "nothing", "the name of an arm")
    n = _number(path, line, "n", record["n"])
    if n < 0 or n != int(n):
        raise _wrong(path, line, "n", repr(record["n"]), "a count of units")
    look = _number(path, line, "look", record["look"]) if "look" in record else 1.0
    if look != int(look):
        raise _wrong(path, line, "look", repr(record["look"]), "a whole number, growing with time")
    squares = record.get("sum_squares")
    return _Row(
        line=line,
        look=int(look),
        arm=arm,
        n=int(n),
        sum=_number(path, line, "sum", record["sum"]),
        squares=_number(path, line, "sum_squares", squares) if squares is not None and squares.strip() else None,
    )


def _number(path: Path, line: int, column: str, text: str | None) -> float:
    try:
        value = float((text or "").strip())
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _wrong(path, line, column, repr(text) if text else "nothing", "a number")
    return value


def _a_rate(path: Path, row: _Row) -> None:
    if row.sum < 0 or row.sum != int(row.sum):
        raise _wrong(path, row.line, "sum", f"{row.sum:g}", "for a rate, the number of units with an event")
    if row.sum > row.n:
        raise _wrong(path, row.line, "sum", f"{row.sum:g}", f"for a rate, at most n = {row.n} units with an event")


def _a_mean(path: Path, row: _Row) -> None:
    assert row.squares is not None
    least = row.sum * row.sum / row.n if row.n else 0.0
    if row.squares < least * (1.0 - 1e-9) - 1e-9:
        raise _wrong(
            path,
            row.line,
            "sum_squares",
            f"{row.squares:g}",
            f"at least sum² / n = {least:g}, as for any {row.n} values",
        )


def _table(path: Path, rows: Sequence[_Row], *, squares: bool) -> Totals:
    if not rows:
        raise AnalysisError(f"{path} has no rows", "give one row for each arm (and look)", found_in_data=True)
    looks = tuple(sorted({row.look for row in rows}))
    arms = tuple(dict.fromkeys(row.arm for row in rows))
    cells: dict[tuple[int, str], _Row] = {}
    for row in rows:
        earlier = cells.setdefault((row.look, row.arm), row)
        if earlier is not row:
            again = f"look {row.look} of {row.arm} again, as in line {earlier.line}"
            raise _wrong(path, row.line, None, again, "one row for each look and arm")
    for look in looks:
        for arm in arms:
            if (look, arm) not in cells:
                raise AnalysisError(
                    f"{path}: look {look} has no row for {arm}",
                    "every look needs a row for each arm; n may be 0",
                    found_in_data=True,
                )
    for before, look in pairwise(looks):
        for arm in arms:
            row = cells[look, arm]
            if row.n < cells[before, arm].n:
                raise _wrong(
                    path,
                    row.line,
                    "n",
                    str(row.n),
                    f"totals are cumulative: at least the {cells[before, arm].n} units of look {before}",
                )

    def column(of: str, kind: type) -> np.ndarray:
        return np.array([[getattr(cells[look, arm], of) for arm in arms] for look in looks], dtype=kind)

    return Totals(
        looks=looks,
        arms=arms,
        n=column("n", np.int64),
        sum=column("sum", np.float64),
        squares=column("squares", np.float64) if squares else None,
    )


def _wrong(path: Path, line: int, column: str | None, found: str, allowed: str) -> AnalysisError:
    where = f"{path}: line {line}" + (f", column {column}" if column else "")
    return AnalysisError(f"{where}: found {found}", f"expected {allowed}", found_in_data=True)
