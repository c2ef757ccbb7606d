"""What people see of drift: the same in record, terminal, page and dossier, and nothing where nobody asked."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from crossfade.cli.terminal import tree
from crossfade.console.drift import drift_part
from crossfade.console.rollout_page import rollout_page
from crossfade.judge.drift.family import Family
from crossfade.spec.model import Drift
from crossfade.view import refreshed, view
from crossfade.view.drift import MOST_FIELDS, about, drift_record, drift_unread
from judge.drift.slices import sketched
from view.sample import DECISION, INPUTS, NOW, ROLLOUT, START, evidence, ledger_of

DRIFT = Drift(sample=0.05, reference=60.0)
FIELD = "<script>alert(1)</script>"


def record(*, null: bool = False, shift: float = 0.0, wide: int = 0) -> dict[str, Any]:
    """Of two arms, one of which moves, or of a feed that breaks."""
    rng = np.random.default_rng(3)
    family = Family(every=1.0, reference=60.0)
    for second in range(110):
        late = second >= 70
        for arm in ("v1", "v2"):
            asked = {FIELD: [None] * 6 if null and late else rng.normal(size=6), "plan": rng.choice(["a", "b"], size=6)}
            asked |= {f"f{n}": rng.normal(size=6) for n in range(wide)}
            moved = shift if late and arm == "v2" else 0.0
            told = sketched(asked, at=START + second, arm=arm, side="input")
            told += sketched({"p": rng.normal(moved, 1.0, size=6)}, at=START + second, arm=arm, side="output")
            family.take(START + second, told)
    return drift_record(ROLLOUT, DRIFT, family.changes())


def whole(drift: dict[str, Any] | None) -> dict[str, Any]:
    position, entries = ledger_of()
    return view(ROLLOUT, position, evidence(), DECISION, entries, now=NOW, drift=drift, **INPUTS)


def drawn(drift: dict[str, Any] | None) -> str:
    out = io.StringIO()
    Console(file=out, width=100, highlight=False).print(tree(whole(drift)))
    return " ".join(out.getvalue().replace("│", " ").split())


def test_the_field_that_changed_comes_first_with_its_numbers() -> None:
    told = record(shift=2.0)
    first = told["fields"][0]
    assert (told["cause"], told["arm"]) == ("model", "v2")
    assert (first["side"], first["field"], first["arm"], first["changed"]) == ("output", "p", "v2", True)
    assert first["what"].startswith("mean ")
    assert "sd)" in first["what"]
    assert START + 60.0 <= first["since"] < START + 110.0
    assert first["e_value"] > first["needed"] > 20.0
    assert first["psi"] > 0.1 > first["psi_by_chance"] / 5.0
    assert 0.5 < first["ks"] <= 1.0
    assert first["wasserstein"] == pytest.approx(2.0, abs=0.5)
    assert not any(field["changed"] or field["what"] for field in told["fields"][1:])
    json.dumps(told, allow_nan=False)


def test_a_wide_record_is_bounded_and_says_so() -> None:
    told = record(null=True, wide=45)
    assert len(told["fields"]) == MOST_FIELDS
    assert told["left_out"] == 2 + 45 + 2 - MOST_FIELDS
    assert told["fields"][0]["field"] == FIELD
    assert "more fields are as in the reference, or not measured" in str(drift_part(told))


def test_terminal_and_page_say_what_the_record_says() -> None:
    told = record(null=True)
    shown = drawn(told)
    assert f"The feed is broken: {FIELD} is missing in" in shown
    assert f"{FIELD} (all arms): missing 0 % →" in shown
    page = rollout_page(whole(told), {"steps": [], "looks": [], "end": NOW}, NOW)
    assert FIELD not in page
    assert "The feed is broken: &lt;script&gt;" in page
    assert page.index(">Drift<") < page.index(">Arms<")


def test_all_is_well_is_said_without_a_green_light() -> None:
    told = record()
    assert told["sentence"] == "No drift found: 4 fields are as in the reference."
    assert "◆ No drift found" in drawn(told)
    assert "as in the reference" in str(drift_part(told))


def test_silence_is_told_as_that() -> None:
    told = drift_unread(DRIFT, "nothing came")
    assert told["sentence"] == "Drift is not measured: nothing came."
    assert "? Drift is not measured" in drawn(told)
    assert "? Drift is not measured" in str(drift_part(told))


def test_nothing_is_shown_where_nobody_asked() -> None:
    assert drift_part(None) is None
    assert "drift" not in drawn(None).lower()
    assert whole(None)["drift"] is None


def test_what_it_was_compared_with_is_said() -> None:
    assert about(record()) == (
        "5 % of requests are counted, the first 1 min of each arm are the reference. All fields together call a change "
        "where there is none with at most 5 %."
    )


def test_a_persons_move_does_not_wipe_it_out() -> None:
    position, entries = ledger_of()
    told = record(shift=2.0)
    saved = {**whole(told), "phase": "running", "step": 0}
    assert refreshed(saved, ROLLOUT, position, entries, now=NOW)["drift"] == told
