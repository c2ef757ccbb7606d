"""What pages load beside themselves: the script that draws charts, their specifications, and pictures of them."""

from __future__ import annotations

import gzip
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from crossfade.console.bundle import Bundle
from crossfade.console.charting import WIDE, picture
from crossfade.console.problems import Refused
from crossfade.console.segments import segment_charts
from crossfade.rim.calibrating import Calibrating
from crossfade.rim.differing import Differing
from crossfade.rim.looking import past_of
from crossfade.rim.standing import standing
from crossfade.rim.store import Store
from crossfade.view.charts import Chart, calibration, charts_of, fields

FOREVER = "private, max-age=31536000, immutable"

FIELDS = "fields"
"""The chart that pages ask for without knowing whether there is anything to show."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""For pictures alone, in which no script runs: their dark inks stand in them."""


def router(store: Store, data: Path) -> APIRouter:
    """The scripts and charts of a store's rollouts."""
    routes = APIRouter(include_in_schema=False)
    bundle, elsewhere = Bundle(data), _Elsewhere(Differing(data), Calibrating(data))

    def chart_of(name: str, chart: str) -> Chart:
        found = _chart(store, elsewhere, name, chart)
        if found is None:
            raise Refused(404, f"{name} has no chart {chart!r} to show now", "its page shows which there are")
        return found

    @routes.get("/vega.js")
    def drawing(request: Request) -> Response:
        headers = {"cache-control": FOREVER, "vary": "accept-encoding"}
        packed = bundle.packed()
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, media_type="text/javascript", headers={**headers, "content-encoding": "gzip"})
        return Response(gzip.decompress(packed), media_type="text/javascript", headers=headers)

    @routes.get("/rollouts/{name}/charts/{chart}.json")
    def spec(name: str, chart: str) -> Response:
        found = _chart(store, elsewhere, name, chart)
        if found is None and chart == FIELDS:
            return Response(status_code=204)
        return JSONResponse(dict((found or chart_of(name, chart)).spec))

    @routes.get("/rollouts/{name}/charts/{chart}.svg")
    def drawn(name: str, chart: str, width: Annotated[int, Query(ge=200, le=4000)] = WIDE) -> Response:
        svg = picture(chart_of(name, chart), width, dark=True)
        return Response(svg, media_type="image/svg+xml", headers={"content-security-policy": POLICY})

    return routes


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """What charts need that is not in the record: it is asked of the facts."""

    differing: Differing
    calibrating: Calibrating


def _chart(store: Store, elsewhere: _Elsewhere, name: str, chart: str) -> Chart | None:
    kind, _, arm = chart.partition("-")
    if kind == FIELDS:
        stored = store.get(name)
        told = elsewhere.differing.of(stored.rollout, stored.position)["arms"]
        drawn = (fields(one, name=chart) for one in told if arm in ("", one["arm"]))
        return next((found for found in drawn if found), None)
    if kind == "calibration":
        stored = store.get(name)
        curves = elsewhere.calibrating.of(stored.rollout, stored.position, time.time())["arms"]
        return next((calibration(one) for one in curves if one["arm"] == arm), None)
    record = standing(store, name, time.time())
    found = charts_of(record, past_of(store, name, record)).get(chart)
    return found or (segment_charts(record).get(chart) if kind == "segments" else None)
