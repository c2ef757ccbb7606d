"""`crossfade reload`: a changed spec is a new revision, a bad one changes nothing."""

from __future__ import annotations

from pathlib import Path

from crossfade.rim.store import Store
from view.sample import SPEC

from .conftest import Crossfade


def test_a_changed_spec_is_a_new_revision_and_the_position_stays(
    crossfade: Crossfade, data: Path, tmp_path: Path
) -> None:
    store = Store(data)
    (before,) = store.rollouts()
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    same = crossfade("reload", str(spec), "--data", str(data))
    assert (same.code, "as it was" in same.out) == (0, True)
    spec.write_text(SPEC.replace("hold_for: 10m", "hold_for: 20m"))
    changed = crossfade("reload", str(spec), "--data", str(data))
    (after,) = store.rollouts()
    assert (changed.code, changed.err) == (0, "")
    assert f"{after.revision} in place of {before.revision}" in changed.out
    assert after.position == before.position
    assert store.entries(after.name)[-1].kind == "spec"


def test_a_spec_with_mistakes_lists_them_and_changes_nothing(crossfade: Crossfade, data: Path, tmp_path: Path) -> None:
    store = Store(data)
    (before,) = store.rollouts()
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.replace("alpha: 5%", "alpa: 5%"))
    ran = crossfade("reload", str(spec), "--data", str(data))
    assert ran.code == 1
    assert "alpa" in ran.err
    assert "nothing was changed" in ran.err
    assert store.rollouts() == [before]


def test_a_change_that_would_move_units_is_refused(crossfade: Crossfade, data: Path, tmp_path: Path) -> None:
    store = Store(data)
    (before,) = store.rollouts()
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC + "\nsalt: another\n")
    ran = crossfade("reload", str(spec), "--data", str(data))
    assert ran.code == 1
    assert "units would change sides" in ran.err
    assert store.rollouts() == [before]


def test_reloading_into_a_folder_without_rollouts(crossfade: Crossfade, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    ran = crossfade("reload", str(spec), "--data", str(tmp_path / "nothing"))
    assert ran.code == 2
    assert "crossfade serve SPEC" in ran.err
