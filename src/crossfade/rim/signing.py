"""Signatures: Ed25519 by a key from a PEM file, and checking them. Loads `cryptography` only where there is a key."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from crossfade.ledger import Sign
from crossfade.rim.revisions import StoreError

VARIABLE = "CROSSFADE_SIGNING_KEY"
"""Names the file with the private key. Every process that writes to the ledger needs it: `serve` and moves by hand."""

COMMAND = "CROSSFADE_SIGNER"
"""In place of a key: a command that is given a hash in hexadecimal on its standard input, and prints its signature. The
variable above then names the public key. For keys that nobody can read: in a vault, a module, another machine."""

PATIENCE = 10.0
"""Seconds that such a command may take. While nothing can be signed nothing is decided, and users get the champion."""


def _missing() -> StoreError:
    from crossfade.rim.extras import install

    return StoreError(f"signatures need the package `cryptography`: {install('sign')}")


def from_environment() -> Sign | None:
    """Who signs, as the environment says, or None. Raises StoreError where that cannot be used."""
    named, command = os.environ.get(VARIABLE), os.environ.get(COMMAND)
    if command:
        if not named:
            raise StoreError(f"{COMMAND} names a command that signs; name its public key by {VARIABLE}, too")
        return Sign(signer=public(Path(named)), sign=partial(_ask, shlex.split(command), public(Path(named))))
    return load(Path(named)) if named else None


def _ask(command: Sequence[str], signer: str, hashed: bytes) -> bytes:
    """The signature that a command gives. Raises StoreError, also for one that is not of the key it should be of."""
    said = f"the signer {command[0]!r} (named by {COMMAND})"
    try:
        ran = subprocess.run(
            command, input=hashed.hex() + "\n", capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError(f"{said} cannot be used: {error}") from error
    signature = ran.stdout.strip().lower()
    if ran.returncode != 0:
        raise StoreError(f"{said} ended with {ran.returncode}: {ran.stderr.strip()[:300] or 'it says nothing'}")
    if not holds(signer, signature, hashed.hex()):
        raise StoreError(f"{said} gave what is no signature of the key in {os.environ.get(VARIABLE)}")
    return bytes.fromhex(signature)


def load(path: Path) -> Sign:
    """The private key in a PEM file. Raises StoreError."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise _missing() from error
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"cannot use the signing key {path} (named by {VARIABLE}): {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{path} holds no Ed25519 key; make one with `openssl genpkey -algorithm ed25519 -out {path}`")
    return Sign(signer=key.public_key().public_bytes_raw().hex(), sign=key.sign)


def public(path: Path) -> str:
    """The public key in a PEM file (which may also hold the private one), in hexadecimal. Raises StoreError."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise _missing() from error
    try:
        content = path.read_bytes()
        if b"PRIVATE KEY" in content:
            return load(path).signer
        key = load_pem_public_key(content)
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read the public key {path}: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise StoreError(f"{path} holds no Ed25519 key")
    return key.public_bytes_raw().hex()


def holds(signer: str, signature: str, hashed: str) -> bool:
    """Whether a signature over a hash is that of a key. Raises StoreError where `cryptography` is missing."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise _missing() from error
    try:
        key, said = bytes.fromhex(signer), bytes.fromhex(signature)
        Ed25519PublicKey.from_public_bytes(key).verify(said, bytes.fromhex(hashed))
    except (InvalidSignature, ValueError):
        return False
    # There is one way to write it, so that no byte can be changed without being seen.
    return (key.hex(), said.hex()) == (signer, signature)
