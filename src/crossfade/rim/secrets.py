"""Secrets that a spec names and never holds: read from the environment or from a file, told to nobody."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from crossfade.rim.revisions import StoreError


class SecretError(StoreError):
    """A secret cannot be had; the message says which and what to do, never what it is."""


def secret(reference: str, environment: Mapping[str, str] | None = None) -> str:
    """What `env:NAME` or `file:PATH` holds, without white space around it. Raises SecretError."""
    kind, _, where = reference.partition(":")
    if kind == "env":
        found = (os.environ if environment is None else environment).get(where, "").strip()
        if not found:
            raise SecretError(f"the environment variable {where} is not set; set it for every process that serves")
        return found
    try:
        found = Path(where).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SecretError(f"the secret file {where} cannot be read ({said}); put it there, readable by us") from error
    if not found:
        raise SecretError(f"the secret file {where} is empty; put the secret there")
    return found
