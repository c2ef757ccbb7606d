"""The supervisor's pieces that need no process of a rollout: where it listens, and how many files it may open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crossfade.rim.options import PLAIN
from crossfade.rim.supervisor import ServeError, Supervisor, listen
from crossfade.spec.template import template

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
        control = listen(host, 0, "control port", "--control-port")
    except ServeError as error:
        pytest.skip(f"this machine cannot listen there: {error}")
    with control:
        running = Supervisor(tmp_path, None, control)
        assert running.control_url == f"http://{reached}:{running.control_port}"
        assert running.data_url is None


def test_as_many_files_as_allowed_are_asked_for() -> None:
    subprocess.run([sys.executable, "-c", LIMITED], check=True, timeout=60)


SCARCE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
from crossfade.cli.main import main
main(["serve", sys.argv[1], "--data", sys.argv[2], "--port", "0", "--control-port", "0", "--json"])
"""


def test_connections_that_the_machine_cannot_give_are_not_promised(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(template())
    command = [sys.executable, "-c", SCARCE, str(spec), str(tmp_path / "data")]
    with (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err)
        try:
            assert process.stdout is not None
            assert b'"data"' in process.stdout.readline()
        finally:
            process.terminate()
            process.communicate(timeout=30)
    said = (tmp_path / "err").read_text()
    assert "--max-connections 10000 is lowered to 372 a worker: only 1000 files may be open" in said
    assert "ulimit -n" in said


def test_limits_are_lowered_only_where_they_cannot_be_kept() -> None:
    assert PLAIN.within(65_536) == (PLAIN, "")
    assert PLAIN.within(-1) == (PLAIN, ""), "no limit at all"
    few, told = PLAIN.within(100)
    assert few.limits.connections == 1
    assert few.limits.in_flight == PLAIN.limits.in_flight
    assert "lowered to 1 a worker" in told
