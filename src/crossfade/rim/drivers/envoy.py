"""Envoy as the router: Crossfade keeps its routes in the file that Envoy watches, and reads back what Envoy does.

The file is the route configuration of Envoy's dynamic configuration (RDS) from the file system. It stays the
operator's: the routes of rollouts come before theirs, and nothing else in it is touched.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from crossfade.rim.drivers.asking import ask, ask_json
from crossfade.rim.drivers.envoy_routes import (
    Json,
    carried,
    clusters_of,
    mark_of,
    router_of,
    routes_of,
    with_routes,
)
from crossfade.rim.drivers.port import PATIENCE, Carried, Fenced, Misplaced, Order, Refused, Unreachable, unable
from crossfade.rim.drivers.port import Unable as UnableOrder
from crossfade.spec.model import Rollout

KIND = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


class Envoy:
    """One rollout's routes at one Envoy, or at several that watch the same file."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        router = router_of(rollout)
        self._file = Path(router.one("routes"))
        self._host = router.one("virtual_host")
        self._admins = tuple(url.rstrip("/") for url in router.all("admin"))

    def read(self) -> Carried:
        """What every Envoy does; where they differ, the most that a challenger has at one of them."""
        each = [self._at(admin) for admin in self._admins]
        first = each[0]
        if all(one.shares == first.shares and one.mirrors == first.mirrors and one.mark == first.mark for one in each):
            return first
        shares: dict[str, float] = {}
        mirrors: dict[str, float] = {}
        for one in each:
            for told, most in ((one.shares, shares), (one.mirrors, mirrors)):
                for arm, share in told.items():
                    most[arm] = max(share, most.get(arm, 0.0))
        return Carried(shares=shares, mirrors=mirrors, said=f"{len(each)} Envoys that differ")

    def carry(self, order: Order) -> None:
        """Write the routes, and return once every Envoy has taken them, or one has said no."""
        if cannot := unable(order):
            raise UnableOrder(cannot)
        rejected, dead = self._before(order)
        with self._locked():
            before, document = self._load()
            configuration, host = self._place(document)
            self._fence(host, order)
            host["routes"] = with_routes(host.get("routes", []), order.mark.rollout, routes_of(order))
            document["version_info"] = version = _version(configuration)
            self._write(json.dumps(document, indent=1).encode())
            waited = time.monotonic() + PATIENCE
            while not all(self._version_at(admin, configuration["name"]) == version for admin in rejected):
                if any(self._rejections(admin) > count for admin, count in rejected.items()):
                    self._write(before)
                    raise Refused(f"Envoy rejected the routes written to {self._file}; its log says why")
                if time.monotonic() > waited:
                    raise Unreachable(
                        f"Envoy has not taken up {self._file} within {PATIENCE:g} s: does its route configuration come "
                        "from this file (rds, path_config_source)?"
                    )
                time.sleep(0.005)
        if dead is not None:
            raise dead

    def close(self) -> None:
        """Nothing is open."""

    def _before(self, order: Order) -> tuple[dict[str, int], Unreachable | None]:
        """How often each Envoy has said no so far; and why one could not be asked, which keeps nobody from going back.

        Raises Misplaced, Unreachable.
        """
        rejected: dict[str, int] = {}
        dead = None
        for admin in self._admins:
            try:
                self._clusters(admin, order)
                rejected[admin] = self._rejections(admin)
            except Unreachable as error:
                if not order.back:
                    raise
                dead = error
        return rejected, dead

    def _at(self, admin: str) -> Carried:
        dumped = self._dump(admin)
        if not dumped:
            raise Misplaced(
                f"Envoy at {admin} has no dynamic route configuration; let its listener take its routes from the file "
                f"{self._file} (rds)"
            )
        version = str(dumped[0].get("version_info", ""))
        found = carried(self._rollout, [one.get("route_config", {}) for one in dumped], version)
        return found or Carried(shares={}, said=f"version {version}, without a route of {self._rollout.name}")

    def _dump(self, admin: str) -> list[Json]:
        told = ask_json(f"{admin}/config_dump?resource=dynamic_route_configs", "Envoy")
        return list(told.get("configs", ())) if isinstance(told, dict) else []

    def _version_at(self, admin: str, name: str) -> str:
        for one in self._dump(admin):
            if one.get("route_config", {}).get("name") == name:
                return str(one.get("version_info", ""))
        return ""

    def _clusters(self, admin: str, order: Order) -> None:
        """Envoy takes routes to clusters that it does not have, and answers them with 503."""
        told = ask_json(f"{admin}/clusters?format=json", "Envoy")
        there = [str(one.get("name")) for one in told.get("cluster_statuses", ())]
        for name in clusters_of(order):
            if name not in there:
                raise Misplaced(
                    f"Envoy at {admin} has no cluster named {name}; it has {', '.join(sorted(there)) or 'none'}: name "
                    "them in the spec under router, envoy, clusters"
                )

    def _rejections(self, admin: str) -> int:
        told = ask(f"{admin}/stats?filter=rds.*update_rejected", "Envoy").decode(errors="replace")
        return sum(int(line.rpartition(":")[2]) for line in told.splitlines() if line.rpartition(":")[2].strip())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Rollouts that share the file write one after the other."""
        with ExitStack() as held:
            try:
                handle = held.enter_context(Path(f"{self._file}.lock").open("w"))
            except OSError as error:
                raise Unreachable(f"the routes of Envoy in {self._file} cannot be written: {error.strerror}") from error
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _load(self) -> tuple[bytes, Json]:
        try:
            text = self._file.read_bytes()
            document = yaml.safe_load(text)
        except OSError as error:
            raise Misplaced(f"the routes of Envoy in {self._file} cannot be read: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise Misplaced(f"{self._file} is neither YAML nor JSON: {error}") from error
        if not isinstance(document, dict):
            raise Misplaced(f"{self._file} holds no answer of Envoy's discovery service: expected `resources`")
        return text, document

    def _place(self, document: Json) -> tuple[Json, Json]:
        """The route configuration in the file, and the virtual host that rollouts are in."""
        found = [one for one in document.get("resources") or () if one.get("@type") == KIND]
        hosts: list[Any] = found[0].get("virtual_hosts") or [] if found else []
        named = [one for one in hosts if not self._host or one.get("name") == self._host]
        if not named:
            names = ", ".join(str(one.get("name")) for one in hosts)
            raise Misplaced(
                f"{self._file} has no virtual host"
                + (f" named {self._host}; it has {names or 'none'}" if self._host else " in a RouteConfiguration")
            )
        return found[0], named[0]

    def _fence(self, host: Json, order: Order) -> None:
        for route in host.get("routes") or ():
            mark = mark_of(route)
            if mark is not None and mark.rollout == order.mark.rollout and mark.outranks(order.mark):
                raise Fenced(
                    f"{self._file} has routes of {mark.rollout} that a later leadership wrote (term {mark.term}, this "
                    f"one is {order.mark.term})"
                )

    def _write(self, content: bytes) -> None:
        """Envoy looks when a file is moved to this place, and never sees half of one."""
        draft = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._file)
        except OSError as error:
            raise Unreachable(f"the routes of Envoy in {self._file} cannot be written: {error.strerror}") from error


def _version(configuration: Json) -> str:
    return "crossfade-" + hashlib.sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()[:16]
