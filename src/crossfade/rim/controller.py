"""The controller: once a tick it moves facts to the lake, measures, infers, decides, and acts through the ledger.

Its heartbeat is the gateways' lease, and it beats only after every rollout has been judged: a controller that
cannot judge is as good as dead, and then users get the champion.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from crossfade.judge.again import Assessor
from crossfade.judge.decide import decide
from crossfade.judge.decision import Decision
from crossfade.judge.evidence import Evidence
from crossfade.judge.measure.measured import Measured
from crossfade.judge.seen import seen_of
from crossfade.rim import inbox, reported
from crossfade.rim.ageing import Ageing
from crossfade.rim.batches import JournalError
from crossfade.rim.corrected import Corrected
from crossfade.rim.drifting import Drifting
from crossfade.rim.drivers.carrier import Carrier
from crossfade.rim.drivers.restraint import actor_of, restrained
from crossfade.rim.following import Following, Known, looked_at
from crossfade.rim.inbox import RepeatCounts
from crossfade.rim.lake import Lake, LakeError
from crossfade.rim.lake_fence import Fence
from crossfade.rim.leading import Candidate, Renewal
from crossfade.rim.lease_losses import LeaseLosses
from crossfade.rim.looking import Looking
from crossfade.rim.receiving import Received
from crossfade.rim.sealing import Sealer
from crossfade.rim.searching.searcher import Searcher
from crossfade.rim.showing import record_of
from crossfade.rim.stopping import carry_out_all
from crossfade.rim.store import StaleDecision, Store, Stored, StoreError
from crossfade.rim.store_address import server
from crossfade.rim.stored import Deposed
from crossfade.rim.teller import Teller
from crossfade.rim.upkeep import Upkeep
from crossfade.spec.model import Rollout
from crossfade.state import ENDED, RULE, IllegalMove, Phase, exclude
from crossfade.view import OutcomeCounts, outcome_counts

log = logging.getLogger("crossfade.controller")

SEEK = 0.25
"""Seconds between two looks of a controller that does not lead at the one that does."""


class Controller:
    """Judges every rollout of one data folder."""

    def __init__(
        self,
        data: Path,
        *,
        clock: Callable[[], float] = time.time,
        term: int | None = None,
        known: Known | None = None,
    ) -> None:
        """`term`: the leadership in which it decides; None where it is known to be the only one. `known`: what its
        process has taken in of the facts before."""
        self._store = Store(data)
        self._store.lead(term)
        leaders = self._store.leaders
        self._known = known or Known(data)
        self._lake, self._engine = self._known.lake, self._known.engine
        if term is not None:
            self._lake.led(Fence(term, lambda: leaders.check(term)))
        # Where the store is this host's own file, no other host has facts to send.
        self._received = Received(data) if server() is not None else None
        self._assessor = Assessor()
        self._drifting = Drifting(self._lake)
        self._ageing = Ageing(self._engine)
        self._looking = Looking(self._store)
        self._corrected = Corrected(self._store, self._lake)
        self._repeats = RepeatCounts(inbox.path(data), reported.path(data))
        self._clock = clock
        self._sealer = Sealer(self._store, self._lake, now=clock())
        self._losses = LeaseLosses(self._store, self._lake)
        self._upkeep = Upkeep(self._store, self._lake, self._sealer, now=clock())
        self._begun = False
        self._searcher = Searcher(data)
        self.carrier = Carrier(data, term=term)
        """Carries positions to routers, once it is started."""

    def turn(self) -> None:
        """One tick. Raises StoreError, JournalError or LakeError when the record cannot be read or written.

        Raises Deposed when another controller leads.
        """
        carry_out_all(self._store)
        if not self._begun:
            # Tables that were left half rewritten are not to be read, nor sealed, as they are.
            self._upkeep.forgetting.finish()
            self._begun = True
        if self._received is not None:
            self._received.turn()
        self._lake.compact_journals()
        if self._received is not None:
            self._received.done(self._lake.moved)
        self._losses.turn(self._clock())
        judged = True
        for stored in self._store.rollouts():
            try:
                self._judge(stored)
            except Deposed:
                raise
            except StaleDecision:
                # A person moved it while we looked: the next tick sees the new position.
                log.info("%s moved while it was being judged", stored.name)
            except Exception:
                judged = False
                log.exception("could not judge %s; without judgement its users get the champion", stored.name)
        if judged:
            self._store.beat()
        self._upkeep.turn(self._clock())

    def tell(self, candidate: Candidate) -> None:
        """Put into the ledger how this controller came to lead."""
        try:
            candidate.tell(self._clock(), self._store)
        except Deposed:
            log.warning("another controller leads already")
        except StoreError as error:
            log.error("could not put into the ledger that this controller took over: %s", error)

    def close(self, *, seal: bool = True) -> None:
        """Seal what came in since the last seal, and free what is open."""
        try:
            if seal:
                self._sealer.seal("stop", self._clock())
        except (LakeError, StoreError) as error:
            log.warning("could not seal the last facts, which the next start will do: %s", error)
        self.carrier.close(back=False)
        self._searcher.close()
        self._corrected.close()
        self._repeats.close()
        if self._received is not None:
            self._received.close()
        self._known.close()
        self._store.close()

    def _judge(self, stored: Stored) -> None:
        now = self._clock()
        position, rollout = stored.position, stored.rollout
        ended = position.phase in ENDED
        if not looked_at(position, now) and not self._astray(stored):
            return
        measured = self._engine.measure(rollout, position, now)
        stored = self._told_of_corrections(stored, measured, now)
        evidence = () if position.phase is Phase.PENDING else self._assessor.assess(rollout, measured)
        decision = None
        if position.phase is not Phase.PENDING and not ended:
            decision = decide(rollout, position, evidence, now, seen_of(measured))
            decision = restrained(rollout, position, decision, self.carrier.standing(stored.name), now)
            if decision.excluded:
                stored = self._exclude(stored, decision, evidence, measured, now)
            elif decision.move is not None:
                stored = self._act(stored, decision, evidence, measured, now)
        self._show(stored, measured, evidence, decision, now)
        self._searcher.turn(rollout, stored.position, now)

    def _astray(self, stored: Stored) -> bool:
        """Whether a router does not do what it was told, or was last shown not to: until that is over it is shown."""
        standing = self.carrier.standing(stored.name)
        if standing is None:
            return False
        shown = (self._store.view(stored.name) or {}).get("router")
        return not standing.agrees or shown is None or not shown["agrees"]

    def _act(
        self, stored: Stored, decision: Decision, evidence: tuple[Evidence, ...], measured: Measured, now: float
    ) -> Stored:
        assert decision.move is not None
        stored = self._told_of_corrections(stored, measured, now, decided=True)
        try:
            self._store.act(
                stored.name,
                decision.move,
                actor=actor_of(decision, RULE),
                rule=decision.rule,
                sentence=decision.sentence,
                evidence=[line.to_json() for line in evidence],
                at=now,
                expect_seq=stored.seq,
                facts=dict(measured.facts),
                sealed=self._sealer.decision(measured.facts, now),
                held_for=decision.held_for,
            )
        except IllegalMove:
            log.exception("%s: the rule %s asked for a move that is not legal", stored.name, decision.rule)
            raise
        log.info("%s: %s (%s) %s", stored.name, decision.move, decision.rule, decision.sentence)
        return self._store.get(stored.name)

    def _told_of_corrections(self, stored: Stored, measured: Measured, now: float, *, decided: bool = False) -> Stored:
        """The rollout with an entry for the corrections that the look has seen, where there are new ones."""
        if not self._corrected.note(stored, now, measured.facts.get("outcome"), decided=decided):
            return stored
        again = self._store.get(stored.name)
        if again.seq != stored.seq + 1:
            raise StaleDecision(stored.name, stored.seq + 1, again.seq)
        return again

    def _exclude(
        self, stored: Stored, decision: Decision, evidence: tuple[Evidence, ...], measured: Measured, now: float
    ) -> Stored:
        self._store.note(
            stored.name,
            actor=RULE,
            rule=decision.rule,
            sentence=decision.sentence,
            at=now,
            change=lambda rollout, position: exclude(rollout, position, decision.excluded),
            evidence=[line.to_json() for line in evidence],
            facts=dict(measured.facts),
            expect_seq=stored.seq,
            sealed=self._sealer.decision(measured.facts, now),
        )
        log.info("%s: %s", stored.name, decision.sentence)
        return self._store.get(stored.name)

    def _show(
        self,
        stored: Stored,
        measured: Measured,
        evidence: tuple[Evidence, ...],
        decision: Decision | None,
        now: float,
    ) -> None:
        standing = self.carrier.standing(stored.name)
        record = record_of(
            stored.rollout,
            stored.position,
            self._store.entries(stored.name),
            measured,
            evidence,
            decision,
            now=now,
            outcomes=self._outcomes(stored.rollout, measured),
            drift=self._drifting.of(stored.rollout, measured, now),
            days=self._ageing.days(stored.rollout, stored.position, now),
            router=None if standing is None else standing.to_json(now),
        )
        self._store.save_view(stored.name, record)
        self._looking.keep(stored.name, record)

    def _outcomes(self, rollout: Rollout, measured: Measured) -> OutcomeCounts:
        try:
            repeats = self._repeats.of(rollout.name, rollout.outcome_names)
        except JournalError as error:
            log.warning("repeated outcomes could not be counted: %s", error)
            return outcome_counts(rollout, measured.progress, None, None)
        return outcome_counts(rollout, measured.progress, repeats.duplicates, repeats.contradictions)


def run(data: Path, *, tick: float = 1.0) -> None:
    """Judge until SIGTERM or SIGINT; for a process of its own. `tick` is the period in seconds."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    # One attempt must not wait so long for a hung writer that taking over from it comes too late.
    store = Store(data, busy=0.5)
    candidate, following = Candidate(store), Following(data, store)
    log.info("ready to lead")
    try:
        while not stop.is_set():
            term = candidate.seek(time.monotonic())
            if term is not None:
                _lead(data, store, candidate, term, tick, stop, following)
                candidate = Candidate(store)
            else:
                following.turn()
            stop.wait(SEEK)
    finally:
        following.close()
        store.close()


def _free(data: Path) -> bool:
    """Whether no process holds the right to write the lake."""
    lake = Lake(data)
    try:
        return lake.claim()
    finally:
        lake.close()


def _lead(
    data: Path, store: Store, candidate: Candidate, term: int, tick: float, stop: threading.Event, following: Following
) -> None:
    """Judge until told to stop, or until another leads."""
    log.info("leads in term %d", term)
    renewal = Renewal(store, term)
    telling = Teller(data)
    controller: Controller | None = None
    deposed = False
    try:
        candidate.clear_the_way(lambda: _free(data))
        known = following.handed_over()
        known.engine.progress = renewal.progress
        controller = Controller(data, term=term, known=known)
        controller.tell(candidate)
        controller.carrier.start()
        telling.start()
        while not (stop.is_set() or renewal.lost.is_set()):
            began = time.monotonic()
            renewal.progress()
            try:
                controller.turn()
            except Deposed:
                break
            except Exception:
                # No beat was given: the gateways' lease runs out while this lasts, and users get the champion.
                log.exception("this look failed; trying again")
            stop.wait(max(0.02, tick - (time.monotonic() - began)))
        deposed = not stop.is_set()
        if deposed:
            log.warning("another controller leads now; this one waits for its turn")
    finally:
        renewal.stop()
        telling.close()
        if controller is not None:
            controller.carrier.close(back=not deposed)
            controller.close(seal=not deposed)
        with contextlib.suppress(StoreError):
            store.leaders.release(term)
