"""Certificates, read again when their files change: renewed ones are used without a restart.

The data port's own with its key, and the authorities that vouch for https models.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable
from pathlib import Path

from crossfade.rim.options import Options, OptionsError
from crossfade.rim.upstream import trust

log = logging.getLogger("crossfade.gateway")

_Signature = tuple[tuple[int, int, int] | None, ...]


class Certificates:
    """Watches the files that the options name. Connections that stand keep what they began with."""

    def __init__(self, options: Options, context: ssl.SSLContext | None) -> None:
        self._options = options
        self._context = context
        """What clients of the data port are met with; None for plain HTTP."""
        self._watched: list[_Watched] = []
        if context is not None:
            self._watched.append(_Watched((options.tls_cert, options.tls_key), self._renew))
        if options.upstream_ca:
            self._watched.append(_Watched((options.upstream_ca,), self._trust))

    def look(self) -> None:
        """Take over what has changed, if it can be used; say so either way. Never raises."""
        for one in self._watched:
            one.look()

    def _renew(self) -> str:
        assert self._context is not None
        # Tried apart first: a certificate without its key must not leave the port without either.
        self._options.tls()
        self._context.load_cert_chain(self._options.tls_cert, self._options.tls_key or None)
        return "new connections get the certificate that is"

    def _trust(self) -> str:
        trust(Path(self._options.upstream_ca))
        return "new connections to https models trust the authorities that are"


class _Watched:
    def __init__(self, paths: tuple[str, ...], take: Callable[[], str]) -> None:
        self._paths = [path for path in paths if path]
        self._take = take
        self._seen = self._signature()

    def look(self) -> None:
        found = self._signature()
        if found == self._seen:
            return
        self._seen = found
        where = self._paths[0]
        try:
            told = self._take()
        except (OptionsError, OSError, ssl.SSLError) as error:
            log.warning("%s on the disk has changed and cannot be used, the last one stays: %s", where, error)
        else:
            log.info("%s now in %s", told, where)

    def _signature(self) -> _Signature:
        return tuple(_stamp(path) for path in self._paths)


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
