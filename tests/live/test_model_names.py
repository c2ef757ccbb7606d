"""Names that change on the way to an arm and change back on the way home; nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.exchange.messages import Head
from crossfade.live.model_names import LIMIT, Restoring, member, renamed
from crossfade.live.model_paths import model_of
from crossfade.live.routes import RouteTable
from crossfade.spec.model import Arm, Protocol

from .exchange.playbook import route

OIP = Protocol.OPEN_INFERENCE
CHAT = Protocol.OPENAI_CHAT
JSON = (b"Content-Type", b"application/json")
STREAM = (b"content-type", b"text/event-stream")


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (b"/v2/models/a/infer", b"/v2/models/b/infer"),
        (b"/v2/models/a", b"/v2/models/b"),
        (b"/v2/models/a?x=/a", b"/v2/models/b?x=/a"),
        (b"/v1/models/a:predict", b"/v1/models/b:predict"),
        (b"/v1/models/a/versions/1:predict", b"/v1/models/b/versions/1:predict"),
        (b"/e/fraud/v2/models/a%20a/infer", b"/e/fraud/v2/models/b/infer"),
        (b"/v2/models/", None),
        (b"/v2/models", None),
        (b"/v2/models/b/infer", None),
        (b"/v2/models/%62/infer", None),
        (b"/other/a?/v2/models/a", None),
    ],
)
def test_the_models_name_in_a_path(target: bytes, sent: bytes | None) -> None:
    found = renamed(OIP, "POST", target, b'{"model": "a"}', "b")
    assert (found and found.target) == sent
    assert found is None or found.body == b'{"model": "a"}'


def test_an_odd_name_is_escaped() -> None:
    found = renamed(OIP, "POST", b"/v2/models/a/infer", b"", "b:ä")
    assert found is not None
    assert found.target == b"/v2/models/b%3A%C3%A4/infer"


def test_the_models_name_in_a_body() -> None:
    body = b'{ "messages":[{"model":"x"}],\n"model" : "public" , "n":1.50}'
    found = renamed(CHAT, "POST", b"/v1/chat/completions", body, 'own "name"')
    assert found is not None
    assert found.body == body.replace(b'"public"', b'"own \\"name\\""')
    assert (found.target, found.key, found.public) == (b"/v1/chat/completions", b"model", b'"public"')


@pytest.mark.parametrize(
    "body", [b'{"model":"own"}', b"{}", b'{"model":7}', b'{"x":{"model":"p"}}', b"[]", b"", b"no", b'{"model":"cut']
)
def test_a_body_without_another_name_stays_as_it_is(body: bytes) -> None:
    assert renamed(CHAT, "POST", b"/v1/chat/completions", body, "own") is None


documents = st.recursive(
    st.none() | st.integers() | st.text(max_size=6) | st.sampled_from(("model", '"model": "x"', "\\", "{")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("model", "a", "{", '\\"', "")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(documents, st.integers(0, 400), st.sampled_from([None, 1]))
def test_only_the_outermost_member_is_found_however_little_of_it_has_come(doc: Any, cut: int, indent: Any) -> None:
    text = json.dumps(doc, indent=indent).encode()
    place = member(text, b"model")
    value = doc.get("model") if isinstance(doc, dict) else None
    if isinstance(value, str):
        assert place is not None
        assert json.loads(text[place[0] : place[1]]) == value
    else:
        assert place is None
    assert member(text[:cut], b"model") in (None, place)


def restored(key: bytes, head: Head, *pieces: bytes) -> tuple[Head, bytes, list[bytes | None]]:
    restoring, out, seen = Restoring(key, b'"public"'), b"", None
    each: list[bytes | None] = []
    for at, piece in enumerate(pieces):
        found = restoring.take(head if at == 0 else None, piece, at == len(pieces) - 1)
        each.append(None if found is None else found[1])
        if found is not None:
            seen = seen or found[0]
            out += found[1]
    assert seen is not None
    return seen, out, each


def test_a_reply_flows_on_as_soon_as_its_name_has_come() -> None:
    body = b'{"model_name":"own-1","outputs":[' + b"1," * 5 + b'{"model_name":"own-1"}]}'
    head = Head(200, b"OK", (JSON, (b"Content-Length", b"%d" % len(body)), (b"ETag", b'"x"')))
    seen, out, each = restored(b"model_name", head, body[:9], body[9:30], body[30:])
    assert out == body.replace(b'"own-1"', b'"public"', 1)
    assert seen.headers == (JSON, (b"Content-Length", b"%d" % len(out)))
    assert each[0] is None
    assert each[1] is not None


def test_the_length_of_a_binary_replys_header_grows_too() -> None:
    start = b'{"outputs":[],"model_name":"m"}'
    sizes = ((b"Inference-Header-Content-Length", b"%d" % len(start)), (b"Content-Length", b"%d" % (len(start) + 4)))
    kind = (b"Content-Type", b"application/octet-stream")
    seen, out, _ = restored(b"model_name", Head(200, b"OK", (kind, *sizes)), start + b'\x00{"\xff')
    assert out == b'{"outputs":[],"model_name":"public"}\x00{"\xff'
    assert [int(value) for _, value in seen.headers[1:]] == [len(start) + 5, len(start) + 9]


def test_every_event_of_a_stream_names_the_public_model() -> None:
    events = b"".join(b'data: {"model":"own","n":%d}\r\n\r\n' % n for n in range(3)) + b": model\n\ndata: [DONE]\n\n"
    head = Head(200, b"OK", (STREAM,))
    for cuts in ((5, 40), (31, 33), (62, 63)):
        pieces = (events[: cuts[0]], events[cuts[0] : cuts[1]], events[cuts[1] :])
        _, out, _ = restored(b"model", head, *pieces)
        assert out == events.replace(b'"own"', b'"public"')
    _, _, each = restored(b"model", head, events[:35], events[35:])
    assert each[0] == b'data: {"model":"public","n":0}\r\n\r\n', "the first event does not wait for the second"


@pytest.mark.parametrize(
    "head",
    [
        Head(404, b"No", (JSON,)),
        Head(200, b"OK", (JSON, (b"Content-Encoding", b"gzip"))),
        Head(200, b"OK", ((b"Content-Type", b"text/plain"),)),
    ],
)
def test_what_is_no_readable_answer_passes_at_once(head: Head) -> None:
    body = b'{"model":"own"}'
    assert Restoring(b"model", b'"public"').take(head, body, False) == (head, body)


def test_a_reply_that_does_not_name_its_model_passes_as_it_is_and_is_not_held_for_ever() -> None:
    head = Head(200, b"OK", (JSON,))
    assert restored(b"model", head, b'{"a":', b"1}")[1] == b'{"a":1}'
    large = b'{"a":"' + bytes(LIMIT)
    assert Restoring(b"model", b'"p"').take(head, large, False) == (head, large)


def test_a_path_beside_a_route_belongs_to_the_same_model() -> None:
    one = route("champion", prefix="/v2/models/one/infer", champion=Arm(name="a", url="http://a", model="one-v1"))
    two = route("champion", prefix="/v2/models/two/infer", champion=Arm(name="b", url="http://b", model="two-v1"))
    table = RouteTable.of([one, two])
    for path in ("/v2/models/one", "/v2/models/one/ready", "/v2/models/one/versions/1/ready"):
        assert table.match(path) is None
        assert table.upstream(path) == one.champion
    assert table.upstream("/v2/models/two/ready") == two.champion
    for path in ("/v2/models/other/infer", "/v2/health/live", "/e/v2/models/one/ready"):
        assert table.upstream(path) == Arm(name="b", url="http://b"), "a name that is not ours stays as it is"
    assert RouteTable(()).upstream("/") is None
    assert model_of("/v2/models") == ""
