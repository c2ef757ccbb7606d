"""The Delta tables as whoever writes them knows them: opened once, and how far each journal has come in each.

What was collected for a commit is what the table lacked in the state that the commit is checked against: where others
wrote meanwhile it fails, and all is read anew.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import DeltaError, TableNotFoundError

from crossfade.rim.lake_columns import SCHEMAS
from crossfade.rim.lake_fence import Fence
from crossfade.rim.lake_place import LakeError, Place, create

WRITER = WriterProperties(compression="ZSTD", compression_level=1)

HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)

NOWHERE: Mapping[str, int] = {}


class Tables:
    """The tables of one lake, by kind. Not thread-safe: its owner holds a lock."""

    def __init__(self, place: Place, fence: Fence | None = None) -> None:
        """`fence`: the leadership in which all is written; None where nobody else can write."""
        self._place, self._fence = place, fence
        self._open: dict[str, DeltaTable] = {}
        self._done: dict[tuple[str, str], int] = {}
        self._checked: set[str] = set()
        """Kinds whose table, in the state known here, has been told of this leadership last."""
        self._begun = False

    def table(self, kind: str) -> DeltaTable | None:
        """A table; None where there is none yet. Raises LakeError."""
        if kind not in self._open:
            try:
                self._open[kind] = DeltaTable(self._place.uri(kind))
            except TableNotFoundError:
                return None
            except (DeltaError, OSError) as error:
                raise LakeError(f"cannot open {self._place.uri(kind)}: {error}") from error
        return self._open[kind]

    def own(self, *, anew: bool = False) -> None:
        """See that nobody else leads, and tell those who led: nothing of theirs is taken any more. Raises Deposed.

        `anew`: before more than facts is written, though all was told.
        """
        if self._fence is None:
            return
        if anew:
            self.forget()
        for kind in SCHEMAS if anew or not self._begun else ():
            self._owned(kind)
        self._begun = True

    def upto(self, kind: str, app: str) -> int:
        """The last row of a journal that a table has."""
        table = self._owned(kind)
        if table is None:
            return 0
        key = (kind, app)
        if key not in self._done:
            self._done[key] = table.transaction_version(app) or 0
        return self._done[key]

    def commit(self, kind: str, facts: pa.Table, upto: Mapping[str, int], asked: Mapping[tuple[str, str], int]) -> int:
        """Add facts, which are those of journals up to some rows: the new version.

        `asked`: what `upto` had answered to whoever collected them. Raises LakeError, Deposed.
        """
        uri = self._place.uri(kind)
        try:
            if self.table(kind) is None:
                create(uri, kind)
            table = self._owned(kind)
            assert table is not None
            there = {app: self.upto(kind, app) for app in upto}
            if any(asked.get((kind, app), row) != row for app, row in there.items()):
                raise LakeError("another controller has moved facts meanwhile")
            # A journal never goes back: this host may have rows from before others moved later ones.
            forward = {app: row for app, row in upto.items() if row > there[app]}
            write_deltalake(
                table,
                facts,
                mode="append",
                # A later version's facts have more columns than the tables of an earlier one.
                schema_mode="merge",
                commit_properties=CommitProperties(app_transactions=self.said(forward)),
                post_commithook_properties=HOOKS,
                writer_properties=WRITER,
            )
        except (DeltaError, OSError, LakeError) as error:
            self.forget()
            raise LakeError(f"cannot commit to {uri}: {error}") from error
        for app, row in forward.items():
            self._done[(kind, app)] = row
        return int(table.version())

    def said(self, upto: Mapping[str, int] = NOWHERE) -> list[Transaction]:
        """What a commit says of itself: how far journals have come with it, and who leads."""
        come = [Transaction(app_id=app, version=row) for app, row in upto.items()]
        return come if self._fence is None else [*come, self._fence.transaction]

    def forget(self) -> None:
        """What is known of them is read anew."""
        for known in (self._open, self._done, self._checked):
            known.clear()

    def _owned(self, kind: str) -> DeltaTable | None:
        """A table that was told of this leadership, and of none since; from then on others' commits let ours fail."""
        table = self.table(kind)
        if table is None or self._fence is None or kind in self._checked:
            return table
        if self._fence.raised(kind):
            self._fence.check(table)
        else:
            self._fence.put_up(kind, table)
        self._checked.add(kind)
        return table
