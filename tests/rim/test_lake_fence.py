"""Controllers of several hosts at one lake: each fact is in the tables once, and who was deposed writes no more."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.rim import inbox, reported
from crossfade.rim.holder import myself
from crossfade.rim.inbox import OutcomeInbox, RepeatCounts, Repeats
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.lake_fence import NAME, Fence
from crossfade.rim.lake_place import Place, settle
from crossfade.rim.receiving import Received
from crossfade.rim.shipping import Shipper
from crossfade.rim.store import Store
from crossfade.rim.store_leader import Deposed

from .facts_made import exposed, outcome
from .s3_kit import NO_S3, WITHOUT, environment, made, s3

pytestmark = pytest.mark.skipif(NO_S3, reason=WITHOUT)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3() as url:
        yield url


@pytest.fixture
def hosts(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Data folders of four hosts that share a lake: two have gateways or control ports, two controllers."""
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    bucket = made(server, tmp_path.name)
    folders = [tmp_path / name for name in ("g0", "g1", "c0", "c1")]
    for folder in folders:
        settle(folder, f"{bucket}/crossfade")
    return folders


class Leading:
    """What a controller that leads does with facts."""

    def __init__(self, data: Path, store: Store) -> None:
        term = store.leaders.take(store.leaders.present(), myself())
        assert term is not None
        self.received = Received(data)
        self.lake = Lake(data, Fence(term, lambda: store.leaders.check(term)))

    def turn(self) -> None:
        self.received.turn()
        self.lake.compact_journals()
        self.received.done(self.lake.moved)

    def close(self) -> None:
        self.received.close()
        self.lake.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "state")
    yield store
    store.close()


def repeats(data: Path) -> Repeats:
    counts = RepeatCounts(inbox.path(data), reported.path(data))
    found = counts.of("r1", ["purchase"])
    counts.close()
    return found


def told(data: Path, kind: str = "exposed", column: str = "decision_id") -> list[str]:
    lake = Lake(data)
    found = lake.table(kind)[column].to_pylist()
    lake.close()
    return sorted(found)


CONTROLLER = """
import sys
from pathlib import Path
from crossfade.rim.lake import LakeError
from crossfade.rim.store import Store
from crossfade.rim.store_leader import Deposed
sys.path.insert(0, sys.argv[3])
from rim.test_lake_fence import Leading
store = Store(Path(sys.argv[2]))
for _ in sys.stdin:
    leading = Leading(Path(sys.argv[1]), store)
    print("leads", flush=True)
    while True:
        try:
            leading.turn()
        except Deposed:
            break
        except LakeError as error:
            print(error, file=sys.stderr, flush=True)
    leading.close()
    print("deposed", flush=True)
"""


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.full)])
def test_of_two_that_believe_to_lead_one_writes(hosts: list[Path], store: Store, tmp_path: Path, rounds: int) -> None:
    """One stops anywhere, for as long as another takes to lead and to write; then it goes on where it was."""
    rng = random.Random(rounds)
    gateway, *_ = hosts
    journal, shipper, count = Journal(gateway, "h-gateway-0"), Shipper(gateway), 0
    command = [sys.executable, "-c", CONTROLLER]
    tests = str(Path(__file__).parents[1])
    both = [
        subprocess.Popen(
            [*command, str(data), str(tmp_path / "state"), tests],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(tmp_path / f"{data.name}.err").open("w"),
            text=True,
        )
        for data in hosts[2:]
    ]
    try:
        lead(both[0])
        for round_ in range(rounds):
            stopped, other = both[round_ % 2], both[1 - round_ % 2]
            began, pause = time.monotonic(), rng.uniform(0.02, 0.12)
            while time.monotonic() - began < pause:
                journal.append([exposed(count), outcome(f"o{count}", decision_id=f"d{count}")])
                count += 1
                shipper.turn()
            stopped.send_signal(signal.SIGSTOP)
            lead(other)
            settled(hosts[3])
            stopped.send_signal(signal.SIGCONT)
            assert stopped.stdout is not None
            journal.append([exposed(count), outcome(f"o{count}", decision_id=f"d{count}")])
            count += 1
            shipper.turn()
            assert stopped.stdout.readline() == "deposed\n"
        settled(hosts[3])
    finally:
        for process in both:
            process.kill()
            process.wait()
    assert told(hosts[3]) == sorted(f"d{n}" for n in range(count))
    assert told(hosts[3], "outcome", "outcome_id") == sorted(f"o{n}" for n in range(count))
    for kind in ("exposed", "outcome"):
        terms = led(hosts[3], kind)
        assert terms == sorted(terms), "nobody writes who was deposed"
        assert {*range(2, rounds + 2)} <= {*terms} <= {*range(1, rounds + 2)}


def lead(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("lead\n")
    process.stdin.flush()
    assert process.stdout.readline() == "leads\n"


def settled(data: Path) -> None:
    """Everything that was sent is in the tables."""
    deadline = time.monotonic() + 60.0
    while Place(data).names("journals"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def led(data: Path, kind: str) -> list[int]:
    """In whose leadership each version of a table was written."""
    place, found = Place(data), []
    for name in place.names(f"{kind}/_delta_log"):
        if name.endswith(".json"):
            actions = [json.loads(line) for line in place.read(f"{kind}/_delta_log", name).splitlines()]
            found += [one["txn"]["version"] for one in actions if one.get("txn", {}).get("appId") == NAME]
    return found


def test_who_was_deposed_does_not_tidy_either(hosts: list[Path], store: Store) -> None:
    Journal(hosts[0], "h-gateway-0").append([exposed(1)])
    Shipper(hosts[0]).turn()
    one = Leading(hosts[2], store)
    one.turn()
    other = Leading(hosts[3], store)
    other.turn()
    for act in (
        one.lake.optimize,
        lambda: one.lake.retire(1e12, {}),
        lambda: one.lake.vacuum(keep_hours=0),
        lambda: one.lake.alone().__enter__(),
    ):
        with pytest.raises(Deposed):
            act()
    assert other.lake.retire(exposed(1).at + 1.0, {}) == {"exposed": 1}
    one.close()
    other.close()


def test_a_store_put_back_from_a_copy_counts_anew(hosts: list[Path], store: Store, tmp_path: Path) -> None:
    """The leaderships of the store are lower than what the tables were told; who leads by the store writes."""
    for n in range(3):
        Journal(hosts[0], "h-gateway-0").append([exposed(n)])
        Shipper(hosts[0]).turn()
        late = Leading(hosts[2], store)
        late.turn()
        late.close()
    anew = Store(tmp_path / "copy")
    leads = Leading(hosts[3], anew)
    Journal(hosts[0], "h-gateway-0").append([exposed(3)])
    Shipper(hosts[0]).turn()
    leads.turn()
    leads.close()
    anew.close()
    assert told(hosts[3]) == [f"d{n}" for n in range(4)]


def test_an_outcome_told_to_two_control_ports_counts_once(hosts: list[Path], store: Store) -> None:
    ports = [OutcomeInbox(hosts[0]), OutcomeInbox(hosts[1])]
    first = Leading(hosts[2], store)
    for n, port in enumerate(ports):
        port.accept([outcome("both"), outcome(f"own{n}")])
        Shipper(hosts[n]).turn()
        first.turn()
    second = Leading(hosts[3], store)
    ports[1].accept([outcome("late")])
    Shipper(hosts[1]).turn()
    second.turn()
    # The other one sends what it was told before, and the leader is one that has not seen it.
    ports[0].accept([outcome("late"), outcome("own1", value=9.0), outcome("new")])
    Shipper(hosts[0]).turn()
    second.turn()
    assert told(hosts[3], "outcome", "outcome_id") == ["both", "late", "new", "own0", "own1"]
    assert repeats(hosts[2]) == Repeats(duplicates=1)
    assert repeats(hosts[3]) == Repeats(duplicates=1, contradictions=1)
    for one in (first, second):
        one.close()


def test_at_one_moment_too_it_counts_once_and_the_list_can_be_lost(hosts: list[Path], store: Store) -> None:
    for n in range(2):
        OutcomeInbox(hosts[n]).accept([outcome("both")])
        Shipper(hosts[n]).turn()
    leads = Leading(hosts[2], store)
    leads.turn()
    leads.close()
    for file in (hosts[2] / "lake").glob("reported*"):
        if file.is_file():
            file.unlink()
    third = hosts[0].with_name("g9")
    settle(third, (hosts[0] / "lake" / "location").read_text().strip())
    OutcomeInbox(third).accept([outcome("both")])
    Shipper(third).turn()
    again = Leading(hosts[2], store)
    again.turn()
    again.close()
    assert told(hosts[2], "outcome", "outcome_id") == ["both"]
