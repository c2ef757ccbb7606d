"""What may be asked where a router carries the traffic: each refusal says where, what, why and what is allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.spec.parse import SpecProblems, parse
from crossfade.spec.routers import LIMITS
from rim.drivers.routers import blocks

ENVOY, HAPROXY = blocks("envoy.md")["spec.yaml"], blocks("haproxy.md")["spec.yaml"]
SHADOW = "stages:\n  - shadow: {until: {at_most: 1d}}\n"


def problems(text: str) -> list[str]:
    with pytest.raises(SpecProblems) as found:
        parse(text)
    return [str(one) for one in found.value.problems]


@pytest.mark.parametrize(
    ("spec", "old", "new", "said"),
    [
        (ENVOY, "header:x-user-id", "json:$.user", "Envoy does not read bodies"),
        (ENVOY, "stages:\n", "stages:\n  - interleave: {weight: 5%}\n", "merges both models'"),
        (ENVOY, "stages:\n", "stages:\n  - shadow: {}\n", "no number of compared requests ends this shadow"),
        (ENVOY, "stages:\n", SHADOW.replace("{until", "{gates: {disagreement: {at_most: 5%}}, until"), "'gates' would"),
        (HAPROXY, "stages:\n", SHADOW, "copies of requests, which HAProxy does not send"),
        (ENVOY, "hold_for: 10m", "hold_for: 10m, counterfactual: 10%", "shows no replies to copies"),
        (ENVOY, "stages:\n", "drift: {}\nstages:\n", "'drift' is about what is in requests"),
        (ENVOY, "stages:\n", "reveal: true\nstages:\n", "'reveal' is what Crossfade's gateway does"),
        (ENVOY, "name: v2, ", "name: v2, timeout: 5s, ", "'timeout' is what Crossfade's gateway does"),
        (ENVOY, "    admin:", "    clusters: {v3: x}\n    admin:", "no arm is named v3"),
        (ENVOY, "    admin:", "    clusters: {v1: a, v2: a}\n    admin:", "v1 and v2 are both called a, so that Envoy"),
        (ENVOY, "    admin:", "    clusters: {v1: v2}\n    admin:", "v1 and v2 are both called v2"),
        (ENVOY, "[http://127.0.0.1:9901]", "[localhost]", "a URL without a path"),
        (HAPROXY, "unix:/run", "/run", "a socket such as unix:"),
        (HAPROXY, "    map: /etc/haproxy/crossfade.map\n", "", "the key 'map' is missing"),
        (ENVOY, "router:\n", "router:\n  haproxy: {sockets: [unix:/a], map: b}\n", "one router carries a rollout"),
        (ENVOY, "[10%, 50%]", "[0.00001%, 50%]", "gives weights in steps of"),
        (
            HAPROXY, "stages:\n", "segments: [header:x-country]\non_segment_harm: exclude\nstages:\n",
            "cannot keep such a segment on the champion",
        ),
    ],
)  # fmt: skip
def test_what_a_router_cannot_carry_is_refused_with_the_reason(spec: str, old: str, new: str, said: str) -> None:
    assert old in spec
    found = problems(spec.replace(old, new, 1))
    assert any(said in one and one.startswith("line ") for one in found), found


def test_what_routers_can_is_allowed() -> None:
    assert parse(ENVOY.replace("stages:\n", SHADOW)).router is not None
    assert parse(ENVOY.replace("header:x-user-id", "cookie:sid")).router is not None
    excluding = "segments: [header:x-country]\non_segment_harm: exclude\nstages:\n"
    assert parse(ENVOY.replace("stages:\n", excluding)).router is not None


@given(st.floats(0.0, 1.0))
def test_no_router_gives_more_than_was_planned(share: float) -> None:
    for limits in LIMITS.values():
        carried = limits.carried(share)
        assert carried <= share + 1e-12 * 1e3
        assert share - carried < limits.step + 1e-9
