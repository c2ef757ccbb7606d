"""The store of a data folder for those who look many times a second, wherever it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crossfade.rim.glance import FILE, Glance
from crossfade.rim.store_address import server

if TYPE_CHECKING:
    from crossfade.rim.glance_server import ServerGlance


def glance_at(data: Path) -> Glance | ServerGlance:
    """What the store of a data folder says now: of its file, or of the server that holds it. Raises StoreError."""
    address = server()
    if address is None:
        return Glance(data / FILE)
    from crossfade.rim.glance_server import ServerGlance

    return ServerGlance(address, data)
