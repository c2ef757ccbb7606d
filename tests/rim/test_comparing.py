"""Large pairs compared by another process, which may die and must not outlive its gateway."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from crossfade.live.exchange.messages import Answer, Compare, Head
from crossfade.live.exchange.mirrored import compared
from crossfade.rim.comparing import Comparing

PLAIN = Head(200, b"OK", ((b"Content-Type", b"application/json"),))


def pair(first: bytes, second: bytes) -> Compare:
    return Compare(
        rollout="r",
        revision="rev",
        decision_id="d",
        at=1.0,
        unit="u",
        stage=0,
        segments=(),
        protocol="json",
        arm="v2",
        champion=Answer(PLAIN, first, "", 1.0),
        challenger=Answer(PLAIN, second, "", 2.0),
        noise=None,
    )


PAIR = pair(b'{"score": 0.25}', b'{"score": 0.75}')


def child(comparing: Comparing) -> int:
    assert comparing._process is not None
    (pid,) = comparing._process._processes
    return pid


def test_it_says_what_comparing_here_would_say() -> None:
    comparing = Comparing()
    assert comparing.submit(PAIR).result(30) == compared(PAIR)
    pid = child(comparing)
    assert pid != os.getpid()
    comparing.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_is_killed_costs_what_it_was_at_and_nothing_after() -> None:
    comparing = Comparing()
    comparing.submit(PAIR).result(30)
    first = child(comparing)
    os.kill(first, signal.SIGKILL)
    until = time.monotonic() + 10
    while True:
        try:
            assert comparing.submit(PAIR).result(30) == compared(PAIR)
        except BrokenProcessPool:
            assert time.monotonic() < until
            continue
        if child(comparing) != first:
            break
    comparing.close()


def test_it_does_not_outlive_a_gateway_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "gateway.py"
    script.write_text(
        "import time\n"
        "from rim.test_comparing import PAIR, Comparing, child\n"
        "if __name__ == '__main__':\n"
        "    comparing = Comparing()\n"
        "    comparing.submit(PAIR).result(30)\n"
        "    print(child(comparing), flush=True)\n"
        "    time.sleep(60)\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=env) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:
        assert time.monotonic() < until, "the comparing process is still there"
        time.sleep(0.02)
