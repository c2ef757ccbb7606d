"""`crossfade forget`: a unit's name leaves everything that was recorded, while what was counted and decided stays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossfade.cli.act import Actor, Reason
from crossfade.cli.common import DATA, PROBLEM, AsJson, DataDir, fail, opened, print_json
from crossfade.cli.identity import by_user, user
from crossfade.cli.progress import working

if TYPE_CHECKING:
    from crossfade.rim.forgetting import Forgotten
    from crossfade.rim.lake_fence import Fence
    from crossfade.rim.store import Store

WAIT = 120.0
"""Seconds to wait for the controller."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("forget")(forget)


def forget(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="Its name, as requests and outcomes have it.")],
    reason: Reason,
    rollout: Annotated[
        list[str] | None, typer.Option("--rollout", help="Only what this rollout recorded; may be given again.")
    ] = None,
    data: DataDir = DATA,
    actor: Actor = None,
    json: AsJson = False,
) -> None:
    """Take a unit's name out of every fact and delete examples of its replies. Counts, evidence, decisions and their
    proofs stay; seals and ledgers say what was done, not to whom. Works while rollouts are served, and again."""
    from crossfade.rim.forgetting import ask
    from crossfade.rim.store import UnknownRollout

    with opened(data, as_json=json) as store:
        known = [stored.name for stored in store.rollouts()]
        for name in rollout or ():
            if name not in known:
                raise UnknownRollout(name, known)
        who = actor if actor is not None else user()
        try:
            request = ask(data, unit, rollout or [], actor=who, reason=reason, at=time.time(), by=by_user())
        except ValueError as error:
            fail(str(error), "write it again with another --reason", as_json=json)
        with working("Writing facts anew without the name"):
            done = _carried_out(store, data, request, as_json=json)
    if done.failed:
        fail(f"nothing was forgotten: {done.failed}", "ask again once that is mended", code=PROBLEM, as_json=json)
    if json:
        print_json(done.to_json())
        return
    if done.seal is None and not done.examples:
        typer.echo("Nothing of that unit is recorded.")
        return
    facts = sum(done.facts.values())
    typer.echo(
        f"Forgotten: {facts:,} fact{'s' * (facts != 1)} no longer say whose they are ({done.files} files written anew, "
        f"seal {done.seal}); {done.examples} example{'s' * (done.examples != 1)} deleted."
    )
    typer.echo("Copies that were made before, such as exports and backups, are not reached from here.")


def _carried_out(store: Store, data: Path, request: Path, *, as_json: bool) -> Forgotten:
    """Done here, or by the controller where one is at work."""
    from crossfade.rim.batches import JournalError
    from crossfade.rim.forgetting import Forgetting, answered
    from crossfade.rim.lake import Busy, Lake, LakeError
    from crossfade.rim.sealing import Sealer

    until = time.monotonic() + WAIT
    with _leading(store, data, as_json=as_json) as fence:
        while time.monotonic() < until:
            lake = Lake(data, fence)
            try:
                with lake.alone():
                    own = Forgetting(store, lake, Sealer(store, lake, now=time.time()))
                while request in own.pending():
                    own.turn(settle=0.0)
            except Busy:
                # The controller has the lake, and looks for requests once a tick.
                time.sleep(0.2)
            except (LakeError, JournalError) as error:
                fail(str(error), "ask again; what was begun is gone on with", code=PROBLEM, as_json=as_json)
            finally:
                lake.close()
            found = answered(request)
            if found is not None:
                return found
    return fail(
        f"the controller did not get to it within {WAIT:.0f} s; it will, and `crossfade explain` then tells",
        f"its log says what keeps it: {data / 'logs' / 'controller.log'}",
        code=PROBLEM,
        as_json=as_json,
    )


@contextmanager
def _leading(store: Store, data: Path, *, as_json: bool) -> Iterator[Fence | None]:
    """The leadership, where several hosts share the lake and nobody has it: one of them at a time rewrites facts."""
    from crossfade.rim.holder import myself
    from crossfade.rim.lake_fence import Fence
    from crossfade.rim.lake_place import location
    from crossfade.rim.leading import Renewal
    from crossfade.rim.store_address import server

    if server() is None or location(data) is None:
        yield None
        return
    leader = store.leaders.present()
    term = None if leader.held else store.leaders.take(leader, myself())
    if term is None:
        if _nobody_here(data):
            fail(
                "the controller that leads is on another host, and nobody else rewrites facts meanwhile",
                "ask again there, where `run/serve.json` names its controller and its log says that it leads",
                code=PROBLEM,
                as_json=as_json,
            )
        yield None
        return
    renewal = Renewal(store, term)
    try:
        yield Fence(term, lambda: store.leaders.check(term))
    finally:
        renewal.stop()
        store.leaders.release(term)


def _nobody_here(data: Path) -> bool:
    """Whether no controller of this host leads."""
    from crossfade.rim.lake import Lake

    lake = Lake(data)
    try:
        return lake.claim()
    finally:
        lake.close()
