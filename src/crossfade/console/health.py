"""`/healthz`, `/readyz` and `/metrics`: whether the control port lives, whether everything works, and the numbers."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from crossfade.console import models
from crossfade.console.part_numbers import NO_GATEWAY, PartSeries
from crossfade.console.receiving import Tally
from crossfade.rim import store_address
from crossfade.rim.figures import path
from crossfade.rim.standing import FRESH, all_standing
from crossfade.rim.store import Store, StoreError
from crossfade.state import ENDED, Phase
from crossfade.view.words import duration

PATIENCE = 10.0
"""Seconds without a heartbeat after which the controller counts as silent where no rollout is under way; where one is,
it is the shortest lease, after which gateways stop exposing."""


class Pulse:
    """Watches the controller's heartbeat by our own clock: it counts as alive only once it was seen to move."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._value: int | None = None
        self._moved: float | None = None
        self._version: int | None = None
        self._lease = PATIENCE

    def look(self) -> dict[str, Any]:
        """Read the heartbeat, and say whether it has moved lately."""
        now = time.monotonic()
        try:
            value = self._store.heartbeat()
        except StoreError as error:
            return _check(False, str(error))
        if self._value is not None and value != self._value:
            self._moved = now
        self._value = value
        if self._moved is None:
            return _check(False, "the controller's heart has not been seen to beat yet")
        silent = now - self._moved
        try:
            patience = self._patience()
        except StoreError as error:
            return _check(False, str(error))
        if silent > patience:
            said = f"the controller has been silent for {silent:.1f} s, longer than the lease of {patience:g} s"
            return _check(False, f"{said}: only champions serve")
        return _check(True, f"the controller's heart beat {silent:.1f} s ago")

    def _patience(self) -> float:
        """The shortest lease of what is under way; read again only when a spec or a position has changed."""
        version = self._store.version()
        if version != self._version:
            under_way = (one for one in self._store.rollouts() if one.position.phase not in (*ENDED, Phase.PENDING))
            self._lease = min((one.rollout.lease for one in under_way), default=PATIENCE)
            self._version = version
        return self._lease


def router(
    store: Store, data: Path, pulse: Pulse, tally: Tally, events: Callable[[], Mapping[str, int]] = dict
) -> APIRouter:
    """The endpoints. `events`: what has become of CloudEvents."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", response_model=models.Alive, summary="Is the control port alive")
    async def healthz() -> JSONResponse:
        """Always 200 while this process answers; it says nothing of the others."""
        return JSONResponse({"status": "alive"})

    @routes.get(
        "/readyz",
        response_model=models.Ready,
        responses={503: {"model": models.Ready, "description": "`checks` says what is wrong."}},
        summary="Is everything working",
    )
    def readyz() -> JSONResponse:
        """200 when the store can be read, the controller's heart beats within the leases and every gateway answers."""
        checks = checks_of(store, data, pulse)
        ready = all(check["ok"] for check in checks.values())
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)

    registry = CollectorRegistry()
    registry.register(RolloutSeries(store, tally))
    registry.register(PartSeries(store, data, partial(checks_of, store, data, pulse), events))

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format."}},
        summary="Numbers for Prometheus",
    )
    def metrics() -> Response:
        """Exposure, evidence and verdicts of every rollout, outcomes taken in, and the gateways' counters."""
        return Response(generate_latest(registry) + _gateway_numbers(data), media_type=CONTENT_TYPE_LATEST)

    return routes


def checks_of(store: Store, data: Path, pulse: Pulse) -> dict[str, dict[str, Any]]:
    """Whether each part works, and how that is known."""
    return {"store": _store(store), "controller": pulse.look(), "gateways": _gateways(data)}


def _check(ok: bool, reason: str) -> dict[str, Any]:
    return {"ok": ok, "reason": reason}


def _store(store: Store) -> dict[str, Any]:
    try:
        return _check(True, _counted(len(store.rollouts())))
    except StoreError as error:
        return _check(False, str(error))


def _gateways(data: Path) -> dict[str, Any]:
    """Whether every gateway that the supervisor started is there and answers. That its process lives says little: one
    that hangs lives too. So each is judged by the figures that its loop writes every second."""
    try:
        pids = json.loads((data / "run" / "serve.json").read_text())["pids"]
        # Where hosts share a store, a gateway's name begins with its host's.
        wanted = {name: int(pid) for name, pid in pids.items() if "gateway-" in name and pid is not None}
        dead = [name for name, pid in pids.items() if "gateway-" in name and pid is None]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _check(False, f"{data / 'run' / 'serve.json'} does not say which gateways should run")
    if not wanted and not dead and "controller" not in pids and store_address.server() is not None:
        return _check(True, "other hosts have them: their health ports say how they are")
    gone = [*dead, *(name for name, pid in wanted.items() if not _lives(pid))]
    if gone or not wanted:
        return _check(False, f"not running: {', '.join(gone)}" if gone else NO_GATEWAY)
    now = time.time()
    silent = [f"{name} {told}" for name in wanted if (told := _silence(path(data, name), now))]
    if silent:
        return _check(False, f"{'; '.join(silent)}: it hangs, or its disk is full")
    return _check(True, f"{len(wanted)} running, each heard within {FRESH:g} s")


def _silence(figures: Path, now: float) -> str:
    """For how long a gateway has not written its figures; '' where it has lately."""
    try:
        age = now - figures.stat().st_mtime
    except OSError:
        return "has not been heard yet"
    return "" if age <= FRESH else f"has not been heard for {duration(age)}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _gateway_numbers(data: Path) -> bytes:
    """What the gateways counted, as they wrote it."""
    from crossfade.rim.metrics_text import read_metrics

    return read_metrics(data).encode()


class RolloutSeries:
    """The rollouts' gauges, read at the moment of the scrape."""

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store, self._tally = store, tally

    def collect(self) -> Iterable[Metric]:
        """Every family, from the same records that the page shows."""
        posted = CounterMetricFamily(
            "crossfade_outcomes", "Outcomes posted to this control port, by what became of them.", labels=["result"]
        )
        for result in ("accepted", "duplicates", "rejected"):
            posted.add_metric([result], getattr(self._tally, result))
        yield posted
        limited = CounterMetricFamily(
            "crossfade_outcome_reports_limited",
            "Reports of outcomes, exposures or events that were told to wait, by --outcome-rate.",
        )
        limited.add_metric([], self._tally.limited)
        yield limited
        yield GaugeMetricFamily(
            "crossfade_heartbeat",
            "The heartbeat of the controller: a number that grows; one that stands still means it is silent.",
            value=self._store.heartbeat(),
        )
        records = all_standing(self._store, time.time())
        yield from _standing_numbers(records)
        yield from _evidence_numbers(records)


def _standing_numbers(records: list[dict[str, Any]]) -> Iterable[Metric]:
    phase = GaugeMetricFamily("crossfade_phase", "1 for the present phase of a rollout.", labels=["rollout", "phase"])
    exposure = GaugeMetricFamily(
        "crossfade_exposure",
        "Share of units on the challenger: planned by the position, and actual in the present stage.",
        labels=["rollout", "which"],
    )
    units = GaugeMetricFamily("crossfade_units", "Units in the present stage.", labels=["rollout", "arm"])
    missing = GaugeMetricFamily(
        "crossfade_approvals_missing",
        "Approvals that a rollout waits for; absent where it waits for none.",
        labels=["rollout"],
    )
    drift = GaugeMetricFamily(
        "crossfade_drift",
        "1 for what drift is put down to: world, model or feed, unclear, none, or unmeasured.",
        labels=["rollout", "cause"],
    )
    given_up = GaugeMetricFamily(
        "crossfade_notices_given_up",
        "Notices that could not be delivered and are not tried again.",
        labels=["rollout", "target"],
    )
    follows = GaugeMetricFamily(
        "crossfade_router_follows",
        "1 while the router that carries a rollout was read to do what it was told, 0 where it does not.",
        labels=["rollout", "driver"],
    )
    above = GaugeMetricFamily(
        "crossfade_router_above_plan",
        "Share of units that the router gives challengers beyond the plan; absent where nobody knows.",
        labels=["rollout", "driver"],
    )
    corrected = GaugeMetricFamily(
        "crossfade_router_corrected",
        "How often somebody else had set the router and it was set right, since the controller began.",
        labels=["rollout", "driver"],
    )
    for record in records:
        carrying = record.get("router")
        if carrying is not None:
            named = [record["name"], carrying["driver"]]
            follows.add_metric(named, int(carrying["agrees"]))
            corrected.add_metric(named, carrying["corrected"])
            if carrying["above"] is not None:
                above.add_metric(named, carrying["above"])
        asked = record.get("approval")
        if asked and asked["waiting"]:
            missing.add_metric([record["name"]], asked["missing"])
        for cause in {finding["cause"] for finding in (record.get("drift") or {}).get("findings", ())}:
            drift.add_metric([record["name"], cause], 1)
        lost = Counter[str]()
        for told in record["notices"]:
            lost[told["target"]] += told["given_up"]
        for target, count in lost.items():
            given_up.add_metric([record["name"], target], count)
        phase.add_metric([record["name"], record["phase"]], 1)
        for which in ("planned", "actual"):
            if record["exposure"][which] is not None:
                exposure.add_metric([record["name"], which], record["exposure"][which])
        for arm, n in record["exposure"]["units"].items():
            units.add_metric([record["name"], arm], n)
    return phase, exposure, units, missing, drift, given_up, follows, above, corrected


def _evidence_numbers(records: list[dict[str, Any]]) -> Iterable[Metric]:
    which = {
        "estimate": "The challenger less the champion, in the metric's own units.",
        "lower": "Lower end of the always-valid interval; absent where it is open.",
        "upper": "Upper end of the always-valid interval; absent where it is open.",
        "limit": "What the difference is held against.",
        "e_value": "Evidence for harm; proven at 1/alpha of its line.",
        "e_value_safe": "Evidence that it is within the limit, or better; proven at 1/alpha of its line.",
    }
    labels = ["rollout", "metric", "arm", "stage"]
    families = {key: GaugeMetricFamily(f"crossfade_evidence_{key}", told, labels=labels) for key, told in which.items()}
    verdict = GaugeMetricFamily(
        "crossfade_verdict",
        "1 for the present verdict of a line of evidence: safe, harmful, undecided or unmeasured.",
        labels=[*labels, "verdict"],
    )
    for record in records:
        # Segments are looked at on the page: as many series as values would crowd out what alerts are made of.
        for line in (line for line in record["evidence"] if line["segment"] is None):
            told = [record["name"], line["metric"], line["arm"], line["stage"]]
            verdict.add_metric([*told, line["verdict"]], 1)
            for key, family in families.items():
                if line.get(key) is not None:
                    family.add_metric(told, line[key])
    return [*families.values(), verdict]


def _counted(rollouts: int) -> str:
    return "1 rollout" if rollouts == 1 else f"{rollouts} rollouts"
