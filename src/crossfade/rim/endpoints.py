"""Where a model server listens: an arm's url taken apart once."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

import msgspec


class Endpoint(msgspec.Struct, frozen=True, cache_hash=True):
    """An arm's url taken apart."""

    host: str
    port: int
    tls: bool
    authority: bytes
    base: bytes
    """Path prefix of the url, without a slash at its end."""


@lru_cache(maxsize=1024)
def endpoint(url: str) -> Endpoint:
    """The endpoint of an http or https url. Raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an http:// or https:// url with a host")
    tls = parts.scheme == "https"
    authority = parts.netloc.rpartition("@")[2]
    return Endpoint(
        parts.hostname, parts.port or (443 if tls else 80), tls, authority.encode(), parts.path.rstrip("/").encode()
    )
