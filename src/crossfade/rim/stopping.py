"""The emergency stop: champion only at once, whatever the controller does, and in the ledger as soon as it can be."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crossfade.ledger import Entry
from crossfade.rim import holder, stop_orders
from crossfade.rim.glance_at import glance_at
from crossfade.rim.standing import checked_words, move_by_hand
from crossfade.rim.stop_orders import Order
from crossfade.rim.store import Store, StoreError
from crossfade.rim.store_address import server
from crossfade.rim.stored import Deposed, UnknownRollout
from crossfade.state import ENDED, IllegalMove, Move

log = logging.getLogger("crossfade.controller")

BUSY = 0.5
"""Seconds one attempt waits for another writer."""

SILENT = 2.0
"""Seconds after which a leader that keeps others from writing, and renews nothing, is taken for hung."""

ATTEMPTS = 10

UNREADABLE = "an order to stop that could not be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What has become of an order."""

    name: str
    entry: Entry | None
    """None where the ledger could not be written yet; gateways obey all the same."""
    why: str = ""
    ended: bool = False
    """Whether a hung controller was ended for it."""


def stop_now(
    data: Path,
    order: Order,
    *,
    wait: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Stopped:
    """Stop a rollout. Raises UnknownRollout, IllegalMove, ValueError, and StoreError where nothing could be ordered."""
    checked_words(order.reason, order.actor)
    _check(data, order)
    try:
        stop_orders.give(data, order)
    except OSError as error:
        raise StoreError(f"the order to stop cannot be written: {error}") from error
    _tell_others(data, order)
    why, ended, since = "", False, clock()
    heard: tuple[int, int] | None = None
    for _ in range(ATTEMPTS):
        try:
            store = Store(data, busy=BUSY)
        except (StoreError, sqlite3.Error) as error:
            why = str(error)
            wait(BUSY)
            continue
        try:
            return Stopped(name=order.name, entry=carry_out(store, order.name), ended=ended)
        except StoreError as error:
            why = str(error)
            heard, since = _listen(store, heard, since, clock())
            if clock() - since >= SILENT:
                ended = holder.end(store.leaders.present().holder) or ended
        finally:
            store.close()
    return Stopped(name=order.name, entry=None, why=why, ended=ended)


def carry_out(store: Store, name: str) -> Entry | None:
    """Put an order into the ledger and take it away; None where the rollout had ended anyway. Raises StoreError."""
    order = store.order(name)
    if order is None:
        order = Order(name=name, actor="operator", reason=UNREADABLE, at=time.time())
    try:
        entry: Entry | None = move_by_hand(
            store, name, Move.ROLLBACK, actor=order.actor, reason=order.reason, at=order.at, by=order.by
        )
    except IllegalMove:
        # Somebody else has put it there, or the rollout came to its end meanwhile.
        told = [one for one in store.entries(name) if one.move == Move.ROLLBACK]
        entry = told[-1] if told else None
    store.order_done(name)
    return entry


def carry_out_all(store: Store) -> None:
    """The same for every order there is: a controller's first act. Raises StoreError."""
    for name in sorted(store.stopped()):
        try:
            carry_out(store, name)
            log.warning("%s was stopped by an order that nobody had put into the ledger yet", name)
        except Deposed:
            raise
        except UnknownRollout:
            log.warning("an order to stop names %s, which does not exist", name)
            store.order_done(name)


def _tell_others(data: Path, order: Order) -> None:
    """Where other hosts serve the rollout too, they learn of the order by the server that holds the store."""
    address = server()
    if address is None:
        return
    from crossfade.rim.store_server import StoreServer

    shared = StoreServer(address, data, BUSY)
    try:
        shared.give(order)
    except StoreError as error:
        raise StoreError(
            f"the gateways of this host obey, those of other hosts could not be told: {error}; unless they hear of the"
            " controller, they give everybody the champion when their lease is over"
        ) from error
    finally:
        shared.close()


def _check(data: Path, order: Order) -> None:
    """Refuse what nobody can mean. A store that cannot be read does not keep anybody from stopping."""
    try:
        glance = glance_at(data)
        known = {seen.rollout.name: seen.position for seen in glance.rollouts()}
        glance.close()
    except StoreError:
        return
    position = known.get(order.name)
    if position is None:
        raise UnknownRollout(order.name, sorted(known))
    if position.phase in ENDED:
        raise IllegalMove(position.phase, Move.ROLLBACK)


def _listen(
    store: Store, heard: tuple[int, int] | None, since: float, now: float
) -> tuple[tuple[int, int] | None, float]:
    """What the leader has said, and since when it says nothing else."""
    try:
        leader = store.leaders.present()
    except StoreError:
        return heard, since
    said = (leader.term, leader.renewals)
    return said, since if said == heard or heard is None else now
