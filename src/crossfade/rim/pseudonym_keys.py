"""The keys of pseudonyms: read where the spec says they are, and held to what they were when the rollout began.

With another key the same person would be another unit: exposures would be counted twice and outcomes join nothing. So a
check value of each rollout's key, from which the key cannot be told, is kept beside the facts.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from crossfade.live.pseudonyms import pseudonym
from crossfade.rim.secrets import SecretError, secret
from crossfade.spec.model import Rollout

FOLDER = "keys"
"""Below the data folder; it holds check values, never a key."""

SHORTEST = 32
"""Characters a key has at least: whoever knows the names of units could try all shorter ones."""

MAKE = "openssl rand -hex 32"


class KeyProblem(SecretError):
    """A key is missing, too short, or not the one that a rollout's units were recorded under."""


class Keys:
    """The keys of the rollouts of one data folder, each read and checked once."""

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER
        self._known: dict[tuple[str, str], bytes] = {}

    def of(self, rollout: Rollout) -> bytes:
        """The key of a rollout's pseudonyms; b'' where units are recorded as they are. Raises KeyProblem."""
        if not rollout.pseudonyms:
            return b""
        at = (rollout.name, rollout.pseudonyms)
        if at not in self._known:
            self._known[at] = self._checked(rollout)
        return self._known[at]

    def recorded(self, rollout: Rollout, unit: str) -> str:
        """How a unit is recorded. Raises KeyProblem."""
        key = self.of(rollout)
        return pseudonym(key, unit) if key else unit

    def check(self, rollouts: Iterable[Rollout]) -> None:
        """Raises KeyProblem where a key cannot be had, so that this shows at the start."""
        for rollout in rollouts:
            self.of(rollout)

    def _checked(self, rollout: Rollout) -> bytes:
        where = f"the pseudonyms of {rollout.name} (`pseudonyms: {rollout.pseudonyms}` in its spec)"
        try:
            key = secret(rollout.pseudonyms).encode()
        except SecretError as error:
            raise KeyProblem(f"there is no key for {where}: {error}. A new one is made by `{MAKE}`") from error
        if len(key) < SHORTEST:
            raise KeyProblem(
                f"the key for {where} has {len(key)} characters; it needs {SHORTEST} at least: make one by `{MAKE}`"
            )
        value = check_value(key)
        if self._keep(rollout.name, value) != value:
            raise KeyProblem(
                f"the key for {where} is not the one that its units were recorded under: the same people would be "
                "counted twice, and their outcomes lost. Bring the former key back; where it is gone for good, end "
                "the rollout and begin a new one under another name"
            )
        return key

    def _keep(self, name: str, value: str) -> str:
        """The check value that stands for this rollout: the one kept first."""
        kept = self._folder / f"{name}.check"
        try:
            if not kept.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                draft = kept.with_name(f".{uuid.uuid4().hex}")
                draft.write_text(value + "\n")
                with contextlib.suppress(FileExistsError):
                    os.link(draft, kept)
                draft.unlink()
            return kept.read_text().strip()
        except OSError as error:
            raise KeyProblem(f"the check value of a key cannot be kept in {kept}: {error.strerror}") from error


def check_value(key: bytes) -> str:
    """What tells a key from another, and does not tell it."""
    return hmac.digest(key, b"crossfade check value", "sha256").hex()[:16]
