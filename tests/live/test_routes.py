"""What each position means to the request path."""

from __future__ import annotations

import pytest

from crossfade.live.assign import assign
from crossfade.live.routes import RouteTable, champion_only, routes
from crossfade.spec.parse import parse
from crossfade.state import Phase, Position

ROLLOUT = parse("""
name: digits
route: /v2/models/digits/infer
protocol: open-inference
unit: header:x-user-id
champion:   {name: v1, url: http://127.0.0.1:1}
challenger: {name: v2, url: http://127.0.0.1:2}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 1pp}}
stages:
  - shadow:  {mirror: 50%, noise: 5%, until: {requests: 100}}
  - canary:  {steps: [5%, 20%], hold_for: 1m}
  - promote: {holdback: 10%, watch: 1d}
""")


@pytest.mark.parametrize(
    ("position", "mode", "weight", "mirror"),
    [
        (Position(), "champion", 0.0, 0.0),
        (Position(phase=Phase.RUNNING), "shadow", 0.0, 0.5),
        (Position(phase=Phase.RUNNING, stage=1, step=1), "canary", 0.2, 0.0),
        (Position(phase=Phase.HELD, stage=1, step=0), "canary", 0.05, 0.0),
        (Position(phase=Phase.ROLLED_BACK, stage=1), "champion", 0.0, 0.0),
        (Position(phase=Phase.PROMOTED, stage=2), "promote", 0.9, 0.0),
    ],
)
def test_a_position_is_one_route(position: Position, mode: str, weight: float, mirror: float) -> None:
    route = routes(ROLLOUT, position)
    assert (route.mode, route.weight, route.mirror) == (mode, pytest.approx(weight), mirror)
    assert route.champion.name == "v1"
    safe = champion_only(route)
    assert {assign(safe, f"user-{n}").arm for n in range(200)} == {"v1"}


def test_once_finished_the_challenger_is_the_champion_whatever_becomes_of_the_lease() -> None:
    route = routes(ROLLOUT, Position(phase=Phase.FINISHED, stage=2))
    for held in (route, champion_only(route)):
        assert {assign(held, unit).arm for unit in ("", "ana", "ben")} == {"v2"}
        beside = RouteTable.of([held]).upstream("/v2/models/digits/ready")
        assert beside is not None
        assert beside.url == "http://127.0.0.1:2"
