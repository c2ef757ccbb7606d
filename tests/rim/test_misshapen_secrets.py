"""Secrets that are not as they should be, which is when libraries quote them: nothing of them is said again."""

from __future__ import annotations

import http.server
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crossfade.client.outcomes import OutcomeClient
from crossfade.rim import channels, registry
from crossfade.rim.drivers.asking import ask
from crossfade.rim.drivers.cluster import Cluster
from crossfade.rim.drivers.port import DriverError
from crossfade.rim.notices import of_test
from crossfade.rim.store_address import VARIABLE, server
from crossfade.spec.model import Channel, Notify, Registry

PLANTED = "pLaNtEd"
NOTICE = of_test("r", 1.0)


def said(what: Callable[[], Any]) -> str:
    """All that is said of a failure, by whoever prints it in full."""
    with pytest.raises(Exception) as failed:
        what()
    return "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize("token", [f"two\n{PLANTED}", f"{PLANTED}\x00", f"{PLANTED}\r\nx: y"])
def test_tokens(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", token.replace("\0", "\1"))
    held = Registry(mlflow="http://127.0.0.1:9", model="m", alias="a", versions=(), token="env:TOKEN")
    cluster = Cluster(server="http://127.0.0.1:9", namespace="n", token=lambda: token, tls=None)
    for told in (
        said(lambda: registry.current(held)),
        said(lambda: cluster.read("/x", "the route")),
        said(lambda: OutcomeClient("http://127.0.0.1:9", token=token)),
    ):
        assert PLANTED not in told


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:9/a b/{PLANTED}",
        f"http://127.0.0.1:9/a\x01{PLANTED}",
        f"http://127.0.0.1:{PLANTED}/",
        f"http://[{PLANTED}/",
        f"http://127.0.0.1:9/é{PLANTED}",
        f"{PLANTED}://127.0.0.1",
    ],
)
def test_addresses_of_notices(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL", url)
    slack = Notify(channel=Channel.SLACK, url="env:URL")
    with pytest.raises(channels.Undelivered):
        channels.deliver(slack, NOTICE, now=1.0)
    assert PLANTED not in said(lambda: channels.deliver(slack, NOTICE, now=1.0))


def test_keys_of_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", f"whsec_{PLANTED}!")
    hook = Notify(channel=Channel.WEBHOOK, url="http://127.0.0.1:9/", key="env:KEY")
    with pytest.raises(channels.Undelivered):
        channels.deliver(hook, NOTICE, now=1.0)
    assert PLANTED not in said(lambda: channels.deliver(hook, NOTICE, now=1.0))


@pytest.mark.parametrize(
    "password", [f"{PLANTED}%zz", f"{PLANTED} x", f"{PLANTED}%", f"x\t{PLANTED}", f"/{PLANTED}", f"1/{PLANTED}"]
)
def test_passwords_of_the_store(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"postgresql://u:{password}@127.0.0.1:9/db")
    told = said(server)
    assert PLANTED not in told
    assert VARIABLE in told


def test_an_address_with_a_name_in_it(tmp_path: Path) -> None:
    with OutcomeClient(f"http://me:{PLANTED}@127.0.0.1:9", longest_wait=0.1) as client:
        client.record("a", rollout="r", unit="u")
        assert not client.flush(0.5)
        assert "127.0.0.1:9" in client.delivered.failure
        assert PLANTED not in client.delivered.failure
        client.close(0.0)


@contextmanager
def answering(status: int, body: bytes = b"", **headers: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that answers everything alike, and what it was sent."""
    got: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.append(dict(self.headers.items()))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", got
        listening.shutdown()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_followed_elsewhere_with_a_token(status: int) -> None:
    with answering(200, b"{}") as (third, got), answering(status, location=f"{third}/x") as (here, asked):
        cluster = Cluster(server=here, namespace="n", token=lambda: PLANTED, tls=None)
        with pytest.raises(DriverError):
            cluster.read("/x", "the route")
        with pytest.raises(DriverError):
            ask(f"{here}/clusters", "Envoy")
        assert len(asked) == 2
        assert got == []


def test_what_a_receiver_answers_is_one_line_that_can_be_shown() -> None:
    forged = b"no\n2026-11-24 ERROR \x1b[31mforged\x07" + b"x" * 1000
    with answering(500, forged) as (url, _), pytest.raises(channels.Undelivered) as failed:
        channels.deliver(Notify(channel=Channel.SLACK, url=url), NOTICE, now=1.0)
    assert str(failed.value).isprintable()
    assert len(str(failed.value)) < 300
