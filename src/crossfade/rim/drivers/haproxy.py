"""HAProxy as the router: one entry of a map says which units are the challenger's, set through the runtime API.

HAProxy hashes units as Crossfade's gateway does (xxh3 of `salt:unit`), so that both give a unit the same arm; the map
holds where the challenger's range ends, and which order says so, in one value that is changed at once.
"""

from __future__ import annotations

import socket

from crossfade.rim.drivers.port import (
    PATIENCE,
    Carried,
    DriverError,
    Fenced,
    Mark,
    Misplaced,
    Order,
    Refused,
    Unable,
    Unreachable,
    unable,
)
from crossfade.spec.model import Rollout

BUCKETS = 1 << 24
"""How many parts HAProxy tells of the hash: its 24 highest bits."""

LARGEST = 16_000_000
"""Bytes of an answer."""


class HAProxy:
    """One rollout's entry in the maps of one HAProxy, or of several that are set up alike."""

    def __init__(self, rollout: Rollout) -> None:
        assert rollout.router is not None
        self._rollout, self._router = rollout, rollout.router
        self._map = rollout.router.one("map")
        self._sockets = rollout.router.all("sockets")

    def read(self) -> Carried:
        """What every HAProxy does; where they differ, the most that the challenger has at one of them."""
        each = [self._carried(where, self._entry(where)) for where in self._sockets]
        if all(one == each[0] for one in each):
            return each[0]
        challenger = self._rollout.challenger.name
        most = max(one.shares.get(challenger, 0.0) for one in each)
        return Carried(
            shares={self._rollout.champion.name: 1.0 - most, challenger: most},
            said=f"{len(each)} HAProxies that differ",
        )

    def carry(self, order: Order) -> None:
        """Set the entry at each of them; one that cannot be told keeps the others from nothing but more exposure."""
        if cannot := unable(order):
            raise Unable(cannot)
        wrong: DriverError | None = None
        befores: dict[str, str | None] = {}
        for where in self._sockets:
            try:
                self._backends(where, order)
                befores[where] = self._entry(where)
            except DriverError as error:
                if not order.back:
                    raise
                wrong = error
        for where, before in befores.items():
            try:
                self._set(where, before, order)
            except DriverError as error:
                if not order.back:
                    raise
                wrong = error
        if wrong is not None:
            raise wrong

    def _set(self, where: str, before: str | None, order: Order) -> None:
        mark = None if before is None else _mark(before)
        if mark is not None and mark.outranks(order.mark):
            raise Fenced(
                f"HAProxy at {where} has an order for {mark.rollout} of a later leadership (term {mark.term}, this "
                f"one is {order.mark.term})"
            )
        value = f"{int(self._share(order) * BUCKETS)}|{order.mark}"
        command = "add" if before is None else "set"
        told = self._ask(where, f"{command} map {self._map} {order.mark.rollout} {value}")
        if told:
            raise Refused(f"HAProxy at {where} did not set {self._map}: {told}")

    def close(self) -> None:
        """Nothing is open."""

    def _share(self, order: Order) -> float:
        """What the first challenger of the rollout has; all, once it is the champion itself."""
        if order.champion.name != self._rollout.champion.name:
            return 1.0
        return order.weight

    def _entry(self, where: str) -> str | None:
        """The rollout's value in the map; None where it has none. Raises Unreachable, Misplaced."""
        told = self._ask(where, f"show map {self._map}")
        if told.startswith("Unknown map"):
            raise Misplaced(
                f"HAProxy at {where} has no map {self._map}; its configuration has to look the rollout up there "
                "(docs/how-to/haproxy.md)"
            )
        for line in told.splitlines():
            parts = line.split(" ", 2)
            if len(parts) == 3 and parts[1] == self._rollout.name:
                return parts[2].strip()
        return None

    def _carried(self, where: str, entry: str | None) -> Carried:
        champion, challenger = self._rollout.champion.name, self._rollout.challenger.name
        if entry is None:
            return Carried(shares={champion: 1.0}, said=f"no entry in {self._map}")
        try:
            share = min(BUCKETS, max(0, int(entry.partition("|")[0]))) / BUCKETS
        except ValueError as error:
            raise Misplaced(
                f"HAProxy at {where} has {entry!r} in {self._map} for {self._rollout.name}, which is no weight"
            ) from error
        return Carried(
            shares={champion: 1.0 - share, challenger: share}, mark=_mark(entry), said=f"{self._map} says {entry}"
        )

    def _backends(self, where: str, order: Order) -> None:
        there = [line.strip() for line in self._ask(where, "show backend").splitlines() if line.strip()]
        # Who goes back needs the champion alone: the challenger may have been taken down by then.
        for arm in (order.champion, *(order.challengers if not order.back else ())):
            name = self._router.called(arm.name)
            if name not in there:
                named = ", ".join(one for one in there if not one.startswith("#")) or "none"
                raise Misplaced(
                    f"HAProxy at {where} has no backend named {name}; it has {named}: name them in the spec under "
                    "router, haproxy, backends"
                )

    def _ask(self, where: str, command: str) -> str:
        """The answer to one command. Raises Unreachable."""
        found: list[bytes] = []
        try:
            with _connected(where) as connection:
                connection.sendall(command.encode() + b"\n")
                while part := connection.recv(65_536):
                    found.append(part)
                    if sum(map(len, found)) > LARGEST:
                        raise Refused(f"HAProxy at {where} answered {command!r} with more than {LARGEST} bytes")
        except OSError as error:
            raise Unreachable(f"HAProxy at {where} cannot be asked: {error.strerror or error}") from error
        told = b"".join(found).decode(errors="replace").strip()
        if told.startswith("Permission denied"):
            raise Refused(f"HAProxy at {where} lets nobody set maps there; give the socket `level admin`")
        return told


def _connected(where: str) -> socket.socket:
    kind, _, address = where.partition(":")
    if kind == "tcp":
        host, _, port = address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _mark(entry: str) -> Mark | None:
    return Mark.read(entry.partition("|")[2])
