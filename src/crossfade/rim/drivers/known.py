"""The drivers there are, by the names that specs use; each is imported when a rollout asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from crossfade.rim.drivers.port import Driver
from crossfade.spec.model import Rollout

DRIVERS: Mapping[str, str] = {
    "envoy": "crossfade.rim.drivers.envoy:Envoy",
    "haproxy": "crossfade.rim.drivers.haproxy:HAProxy",
    "gateway_api": "crossfade.rim.drivers.gateway_api:GatewayApi",
    "istio": "crossfade.rim.drivers.istio:Istio",
    "kserve": "crossfade.rim.drivers.kserve:KServe",
}
"""Name → `module:Class`, called with the rollout. `spec.routers.LIMITS` says what each can do."""


def driver_of(rollout: Rollout) -> Driver:
    """The driver of a rollout's router. Raises SecretError where a secret that it names cannot be had."""
    assert rollout.router is not None, "only rollouts that name a router have a driver"
    module, _, name = DRIVERS[rollout.router.driver].partition(":")
    make: Callable[[Rollout], Driver] = getattr(import_module(module), name)
    return make(rollout)
