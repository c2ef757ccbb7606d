"""A data folder with a rollout in it, and a way to run the command line as a process would."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from crossfade.cli.main import main
from crossfade.rim.store import Store
from crossfade.view import view
from view.sample import DECISION, INPUTS, MOVES, NOW, ROLLOUT, SPEC, START, evidence


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


Crossfade = Callable[..., Ran]


@pytest.fixture
def crossfade(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Crossfade:
    """Runs `crossfade …`."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    os.environ.pop("CROSSFADE_DATA", None)

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, said.out, said.err)

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The rollout of the sample, in its canary, with a view that a controller saved."""
    folder = tmp_path / "data"
    store = Store(folder)
    store.add(SPEC, ROLLOUT, START)
    for move, after, rule, sentence in MOVES:
        actor = "ana" if rule == "manual" else "rule"
        lines = [line.to_json() for line in evidence()] if move is not MOVES[0][0] else []
        store.act(
            ROLLOUT.name, move, actor=actor, rule=rule, sentence=sentence, evidence=lines, at=START + after, facts=None
        )
    stored = store.get(ROLLOUT.name)
    entries = store.entries(ROLLOUT.name)
    record = view(ROLLOUT, stored.position, evidence(), DECISION, entries, now=NOW, **INPUTS)
    store.save_view(ROLLOUT.name, record)
    store.close()
    return folder
