"""An engine that is asked again and again: opened when it is needed, and opened anew after it failed."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from crossfade.rim.engine.backend import Backend
from crossfade.rim.engine.elsewhere import opened, spoken
from crossfade.rim.engine.full import Files, Full
from crossfade.rim.lake import Lake

log = logging.getLogger("crossfade.engine")


class Lasting:
    """One engine for the looks of one process."""

    def __init__(self, engine: str, lake: Lake, *, open_: Callable[[str], Backend] = opened) -> None:
        self._engine, self._open = engine, open_
        self._files: Files = Urls(lake) if _far(engine) and lake.url is not None else lake
        self._backend: Backend | None = None

    @contextmanager
    def full(self, versions: Mapping[str, int], *, within: float) -> Iterator[Full]:
        """Ask about named versions; says so in the log where that took longer than `within` seconds."""
        began = time.monotonic()
        if self._backend is None:
            self._backend = self._open(self._engine)
        try:
            yield Full(self._files, versions, 1, backend=self._backend)
        except Exception:
            # Whatever state it was left in, and whether it is still there, is not worth finding out.
            self.close()
            raise
        took = time.monotonic() - began
        if took > within:
            log.warning(
                "a look by %s took %.0f s, longer than the lease of %.0f s: gateways serve the champion alone in "
                "between; let the spec's lease be longer than a look",
                spoken(self._engine),
                took,
                within,
            )

    def close(self) -> None:
        """Let go of the engine."""
        backend, self._backend = self._backend, None
        if backend is not None:
            with suppress(Exception):
                backend.close()


class Urls:
    """A lake's files by their URLs, for an engine whose machines reach the object store themselves."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def files(self, kind: str, version: int | None = None) -> list[str]:
        """The Parquet files that make up a table. Hadoop knows S3 by a scheme of its own."""
        return [re.sub(r"^s3://", "s3a://", url) for url in self._lake.urls(kind, version)]


def _far(engine: str) -> bool:
    """Whether the engine's machines are others than this one."""
    return engine.startswith("spark") and not engine.startswith("spark:local")
