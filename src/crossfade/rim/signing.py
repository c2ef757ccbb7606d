"""Signatures: Ed25519 by a key from a PEM file, and checking them. Loads `cryptography` only where there is a key."""

from __future__ import annotations

import os
from pathlib import Path

from crossfade.ledger import Sign
from crossfade.rim.revisions import StoreError

VARIABLE = "CROSSFADE_SIGNING_KEY"
"""Names the file with the private key. Every process that writes to the ledger needs it: `serve` and moves by hand."""

INSTALL = "signatures need the package `cryptography`; install crossfade[sign]"


def from_environment() -> Sign | None:
    """The key that the environment names, or None. Raises StoreError where it cannot be used."""
    named = os.environ.get(VARIABLE)
    return load(Path(named)) if named else None


def load(path: Path) -> Sign:
    """The private key in a PEM file. Raises StoreError."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise StoreError(INSTALL) from error
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
        raise StoreError(INSTALL) from error
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
        raise StoreError(INSTALL) from error
    try:
        key, said = bytes.fromhex(signer), bytes.fromhex(signature)
        Ed25519PublicKey.from_public_bytes(key).verify(said, bytes.fromhex(hashed))
    except (InvalidSignature, ValueError):
        return False
    # There is one way to write it, so that no byte can be changed without being seen.
    return (key.hex(), said.hex()) == (signer, signature)
