"""One exchange carried out: its commands become calls, writes, timers and facts, and what comes of them its events."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from crossfade.live.exchange import Exchange
from crossfade.live.exchange.messages import (
    Abort,
    Arrived,
    AsAsked,
    Begun,
    Call,
    Cancel,
    Command,
    Compare,
    Count,
    Devise,
    Devised,
    Event,
    Failed,
    Gone,
    Head,
    Late,
    Mirror,
    More,
    Record,
    Reply,
    Started,
    Watch,
)
from crossfade.live.exchange.mirrored import USERS
from crossfade.live.exchange.problems import problem
from crossfade.live.interleave.optimized import Plan
from crossfade.rim.endpoints import endpoint
from crossfade.rim.http_request import Edit, Request
from crossfade.rim.http_server import ClientConnection
from crossfade.rim.http_text import trailer_lines
from crossfade.rim.limits import Refusal
from crossfade.rim.shadows import Copy
from crossfade.rim.timers import Timer
from crossfade.rim.upstream import Asking
from crossfade.spec.model import Arm

if TYPE_CHECKING:
    from crossfade.rim.gateway import Gateway

log = logging.getLogger("crossfade.gateway")


class Turn:
    """Runs one exchange. It outlives the client's reply only for as long as copies are under way."""

    __slots__ = (
        "_calls",
        "_connection",
        "_decision",
        "_edits",
        "_exchange",
        "_gateway",
        "_held",
        "_request",
        "_rollout",
        "_timeout",
        "_timers",
    )

    def __init__(
        self,
        gateway: Gateway,
        connection: ClientConnection,
        request: Request,
        exchange: Exchange,
        rollout: str,
        decision: str,
    ) -> None:
        self._gateway = gateway
        self._connection: ClientConnection | None = connection
        self._request = request
        self._exchange = exchange
        self._rollout = rollout
        self._decision = decision
        self._calls: dict[int, Asking | Copy] = {}
        self._timers: dict[int, Timer] = {}
        self._edits: dict[int, tuple[Edit, ...]] | None = None
        self._held = False
        self._timeout = 0.0

    # -- what the client does ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The request is complete."""
        self._feed(Begun(self._gateway.now()))

    def gone(self) -> None:
        """The client left."""
        self._connection = None
        self._feed(Gone(self._gateway.now()))

    def hold(self) -> None:
        """The client does not keep up: stop reading what is meant for it."""
        self._held = True
        for asking in self._calls.values():
            if isinstance(asking, Asking):
                asking.pause()

    def unhold(self) -> None:
        """It does again."""
        self._held = False
        for asking in self._calls.values():
            if isinstance(asking, Asking):
                asking.resume()

    # -- what the models do ------------------------------------------------------------------------------------------

    def started(self, call: int, timeout: float) -> None:
        """A copy is being sent."""
        self._timers[call] = self._gateway.timers.start(timeout, self, call)
        self._feed(Started(self._gateway.now(), call))

    def arrived(self, call: int, head: Head | None, body: bytes, ended: bool) -> None:
        """Some of a reply."""
        if ended:
            asking = self._calls.get(call)
            if self._connection is not None and isinstance(asking, Asking) and asking.trailers:
                self._connection.trailers = trailer_lines(asking.trailers)
            self._forget(call)
        if call == USERS and self._calls and body:
            self._keep_for_copies(len(body))
        if self._edits is not None:
            for edit in self._edits.get(call, ()):
                edited = edit.take(head, body, ended)
                if edited is None:
                    return
                head, body = edited
        self._feed(Arrived(self._gateway.now(), call, head, body, ended))

    def _keep_for_copies(self, size: int) -> None:
        """What the user gets is kept until the copies are answered, so it takes up their room."""
        for copy in list(self._calls.values()):
            if isinstance(copy, Copy) and not copy.keep(size):
                self._gateway.count_drop(self._rollout, "queue-full", 1)

    def failed(self, call: int, kind: str) -> None:
        """No whole reply."""
        self._forget(call)
        self._feed(Failed(self._gateway.now(), call, kind))

    def devised(self, plan: Plan | None) -> None:
        """A plan for merging two lists, or none."""
        self._feed(Devised(self._gateway.now(), plan))

    def late(self, call: int) -> None:
        """A call's time has run out."""
        self._timers.pop(call, None)
        upload = self._request.upload
        if upload is not None and call in self._calls:
            # The time begins when the model has the whole request.
            left = upload.patience(self._timeout, self._gateway.now())
            if left > 0.001:
                self._timers[call] = self._gateway.timers.start(left, self, call)
                return
        if call in self._calls:
            self._feed(Late(self._gateway.now(), call))

    # -- what follows ------------------------------------------------------------------------------------------------

    def _feed(self, event: Event) -> None:
        try:
            for command in self._exchange.receive(event):
                self._carry_out(command)
        except Exception as error:
            self._break_off(error)

    def _carry_out(self, command: Command) -> None:  # noqa: C901 — a table of small acts
        match command:
            case Reply():
                if self._connection is not None:
                    connection = self._connection
                    if command.ended:
                        self._connection = None
                    connection.reply(command.head, command.extra, command.body, command.ended)
            case More():
                if self._connection is not None:
                    connection = self._connection
                    if command.ended:
                        self._connection = None
                    connection.more(command.body, command.ended)
            case Record():
                self._gateway.note(command.fact)
            case Call():
                self._call(command.call, command.arm, command.timeout)
            case Cancel():
                self._cancel(command.call)
            case Mirror():
                self._mirror(command.call, command.arm, command.timeout, command.mark)
            case Compare():
                self._gateway.compare(command)
            case Watch():
                self._timers[command.call] = self._gateway.timers.start(command.timeout, self, command.call)
            case Devise():
                self._gateway.planning.ask(command.pattern, self.devised)
            case AsAsked():
                self._request.ask(None)
            case Count():
                self._gateway.count_drop(command.rollout, command.reason, command.count)
            case Abort():
                if self._connection is not None:
                    connection, self._connection = self._connection, None
                    connection.abort()
            case _:
                assert_never(command)

    def _call(self, call: int, arm: Arm, timeout: float) -> None:
        gateway, request = self._gateway, self._request
        self._timeout = timeout
        self._timers[call] = gateway.timers.start(timeout, self, call)
        edits = self._request.edits_for(arm)
        if edits:
            self._edits = {**(self._edits or {}), call: edits}
        self._calls[call] = asking = gateway.pool.ask(
            self,
            call,
            endpoint(arm.url),
            request.bytes_for(arm),
            bodyless=request.method == "HEAD",
            upload=request.upload,
        )
        if self._held:
            asking.pause()

    def _mirror(self, call: int, arm: Arm, timeout: float, mark: str) -> None:
        copy = self._gateway.shadows.submit(self, call, endpoint(arm.url), self._request.bytes_for(arm, mark), timeout)
        if copy is None:
            self._gateway.count_drop(self._rollout, "queue-full", 1)
            self._feed(Failed(self._gateway.now(), call, "dropped"))
        else:
            self._calls[call] = copy

    def _cancel(self, call: int) -> None:
        asking = self._calls.get(call)
        self._forget(call)
        if asking is not None:
            asking.cancel()

    def _forget(self, call: int) -> None:
        self._calls.pop(call, None)
        timer = self._timers.pop(call, None)
        if timer is not None:
            self._gateway.timers.stop(timer)

    def _break_off(self, error: Exception) -> None:
        """A mistake of ours must not leave a client waiting, nor a call open."""
        fields = {"event": "exchange-broke", "rollout": self._rollout, "decision": self._decision}
        log.exception("an exchange broke", exc_info=error, extra={"fields": fields})
        self._gateway.fault(self._rollout, "exchange", f"{type(error).__name__}: {error}"[:200])
        for call in list(self._calls):
            self._cancel(call)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.fail(*problem(500, "the gateway made a mistake", "report it with the gateway's log"))


class Refused:
    """Answers with an error of ours where nobody is asked."""

    __slots__ = ("_connection", "_refusal")

    def __init__(self, connection: ClientConnection, refusal: Refusal) -> None:
        self._connection = connection
        self._refusal = refusal

    def begin(self) -> None:
        """Say so."""
        head, body = problem(self._refusal.status, self._refusal.error, self._refusal.what_to_do)
        self._connection.reply(head, (), body, True)

    def gone(self) -> None:
        """Nothing to end."""

    def hold(self) -> None:
        """Nothing to hold."""

    def unhold(self) -> None:
        """Nothing to resume."""
