"""What was delivered to users, counted from the recorded facts: answers and wrong answers, by the arm that served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from crossfade.rim.lake import Lake

WRONG = "wrong"

_BY_STRATUM = """
WITH answers AS (
    SELECT decision_id, served_by, stage, step FROM exposed
    WHERE rollout = $rollout AND served_by <> '' AND mode IN ('canary', 'ab', 'interleave', 'promote')
), reports AS (
    SELECT decision_id, max(value) AS value FROM outcomes WHERE name = $name GROUP BY decision_id
)
SELECT served_by, stage, step, count(*), count(value), count(*) FILTER (value > 0)
FROM answers LEFT JOIN reports USING (decision_id) GROUP BY ALL ORDER BY ALL
"""

_UNITS = """
SELECT served_by, count(DISTINCT unit) FROM exposed
WHERE rollout = $rollout AND served_by <> '' AND mode IN ('canary', 'ab', 'interleave', 'promote') AND unit <> ''
GROUP BY served_by
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """The answers of one arm in one step of one stage."""

    arm: str
    stage: int
    step: int
    answers: int
    judged: int
    """Answers whose outcome was reported."""
    wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What each arm delivered from the first exposing stage on. Copies in shadow are nobody's answer."""

    units: dict[str, int]
    strata: Sequence[Stratum]

    def answers(self, arm: str) -> int:
        """Answers of `arm` that reached a user."""
        return sum(s.answers for s in self.strata if s.arm == arm)

    def judged(self, arm: str) -> int:
        """Those whose outcome was reported."""
        return sum(s.judged for s in self.strata if s.arm == arm)

    def wrong(self, arm: str) -> int:
        """Those reported as wrong."""
        return sum(s.wrong for s in self.strata if s.arm == arm)

    def excess(self, arm: str, baseline: str) -> float | None:
        """Wrong answers of `arm` beyond the baseline's rate in the same steps; None where nothing can be compared.

        Steps are compared one by one, because pooling over a ramp mixes time into the rates.
        """
        total, compared = 0.0, False
        base = {(s.stage, s.step): s for s in self.strata if s.arm == baseline and s.judged}
        for stratum in self.strata:
            beside = base.get((stratum.stage, stratum.step))
            if stratum.arm == arm and stratum.judged and beside is not None:
                total += stratum.wrong - stratum.judged * beside.wrong / beside.judged
                compared = True
        return total if compared else None


def delivered(data: Path, rollout: str, *, name: str = WRONG) -> Delivered:
    """The answers of a rollout, joined with the outcomes called `name` by decision id.

    Only for a folder that nobody serves any more: what is still in the journals is moved to the tables first.
    """
    lake = Lake(data)
    try:
        while lake.compact_journals():
            pass
        exposed, outcomes = lake.table("exposed"), lake.table("outcome")
    finally:
        lake.close()
    with duckdb.connect() as connection:
        connection.register("exposed", exposed)
        connection.register("outcomes", outcomes)
        rows = connection.execute(_BY_STRATUM, {"rollout": rollout, "name": name}).fetchall()
        units = dict(connection.execute(_UNITS, {"rollout": rollout}).fetchall())
    strata = [Stratum(arm=a, stage=s, step=t, answers=n, judged=j, wrong=w) for a, s, t, n, j, w in rows]
    return Delivered(units=units, strata=strata)
