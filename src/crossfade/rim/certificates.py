"""Certificates, read again when their files change: renewed ones are used without a restart.

Those of a port with its key and the authorities of its clients, and those by which https models are met.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Sequence

from crossfade.rim.tls import OptionsError, Tls, authorities

log = logging.getLogger("crossfade.gateway")

_Signature = tuple[tuple[int, int, int] | None, ...]


class Certificates:
    """Watches files that options name. Connections that stand keep what they began with."""

    def __init__(self) -> None:
        self._watched: list[_Watched] = []

    def meet(self, tls: Tls, context: ssl.SSLContext | None) -> None:
        """Watch what the clients of a port are met with; None for plain HTTP."""
        if context is None:
            return

        def renew() -> str:
            # Tried apart first: a certificate without its key must not leave the port without either.
            tls.context()
            context.load_cert_chain(tls.cert, tls.key or None)
            return "new connections get the certificate that is"

        def widen() -> str:
            authorities(context, f"{tls.option}-client-ca", tls.client_ca)
            return "clients are also let in by the authorities that are"

        self.watch((tls.cert, tls.key), renew)
        self.watch((tls.client_ca,), widen)

    def watch(self, paths: Sequence[str], take: Callable[[], str]) -> None:
        """Call `take` when one of the files has changed; it says what follows. '' is no file."""
        if any(paths):
            self._watched.append(_Watched(paths, take))

    def look(self) -> None:
        """Take over what has changed, if it can be used; say so either way. Never raises."""
        for one in self._watched:
            one.look()


class _Watched:
    def __init__(self, paths: Sequence[str], take: Callable[[], str]) -> None:
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
