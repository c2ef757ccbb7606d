"""The API keeps to its own OpenAPI document whatever is sent: a real control port under schemathesis."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TOKEN

# Two answers that are meant: readiness is told by 503, and wrong outcomes are listed and cost only themselves.
CONFIG = """
[[operations]]
include-path = "/readyz"
checks.not_a_server_error.enabled = false

[[operations]]
include-path = "/api/v1/outcomes"
checks.negative_data_rejection.enabled = false
"""


@pytest.mark.parametrize(
    ("phases", "most", "only"),
    [
        # One of each kind: what is asked with GET takes a name and little else, and moves are alike.
        ("coverage", 1, ["--include-path-regex", "/(outcomes|hold|mute|exclude|approve)$"]),
        pytest.param("examples,coverage,fuzzing,stateful", 100, [], marks=pytest.mark.full),
    ],
)
def test_no_request_makes_the_api_break_its_word(
    running: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, phases: str, most: int, only: list[str]
) -> None:
    url, process = running
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--phases", phases, "--max-examples", str(most)]
    command += ["--no-color", "--seed", "7", "--generation-database", "none", "--request-timeout", "60"]
    command += only
    hooks = {
        "SCHEMATHESIS_HOOKS": "schema_hooks",
        "PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}",
    }
    done = subprocess.run(
        command, env={**os.environ, **hooks}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{5 if only else 30} selected / 30 total" in done.stdout
    assert process.poll() is None
