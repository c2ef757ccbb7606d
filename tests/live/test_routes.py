"""What each position means to the request path."""

from __future__ import annotations

import pytest

from crossfade.live.assign import assign
from crossfade.live.routes import EXCLUDED, RouteTable, champion_only, routes, taken
from crossfade.spec.parse import parse
from crossfade.state import Phase, Position, exclude

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


GROUPS = parse("""
name: digits
route: /v2/models/digits/infer
protocol: open-inference
unit: header:x-user-id
segments: [header:x-country, header:x-app]
explore: [json:$.age]
champion:   {name: v1, url: http://127.0.0.1:1}
challenger: {name: v2, url: http://127.0.0.1:2}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 1pp}}
stages:
  - shadow:  {mirror: 50%, until: {requests: 100}}
  - canary:  {steps: [50%], hold_for: 1m}
  - promote: {holdback: 10%, watch: 1d}
""")


@pytest.mark.parametrize(
    "position",
    [
        Position(phase=Phase.RUNNING),
        Position(phase=Phase.RUNNING, stage=1),
        Position(phase=Phase.HELD, stage=1),
        Position(phase=Phase.PROMOTED, stage=2),
    ],
)
def test_an_excluded_segment_takes_no_part_and_all_others_do_as_before(position: Position) -> None:
    before = routes(GROUPS, position)
    assert before.excluded == ()
    assert taken(before, ("de", "5", "80")) is before
    kept = exclude(GROUPS, position, [("header:x-app", "5"), ("header:x-country", "")])
    route = routes(GROUPS, kept)
    for others in (("de", "4", "80"), ("5", "", "5")):
        assert taken(route, others) is route
        assert [assign(route, f"u{n}") for n in range(50)] == [assign(before, f"u{n}") for n in range(50)]
    for mine in (("de", "5", "80"), ("", "4", "")):
        aside = taken(route, mine)
        assert (aside.mode, aside.weight, aside.mirror, aside.why) == ("champion", 0.0, 0.0, EXCLUDED)
        assert {assign(aside, f"u{n}").arm for n in range(50)} == {"v1"}


def test_nothing_is_excluded_where_everyone_has_one_model_anyway() -> None:
    for phase in (Phase.PENDING, Phase.ROLLED_BACK, Phase.FINISHED):
        position = Position(phase=phase, stage=2, excluded=(("header:x-app", "5"),))
        assert routes(GROUPS, position).excluded == ()
    held = routes(GROUPS, Position(phase=Phase.RUNNING, stage=1, excluded=(("header:x-app", "5"),)))
    assert champion_only(held).excluded == ()


def test_a_segment_that_the_spec_no_longer_names_is_nobodys() -> None:
    position = Position(phase=Phase.RUNNING, stage=1, excluded=(("header:x-gone", "5"), ("json:$.age", "7")))
    assert routes(GROUPS, position).excluded == ((2, "7"),)
