"""Hosts of a network on one machine: each is a network namespace of its own on a bridge, with its own processes.

What is cut is cut silently and in both directions, as by a broken switch: packets leave for an address that nobody has.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

IP = shutil.which("ip")
NOWHERE = "02:00:00:00:00:fe"
"""The address of no host."""


def missing() -> str:
    """Why there can be no namespaces here; empty where there can."""
    if IP is None or shutil.which("unshare") is None:
        return "IPROUTE2 IS NOT INSTALLED: no hosts apart are tested. As root (Debian): apt-get install iproute2"
    if os.getuid():
        return "NOT ROOT: network namespaces are root's to make, so no hosts apart are tested"
    name = f"cfprobe{os.getpid()}"
    made = subprocess.run([IP, "netns", "add", name], check=False, capture_output=True, text=True)
    if made.returncode:
        return f"NO NETWORK NAMESPACES HERE: no hosts apart are tested ({made.stderr.strip()})"
    subprocess.run([IP, "netns", "del", name], check=True)
    return ""


class Network:
    """A bridge with hosts."""

    def __init__(self, number: int) -> None:
        """`number`: the third byte of the network's addresses."""
        self._prefix, self.net = f"cf{number}", f"10.213.{number}"
        self._bridge = f"{self._prefix}br"
        self._hosts: dict[str, int] = {}

    def make(self) -> None:
        """Put up the bridge; this machine is a host of it, too."""
        _ip("link", "add", self._bridge, "type", "bridge", "forward_delay", "0")
        _ip("addr", "add", f"{self.net}.1/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")

    def host(self, name: str) -> str:
        """One more host: its address."""
        number = len(self._hosts) + 2
        self._hosts[name] = number
        where, cable = self.namespace(name), f"{self._prefix}v{number}"
        _ip("netns", "add", where)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", where)
        _ip("link", "set", cable, "master", self._bridge, "up")
        _ip("-n", where, "link", "set", "lo", "up")
        _ip("-n", where, "addr", "add", f"{self.net}.{number}/24", "dev", "eth0")
        _ip("-n", where, "link", "set", "eth0", "up")
        return self.address(name)

    def address(self, name: str) -> str:
        """Where the others reach a host."""
        return f"{self.net}.{self._hosts[name]}"

    def namespace(self, name: str) -> str:
        """The name of a host's network namespace."""
        return f"{self._prefix}{name}"

    def inside(self, name: str) -> list[str]:
        """What a command on a host begins with: its network, process numbers and name are the host's own."""
        own = ["unshare", "--pid", "--fork", "--mount-proc", "--uts", "--kill-child"]
        return [*self.network(name), *own, "sh", "-c", f'hostname {name}; exec "$@"', name]

    def network(self, name: str) -> list[str]:
        """As `inside`, but only the network is the host's."""
        assert IP is not None
        return [IP, "netns", "exec", self.namespace(name)]

    def cut(self, one: str, *others: str) -> None:
        """Let nothing go between a host and others, nor come back."""
        for other in others:
            for here, there in ((one, other), (other, one)):
                self._neighbour(here, "replace", self.address(there), "lladdr", NOWHERE, "nud", "permanent")

    def heal(self, one: str, *others: str) -> None:
        """Let them talk again."""
        for other in others:
            for here, there in ((one, other), (other, one)):
                self._neighbour(here, "del", self.address(there))

    def remove(self) -> None:
        """Leave nothing of it."""
        for name in self._hosts:
            subprocess.run([str(IP), "netns", "del", self.namespace(name)], check=False, capture_output=True)
        subprocess.run([str(IP), "link", "del", self._bridge], check=False, capture_output=True)

    def _neighbour(self, where: str, *what: str) -> None:
        _ip("-n", self.namespace(where), "neigh", *what, "dev", "eth0")


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network that is gone afterwards."""
    for number in range(os.getpid() % 200, 255):
        made = Network(number)
        try:
            made.make()
        except subprocess.CalledProcessError:
            made.remove()
            continue
        try:
            yield made
        finally:
            made.remove()
        return
    raise AssertionError("no network could be made")


def first(pid: int) -> int:
    """The first process of the host that a process has put up, or that process itself where it has put up none."""
    ours = os.readlink("/proc/self/ns/pid")
    for child in _children(pid):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{child}/ns/pid") != ours:
                return child
    return pid


def processes(first: int) -> dict[int, int]:
    """The processes of the host that begins with one: their numbers there, and here."""
    found: dict[int, int] = {}
    there = os.readlink(f"/proc/{first}/ns/pid")
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            numbers = re.search(r"^NSpid:\t(.*)$", status.read_text(), re.MULTILINE)
            if numbers and os.readlink(status.with_name("ns") / "pid") == there:
                here = numbers[1].split()
                found[int(here[-1])] = int(here[0])
    return found


def stopped(of: int, number: signal.Signals) -> None:
    """Signal every process below another one, itself too."""
    for pid in (of, *_below(of)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _below(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _below(child)


def _children(pid: int) -> Sequence[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _ip(*arguments: str) -> None:
    subprocess.run([str(IP), *arguments], check=True, capture_output=True)
