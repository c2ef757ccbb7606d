"""Stages that people have to let a rollout enter: who may, and how many of them it takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve:
    """Whose approval a stage needs before it is entered."""

    by: tuple[str, ...]
    """The names of those who may give it."""
    needed: int = 1
    """How many different ones of them it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """What every stage may ask of people."""

    approve: Approve | None = None
    """None where evidence alone lets a rollout enter."""
