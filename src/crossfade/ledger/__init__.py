"""What we decided, and on which facts: two chains of hashed records, appending to them and checking them.

A rollout's *ledger* holds its decisions; the *seals* of a data folder name the files that hold the facts. Each record
carries the hash of the one before it and its own, over canonical JSON (RFC 8785), and a decision carries the hash of
the seal of what it saw, so that a reader who does not trust us can tell whether anything was changed or removed.
"""

from crossfade.ledger.chain import GENESIS, Sign, Signed, canonical, digest, plain
from crossfade.ledger.entries import MANUAL, SCHEMA, Body, Entry, Head, Verified, append, verify, verify_texts
from crossfade.ledger.kinds import KINDS, kind_of
from crossfade.ledger.seals import Replacement, Seal, Sealed, SealedFile, SealedTable, Sets, append_seal, verify_seals

__all__ = [
    "GENESIS",
    "KINDS",
    "MANUAL",
    "SCHEMA",
    "Body",
    "Entry",
    "Head",
    "Replacement",
    "Seal",
    "Sealed",
    "SealedFile",
    "SealedTable",
    "Sets",
    "Sign",
    "Signed",
    "Verified",
    "append",
    "append_seal",
    "canonical",
    "digest",
    "kind_of",
    "plain",
    "verify",
    "verify_seals",
    "verify_texts",
]
