"""The bundled specs are specs that `crossfade check` accepts, and say what the scenarios promise."""

from __future__ import annotations

import pytest

from crossfade.sim.faults import Fault
from crossfade.sim.scenarios import SCENARIOS
from crossfade.spec.model import stage_name
from crossfade.spec.parse import parse
from crossfade.state import Phase

PATHS = {
    "good": ["shadow", "canary", "ab", "promote"],
    "bad": ["shadow", "canary", "ab", "promote"],
    "ranking": ["shadow", "interleave", "promote"],
}

PORTS = {"champion": 8101, "challenger": 8102}
DIGESTS = {"champion": f"sha256:{'0' * 64}", "challenger": f"sha256:{'1' * 64}"}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_each_spec_parses_and_takes_the_path_it_promises(name: str) -> None:
    scenario = SCENARIOS[name]
    rollout = parse(scenario.spec(ports=PORTS, digests=DIGESTS))
    assert rollout.name == scenario.rollout
    assert rollout.route == scenario.path
    assert [stage_name(stage) for stage in rollout.stages] == PATHS[name]
    assert (rollout.champion.url, rollout.challenger.url) == ("http://127.0.0.1:8101", "http://127.0.0.1:8102")
    assert "{{" not in scenario.spec(ports=PORTS, digests=DIGESTS)


def test_no_faulty_challenger_is_expected_to_stay() -> None:
    for scenario in SCENARIOS.values():
        assert scenario.expected(Fault.NONE) is scenario.ends
        assert all(scenario.expected(fault) is Phase.ROLLED_BACK for fault in Fault if fault is not Fault.NONE)
