"""Who may write the tables of a lake that several hosts share: the leadership is in the tables, beside what it wrote.

Every commit says in whose leadership it is made, under one name (a Delta application transaction), so that of two that
do not know of each other the later fails, whoever makes them. A new leader says so in each table before it reads how
far the journals have come. Numbers are only compared for being the same: a store put back from a copy counts anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError

from crossfade.rim.lake_place import LakeError
from crossfade.rim.stored import Deposed

log = logging.getLogger("crossfade.lake")

NAME = "crossfade-leadership"
"""What the tables call it."""

ATTEMPTS = 5
"""Times a new leader tries to put its number into a table that the one before is still writing."""

_HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)


class Fence:
    """One leadership, as the tables of a lake are told of it."""

    def __init__(self, term: int, leads: Callable[[], object]) -> None:
        """`leads` raises Deposed when the store says that another leads, StoreError when the store cannot be asked."""
        self.term = term
        self._leads = leads
        self._raised: set[str] = set()

    @property
    def transaction(self) -> Transaction:
        """What each commit carries."""
        return Transaction(app_id=NAME, version=self.term)

    def raised(self, kind: str) -> bool:
        """Whether a table has been told."""
        return kind in self._raised

    def put_up(self, kind: str, table: DeltaTable) -> None:
        """Tell a table that this leadership has begun; it is then as it is after that. Raises Deposed and LakeError."""
        for attempt in range(ATTEMPTS):
            # Asked after the table was read: who leads later than this finds the commit, or lets it fail.
            self._leads()
            try:
                table.create_write_transaction(
                    [],
                    "append",
                    table.schema(),
                    commit_properties=CommitProperties(app_transactions=[self.transaction]),
                    post_commithook_properties=_HOOKS,
                )
                table.update_incremental()
                self.check(table)
                self._raised.add(kind)
                return
            except CommitFailedError as error:
                log.info("%s was written meanwhile (attempt %d): %s", table.table_uri, attempt + 1, error)
                table.update_incremental()
            except (DeltaError, OSError) as error:
                raise LakeError(f"cannot take over {table.table_uri}: {error}") from error
        raise LakeError(f"cannot take over {table.table_uri}: others wrote it {ATTEMPTS} times in a row")

    def check(self, table: DeltaTable) -> None:
        """Raises Deposed where a table has been told of another leadership since."""
        if table.transaction_version(NAME) != self.term:
            raise Deposed(self.term)
