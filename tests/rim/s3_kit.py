"""A real S3 server in a process of its own, for as long as a test needs it."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

NO_S3 = importlib.util.find_spec("moto") is None
WITHOUT = "moto is missing: no S3 server to test with"


@contextmanager
def s3(host: str = "127.0.0.1", inside: Sequence[str] = ()) -> Iterator[str]:
    """A server; gives its URL. `inside`: what its command begins with, so that it runs on another host."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*inside, sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://{host}:{port}"
    try:
        deadline = time.monotonic() + 60.0
        while True:
            try:
                urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5.0).read()
                break
            except OSError:
                assert time.monotonic() < deadline, "the S3 server did not come up"
                time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def environment(url: str) -> dict[str, str]:
    """What whoever uses the server has to have in the environment."""
    keys = {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anything", "AWS_REGION": "us-east-1"}
    return {**keys, "AWS_ENDPOINT_URL": url, "AWS_ALLOW_HTTP": "true"}


def made(url: str, name: str) -> str:
    """A bucket for what has that name: its URL."""
    bucket = f"facts-{name[-20:].strip('_').replace('_', '-').lower()}"
    urllib.request.urlopen(urllib.request.Request(f"{url}/{bucket}", method="PUT"), timeout=10.0).read()
    return f"s3://{bucket}"
