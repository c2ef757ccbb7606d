"""`crossfade demo` from the outside: refusals in a sentence, and no trace of it after Ctrl-C, SIGTERM or a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.rim.extras import install

DEMO = [sys.executable, "-m", "crossfade.cli.main", "demo"]


def _mentioning(text: str) -> list[str]:
    """Command lines of live processes that mention `text`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if text in command and state != "Z":
            found.append(command)
    return found


def _gone(text: str, within: float) -> bool:
    deadline = time.monotonic() + within
    while _mentioning(text):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--scenario", "goood"], "choose from: good, bad, ranking"),
        (["--seed", "-5"], "--seed"),
        (["--seed", "4294967296"], "--seed"),
        (["--fault", "fire"], "choose from: none, errors, slow, nan, wrong-shape, crash"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: list[str], says: str) -> None:
    done = subprocess.run([*DEMO, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_without_scikit_learn_it_says_how_to_install_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['sklearn'] = None; from crossfade.cli.main import main; main(['demo'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"{install('demo')}; or, in a clone of Crossfade, make demo" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_in_use_is_not_run_into(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"")
    done = subprocess.run(
        [*DEMO, "--scenario", "bad", "--data", str(tmp_path), "--json"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "already holds rollouts" in json.loads(done.stdout)["error"]
    assert (tmp_path / "state.db").read_bytes() == b""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [*DEMO, "--scenario", "good", "--data", str(tmp_path / "d"), "--rate", "40"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "d" / "demo" / "tally.json").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.parametrize("signum", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.full)])
def test_an_interrupted_demo_leaves_no_process_and_no_half_written_file(
    signum: signal.Signals, running: subprocess.Popen[str], tmp_path: Path
) -> None:
    data = tmp_path / "d"
    assert len(_mentioning(str(data))) >= 6
    running.send_signal(signum)
    running.send_signal(signum)  # an impatient second one must not cut the tidying short
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in out
    assert not _mentioning(str(data))
    json.loads((data / "demo" / "tally.json").read_text())
    assert not list(data.rglob("*.tmp"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans are ended by the kernel on Linux only")
def test_children_of_a_killed_demo_end_by_themselves(running: subprocess.Popen[str], tmp_path: Path) -> None:
    running.kill()
    running.wait()
    assert _gone(str(tmp_path / "d"), within=25.0), _mentioning(str(tmp_path / "d"))
