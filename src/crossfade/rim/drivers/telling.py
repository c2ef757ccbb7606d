"""What the ledger is told of a router: each order, once it was read back that the router does it."""

from __future__ import annotations

from dataclasses import replace

from crossfade.rim.drivers.port import Mark
from crossfade.rim.drivers.standing import Standing
from crossfade.rim.store import Store
from crossfade.state import ROUTER


def tell(store: Store, name: str, before: Standing, after: Standing, now: float) -> None:
    """Note what the router does now. Facts that do not say under which order they came are placed by it.

    Nothing is told twice: a router that was read to do the same by another leadership, too, is no news.

    Raises StoreError, and Deposed.
    """
    last = next((one.about for one in reversed(store.entries(name)) if one.rule == ROUTER and one.about), None)
    if after.corrected == before.corrected and last is not None and _same(str(last.get("mark")), after.order.mark):
        return
    order = after.order
    title, shares = order.limits.title, order.shares
    others = [f"{arm} {share:.4g}" for arm, share in shares.items() if arm != order.champion.name and share > 0.0]
    said = " and ".join(others) or "nobody but the champion any"
    copies = f", and copies of {order.mirror:.4g} of the requests to hidden arms" if order.mirrors else ""
    put_right = " It had been set by somebody else." if after.corrected > before.corrected else ""
    store.note(
        name,
        actor=ROUTER,
        rule=ROUTER,
        sentence=f"{title} gives {said} of the units{copies}, as was read from it.{put_right}",
        at=now,
        about={"mark": str(order.mark), "read_at": after.read_at, "shares": shares},
    )


def _same(text: str, mark: Mark) -> bool:
    last = Mark.read(text)
    return last is not None and replace(last, term=0, seq=0) == replace(mark, term=0, seq=0)
