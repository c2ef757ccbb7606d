"""Who is told of what: real HTTP and mail servers, ones that fail, and a teller that dies."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller as MailServer
from aiosmtpd.smtp import AuthResult, LoginPassword

from crossfade.rim import outbox, teller
from crossfade.rim.channels import Undelivered, deliver, signed
from crossfade.rim.notices import of_test
from crossfade.rim.standing import standing
from crossfade.rim.store import Store
from crossfade.rim.teller import Teller
from crossfade.spec.parse import SpecProblems, parse
from crossfade.state import Move
from view.sample import SPEC, START

from .recorded import NAME, make
from .test_approving import TWO as SPEC_TWO
from .test_approving import give

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "notify.md"
KEY = "a key of many characters that is long"


class Endpoint:
    """An HTTP server that keeps what it gets and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.wait = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                time.sleep(outer.wait)
                status = outer.answers.pop(0) if outer.answers else 200
                if status == 200:
                    outer.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"busy" if status != 200 else b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Mails:
    """What a mail server got."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.got.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 taken"


@pytest.fixture
def mail() -> Iterator[tuple[str, Mails]]:
    mails = Mails()

    def known(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"crossfade", b"pass word")
        return AuthResult(success=right)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = MailServer(
        mails, hostname="127.0.0.1", port=port, authenticator=known, auth_require_tls=False, ready_timeout=60.0
    )
    server.start()
    yield f"smtp://127.0.0.1:{port}", mails
    server.stop(no_assert=True)


def spec(*notify: str) -> str:
    return SPEC + "notify:\n" + "".join(f"  - {one}\n" for one in notify)


def store_with(data: Path, text: str) -> Store:
    store = Store(data)
    store.add(text, parse(text), START)
    return store


def move(store: Store, name: str, what: Move, at: float) -> None:
    store.act(name, what, actor="ana", rule="manual", sentence=f"{what} by ana: so.", at=at)


def until(what: Callable[[], Any], teller_: Teller | None = None, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        if teller_ is not None:
            teller_.turn()
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def secrets_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_KEY", KEY)
    monkeypatch.setenv("MAIL_PASSWORD", "pass word")


def test_a_move_reaches_webhook_channel_and_people_in_the_pages_words(
    tmp_path: Path, endpoint: Endpoint, mail: tuple[str, Mails], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_URL", endpoint.url.replace("/hook", "/slack"))
    server, mails = mail
    text = spec(
        f"webhook: {{url: '{endpoint.url}', key: env:HOOK_KEY}}",
        "slack: {url: env:SLACK_URL}",
        f"email: {{server: '{server}', from: x@example.org, to: [ana@example.org, ben@example.org], "
        "user: crossfade, password: env:MAIL_PASSWORD}",
    )
    store = store_with(tmp_path, text)
    name = parse(text).name
    move(store, name, Move.START, START + 1.0)
    tell = Teller(tmp_path)
    until(lambda: len(endpoint.got) == 2 and mails.got, tell)
    entry = store.entries(name)[-1]
    ((_, headers, body),) = [got for got in endpoint.got if got[0] == "/hook"]
    event = json.loads(body)
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert (event["specversion"], event["type"]) == ("1.0", "dev.crossfade.rollout.start")
    assert (event["data"]["sentence"], event["data"]["n"]) == (entry.sentence, entry.n)
    genuine = receiver()
    seen: set[str] = set()
    assert genuine(headers, body, KEY, seen)
    assert not genuine(headers, body, KEY, seen), "sent again by somebody else it is refused"
    assert not genuine(headers, body + b" ", KEY, set())
    assert not genuine(headers, body, KEY + "x", set())
    assert not genuine({**headers, "webhook-timestamp": "1700000000"}, body, KEY, set())
    ((_, _, slack),) = [got for got in endpoint.got if got[0] == "/slack"]
    assert json.loads(slack) == {"text": f"*{name}*: {entry.sentence}"}
    ((to, message),) = mails.got
    assert to == ["ana@example.org", "ben@example.org"]
    assert message["Subject"] == f"[crossfade] {name}: running"
    assert entry.sentence in message.get_payload()
    assert message["Message-ID"] == f"<{event['id']}@crossfade>"
    until(lambda: all(one["waiting"] == 0 for one in standing(store, name, START)["notices"]))
    tell.turn()
    assert len(endpoint.got) == 2, "once"
    tell.close()


def receiver() -> Callable[..., bool]:
    """The receiver of the page."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    return names["genuine"]  # type: ignore[no-any-return]


def test_what_does_not_get_through_is_tried_again_in_order_and_told(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = spec(f"slack: {{url: '{endpoint.url}'}}")
    store, name = store_with(tmp_path, text), parse(text).name
    now = START + 10.0
    endpoint.answers = [503, 500]
    move(store, name, Move.START, START + 1.0)
    move(store, name, Move.HOLD, START + 2.0)
    tell = Teller(tmp_path, clock=lambda: now)
    until(lambda: standing(store, name, now)["notices"][0]["error"], tell)
    (told,) = standing(store, name, now)["notices"]
    assert told["waiting"] == 2
    assert "127.0.0.1 answered 503: busy" in told["error"]
    assert told["failing_since"] == now
    tell.turn()
    assert endpoint.answers == [500], "not before its time"
    now += 1.0
    until(lambda: not endpoint.answers, tell)
    now += 2.0
    until(lambda: len(endpoint.got) == 2, tell)
    assert [json.loads(body)["text"].split(": ", 1)[1] for _, _, body in endpoint.got] == [
        "start by ana: so.",
        "hold by ana: so.",
    ]
    until(lambda: standing(store, name, now)["notices"][0]["error"] == "", tell)
    tell.close()


def test_a_notice_that_never_gets_through_is_given_up_and_the_next_is_told(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MOST_TRIES", 2)
    text = spec(f"slack: {{url: '{endpoint.url}'}}")
    store, name = store_with(tmp_path, text), parse(text).name
    endpoint.answers = [410, 410]
    move(store, name, Move.START, START + 1.0)
    move(store, name, Move.HOLD, START + 2.0)
    later = iter(range(10**6))
    tell = Teller(tmp_path, clock=lambda: START + 400.0 * next(later))
    until(lambda: endpoint.got, tell)
    until(lambda: standing(store, name, START)["notices"][0]["waiting"] == 0, tell)
    (told,) = standing(store, name, START)["notices"]
    assert (told["delivered"], told["given_up"]) == (1, 1)
    tell.close()


def test_after_a_death_nothing_is_left_out_and_what_comes_twice_has_the_same_id(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = spec(f"webhook: {{url: '{endpoint.url}', key: env:HOOK_KEY}}")
    store, name = store_with(tmp_path, text), parse(text).name
    move(store, name, Move.START, START + 1.0)
    first = Teller(tmp_path)
    # It dies between the telling and the note of it.
    with monkeypatch.context() as patch:
        patch.setattr(first._outbox, "delivered", lambda *_: (_ for _ in ()).throw(SystemExit))
        until(lambda: endpoint.got, first)
    move(store, name, Move.HOLD, START + 2.0)
    second = Teller(tmp_path)
    until(lambda: len(endpoint.got) == 3, second)
    ids = [json.loads(body)["id"] for _, _, body in endpoint.got]
    assert ids[0] == ids[1] != ids[2]
    second.close()


def test_an_approval_that_is_waited_for_is_told_once_for_each_that_is_missing(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    more = f"notify:\n  - webhook: {{url: '{endpoint.url}', key: env:HOOK_KEY}}\n    on: [approval, promote]\n"
    make(tmp_path, wrong=0.05, ticks=12, spec=SPEC_TWO + more)
    store = Store(tmp_path)
    record = standing(store, NAME, START)
    assert record["approval"]["waiting"]

    def events() -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in endpoint.got]

    tell = Teller(tmp_path)
    until(lambda: endpoint.got, tell)
    (event,) = events()
    assert event["type"] == "dev.crossfade.rollout.approval"
    assert event["data"]["sentence"].startswith(record["sentence"])
    assert (
        f"crossfade approve {NAME} --reason … --shown {record['approval']['shown'][:12]}" in event["data"]["sentence"]
    )
    assert (event["data"]["missing"], event["data"]["given"]) == (2, [])
    give(store, "ana", START + 900.0)
    until(lambda: len(endpoint.got) == 2, tell)
    assert (events()[1]["data"]["missing"], events()[1]["data"]["given"]) == (1, ["ana"])
    give(store, "ben", START + 901.0)
    until(lambda: all(one["waiting"] == 0 for one in standing(store, NAME, START)["notices"]), tell)
    for _ in range(3):
        tell.turn()
    tell.close()
    assert len(endpoint.got) == 2
    assert len({event["id"] for event in events()}) == 2
    store.close()


def test_a_dead_endpoint_delays_nobody(tmp_path: Path, endpoint: Endpoint) -> None:
    slow = Endpoint()
    slow.wait = 3.0
    text = spec(f"slack: {{url: '{slow.url}'}}", f"slack: {{url: '{endpoint.url}'}}\n    on: [hold]")
    store, name = store_with(tmp_path, text), parse(text).name
    move(store, name, Move.START, START + 1.0)
    move(store, name, Move.HOLD, START + 2.0)
    tell = Teller(tmp_path)
    began = time.monotonic()
    tell.turn()
    assert time.monotonic() - began < 1.5, "looking does not wait for telling"
    until(lambda: endpoint.got, tell)
    assert not slow.got
    assert [json.loads(body)["text"] for _, _, body in endpoint.got] == [f"*{name}*: hold by ana: so."]
    tell.close()
    slow.server.shutdown()
    slow.server.server_close()


def test_faults_are_told_once_for_each_that_is_new(tmp_path: Path, endpoint: Endpoint) -> None:
    text = spec(f"slack: {{url: '{endpoint.url}'}}\n    on: [fault]")
    store, name = store_with(tmp_path, text), parse(text).name
    store.save_view(name, {"counts": {"faults": 3}})
    now = START + 1000.0
    tell = Teller(tmp_path, clock=lambda: now)
    until(lambda: endpoint.got, tell)
    assert "3 more faults of Crossfade's own (3 in all)" in json.loads(endpoint.got[0][2])["text"]
    store.save_view(name, {"counts": {"faults": 4}})
    now += teller.FAULTS_EVERY
    until(lambda: len(endpoint.got) == 2, tell)
    assert "1 more fault of" in json.loads(endpoint.got[1][2])["text"]
    tell.close()


def test_who_is_added_later_hears_of_what_comes_then(tmp_path: Path, endpoint: Endpoint) -> None:
    store, name = store_with(tmp_path, SPEC), parse(SPEC).name
    move(store, name, Move.START, START + 1.0)
    text = spec(f"slack: {{url: '{endpoint.url}'}}")
    store.add(text, parse(text), START + 2.0)
    move(store, name, Move.HOLD, START + 3.0)
    tell = Teller(tmp_path)
    until(lambda: endpoint.got, tell)
    until(lambda: standing(store, name, START)["notices"][0]["waiting"] == 0, tell)
    assert [json.loads(body)["text"] for _, _, body in endpoint.got] == [f"*{name}*: hold by ana: so."]
    tell.close()


def test_secrets_are_in_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_URL", "http://127.0.0.1:9/services/T0/B0/veryhidden")
    (notify,) = parse(spec("slack: {url: env:SLACK_URL}")).notify
    with pytest.raises(Undelivered) as told:
        deliver(notify, of_test("r", 1.0), now=1.0)
    assert "veryhidden" not in str(told.value)
    assert "127.0.0.1 cannot be reached" in str(told.value)


def test_a_key_as_others_write_it() -> None:
    told = signed("whsec_" + "c2VjcmV0", "msg_1", b"{}", 1_700_000_000.0)
    assert told["webhook-signature"] == signed("secret", "msg_1", b"{}", 1_700_000_000.0)["webhook-signature"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("slack: {url: nowhere}", "a URL such as https"),
        ("webhook: {url: 'https://a.example'}", "the key 'key' is missing"),
        ("webhook: {url: 'https://a.example', key: hunter2}", "env:NAME"),
        ("{}", "one of webhook, slack and email"),
        ("slack: {url: 'https://a.example'}\n    on: [holds]", "hold"),
        ("email: {server: 'smtp://m', from: a@b, to: [a@b], user: x}", "belong together"),
        ("email: {server: 'http://m', from: a@b, to: [a@b]}", "a mail server such as"),
    ],
)
def test_mistakes_are_told(line: str, said: str) -> None:
    with pytest.raises(SpecProblems, match=re.escape(said)):
        parse(spec(line))
