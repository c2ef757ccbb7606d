"""The data port's certificate, read again when its files change: renewed ones are used without a restart."""

from __future__ import annotations

import logging
import os
import ssl

from crossfade.rim.options import Options, OptionsError

log = logging.getLogger("crossfade.gateway")

_Signature = tuple[tuple[int, int, int] | None, ...]


class Certificates:
    """Watches the files behind one context. Connections that stand keep what they were met with."""

    def __init__(self, options: Options, context: ssl.SSLContext) -> None:
        self._options = options
        self._context = context
        self._files = [path for path in (options.tls_cert, options.tls_key) if path]
        self._seen = self._signature()

    def look(self) -> None:
        """Take over what has changed, if it can be used; say so either way. Never raises."""
        found = self._signature()
        if found == self._seen:
            return
        self._seen = found
        try:
            # Tried apart first: a certificate without its key must not leave the port without either.
            self._options.tls()
            self._context.load_cert_chain(self._options.tls_cert, self._options.tls_key or None)
        except (OptionsError, OSError, ssl.SSLError) as error:
            log.warning("the certificate on the disk has changed and cannot be used, the last one stays: %s", error)
        else:
            log.info("new connections get the certificate that is now in %s", self._options.tls_cert)

    def _signature(self) -> _Signature:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
