"""Strategies that draw rollouts, positions and facts for the laws."""

from __future__ import annotations

from hypothesis import strategies as st

from crossfade.spec.model import (
    Ab,
    Arm,
    Better,
    Canary,
    Field,
    From,
    Interleave,
    Kind,
    Metric,
    Promote,
    Protocol,
    Rollout,
    Shadow,
    Source,
    Stage,
)
from crossfade.state import Phase, Position

shares = st.floats(0.0, 1.0, allow_nan=False)
times = st.floats(0.0, 4e9, allow_nan=False)

_STAGES: dict[str, st.SearchStrategy[Stage]] = {
    "shadow": st.builds(Shadow, mirror=shares, noise=shares),
    "canary": st.builds(
        Canary, steps=st.lists(shares.filter(bool), min_size=1, max_size=4, unique=True).map(lambda s: tuple(sorted(s)))
    ),
    "interleave": st.builds(Interleave, weight=shares),
    "ab": st.builds(Ab, weight=shares),
    "promote": st.builds(Promote, holdback=shares, watch=st.floats(0.0, 1e6)),
}


@st.composite
def rollouts(draw: st.DrawFn, challengers: int = 1) -> Rollout:
    """A rollout with any non-empty subset of the stages, in their order."""
    names = draw(st.sets(st.sampled_from(sorted(_STAGES)), min_size=1))
    return Rollout(
        name=draw(st.text(min_size=1, max_size=20)),
        route="/m",
        protocol=Protocol.JSON,
        unit=Field(source=From.HEADER, name="x-user-id"),
        champion=Arm(name="v1", url="http://127.0.0.1:1"),
        challengers=tuple(Arm(name=f"v{n + 2}", url="http://127.0.0.1:2") for n in range(challengers)),
        metrics=(Metric(name="errors", source=Source.RESPONSE, kind=Kind.RATE, better=Better.LOWER),),
        stages=tuple(draw(strategy) for name, strategy in _STAGES.items() if name in names),
    )


@st.composite
def positions(draw: st.DrawFn, rollout: Rollout) -> Position:
    """Any position whose stage and step the rollout has."""
    phase = draw(st.sampled_from(Phase))
    index = draw(st.integers(0, len(rollout.stages) - 1)) if phase is not Phase.PENDING else 0
    stage = rollout.stages[index]
    step = draw(st.integers(0, len(stage.steps) - 1)) if isinstance(stage, Canary) else 0
    held = phase is Phase.HELD
    return Position(
        phase=phase,
        stage=index,
        step=step if phase is not Phase.PENDING else 0,
        stage_since=draw(times),
        step_since=draw(times),
        held_by=draw(st.sampled_from(("rule", "ada"))) if held else None,
        held_since=draw(times) if held else None,
    )
