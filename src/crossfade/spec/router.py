"""The router that carries the traffic in place of the gateway, as a spec names it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """The router in front of the models, as a spec names it."""

    driver: str
    """A name in `spec.routers.LIMITS`."""
    settings: tuple[tuple[str, str], ...] = ()
    """What its driver has to know, as (key, value) pairs; a key with several values comes several times."""
    arms: tuple[tuple[str, str], ...] = ()
    """(arm, what the router calls it) pairs, where that is not the arm's own name."""

    def one(self, key: str, default: str = "") -> str:
        """The value of a setting."""
        return next((value for name, value in self.settings if name == key), default)

    def all(self, key: str) -> tuple[str, ...]:
        """Every value of a setting."""
        return tuple(value for name, value in self.settings if name == key)

    def called(self, arm: str) -> str:
        """What the router calls an arm."""
        return dict(self.arms).get(arm, arm)
