"""The how-to's library example and its command run as they are printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossfade.cli.main import main

TEXT = (Path(__file__).parents[3] / "docs" / "how-to" / "analyze.md").read_text()


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(1)
    n = 1500
    exposures = pd.DataFrame({"unit": np.arange(n).astype(str), "arm": rng.choice(["control", "new"], n), "at": 1000.0})
    exposures["at"] += 60.0 * np.arange(n)
    values = {
        "purchase": (rng.random(n) < 0.1) * 1.0,
        "revenue": rng.normal(20, 4, n),
        "views": rng.poisson(5, n) + 1.0,
        "clicks": rng.poisson(1, n) * 1.0,
        "wait": rng.lognormal(0, 1, n),
    }
    parts = [
        exposures[["unit"]].assign(name=name, value=value, at=exposures["at"] + 1.0) for name, value in values.items()
    ]
    return exposures, pd.concat(parts)


def test_the_library_example(capsys: pytest.CaptureFixture[str]):
    exposures, outcomes = tables()
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    exec(code, {"exposures": exposures, "outcomes": outcomes})
    assert capsys.readouterr().out.startswith("purchase new ")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    exposures, outcomes = tables()
    exposures.to_parquet(tmp_path / "exposures.parquet")
    outcomes.to_parquet(tmp_path / "outcomes.parquet")
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"```\n(crossfade analyze.*?)```", TEXT, flags=re.DOTALL)
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(command.replace("\\\n", " "))[1:])
    said = capsys.readouterr().out
    assert ended.value.code in (None, 0)
    for name in ("purchase", "revenue", "clicks/views", "wait"):
        assert name in said
    assert "unmeasured" not in said
