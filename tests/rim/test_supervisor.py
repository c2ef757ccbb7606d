"""The supervisor's pieces that need no process of a rollout: where it listens, and how many files it may open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crossfade.rim.supervisor import ServeError, Supervisor, listen

LIMITED = """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
from crossfade.rim.supervisor import MOST_FILES, more_files
more_files()
soft, now = resource.getrlimit(resource.RLIMIT_NOFILE)
assert now == hard
assert soft == (MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)), soft
"""


@pytest.mark.parametrize(
    ("host", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")]
)
def test_a_port_is_reached_where_it_listens(tmp_path: Path, host: str, reached: str) -> None:
    try:
        control = listen(host, 0, "control port")
    except ServeError as error:
        pytest.skip(f"this machine cannot listen there: {error}")
    with control:
        running = Supervisor(tmp_path, None, control)
        assert running.control_url == f"http://{reached}:{running.control_port}"
        assert running.data_url is None


def test_as_many_files_as_allowed_are_asked_for() -> None:
    subprocess.run([sys.executable, "-c", LIMITED], check=True, timeout=60)
