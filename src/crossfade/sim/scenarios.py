"""The demo's three scenarios: what is served, what is asked of it, and how it should end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from crossfade.sim.faults import Fault
from crossfade.state import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One rollout of the demo. Times are seconds, latencies are milliseconds."""

    name: str
    rollout: str
    model: str
    """The model's public name on both servers."""
    title: str
    ends: Phase
    """The phase it should end in while the challenger has no fault."""
    champion_ms: float = 4.0
    challenger_ms: float = 4.0
    clicks: str = "informational"
    """How people click, where answers are ranked lists."""
    rate: float = 350.0
    """Requests per second."""
    patience: float = 150.0
    """After this long without an end, something is wrong."""

    @property
    def path(self) -> str:
        """What clients call."""
        return f"/v2/models/{self.model}/infer"

    def expected(self, fault: Fault) -> Phase:
        """The phase it should end in: no challenger that misbehaves may stay."""
        return self.ends if fault is Fault.NONE else Phase.ROLLED_BACK

    def spec(self, *, ports: Mapping[str, int], digests: Mapping[str, str]) -> str:
        """The rollout's spec with the ports of its two model servers, and the digests of the models in them."""
        text = files("crossfade.sim").joinpath("specs", f"{self.name}.yaml").read_text(encoding="utf-8")
        for arm in ("champion", "challenger"):
            text = text.replace("{{" + arm + "_port}}", str(ports[arm]))
            text = text.replace("{{" + arm + "_digest}}", digests[arm])
        return text


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="good",
            rollout="digits-v2",
            model="digits",
            title="A better model: handwritten digits, a decision tree against a logistic regression",
            ends=Phase.PROMOTED,
            challenger_ms=3.5,
        ),
        Scenario(
            name="bad",
            rollout="tumour-v2",
            model="tumour",
            title="A worse model: tumours, thirty features against one",
            ends=Phase.ROLLED_BACK,
            challenger_ms=3.5,
        ),
        Scenario(
            name="ranking",
            rollout="image-search-v2",
            model="search",
            title="Two rankers: image search by four principal components against all pixels",
            ends=Phase.PROMOTED,
            rate=150.0,
        ),
    )
}
"""By name."""
