"""Conversations in which both models are asked and the user sees one list."""

from __future__ import annotations

import json

from crossfade.facts import Shown
from crossfade.live.exchange.messages import Record, Reply
from crossfade.spec.model import Protocol, Ranking

from .playbook import JSON, STREAM, Playbook, route

ASKED = ("call 0 v1 8s", "call 1 v2 8s")


def listed(*names: str) -> str:
    return json.dumps({"items": [{"id": name} for name in names]})


def test_one_list_from_two_in_the_champions_shape() -> None:
    play = Playbook(route("interleave", reveal=True)).begins(*ASKED)
    play.at(1).replies(1, listed("c", "d"))
    head = (*JSON, (b"Content-Length", b"1"), (b"X-Model", b"one"))
    commands = play.at(2).exchange.receive(_arrived(2.0, 0, listed("a", "b"), head))
    reply = commands[-1]
    assert isinstance(reply, Reply)
    assert [name for name, _ in reply.head.headers] == [b"Content-Type", b"X-Model", b"Content-Length"]
    assert dict(reply.head.headers)[b"Content-Length"] == b"%d" % len(reply.body)
    assert dict(reply.extra)[b"x-crossfade-arm"] == b"v1+v2"
    (shown,) = [c.fact for c in commands if isinstance(c, Record) and isinstance(c.fact, Shown)]
    assert [item["id"] for item in json.loads(reply.body)["items"]] == list(shown.items)
    assert sorted(shown.owners) == ["v1", "v2"]
    play.is_done()


def test_the_same_unit_asking_the_same_sees_the_same() -> None:
    def reply(unit: str, digest: str) -> bytes:
        play = Playbook(route("interleave"), unit, digest=digest).begins(*ASKED)
        play.replies(0, listed(*"abcdef"))
        (last,) = play.exchange.receive(_arrived(1.0, 1, listed(*"uvwxyz"), JSON))[-1:]
        assert isinstance(last, Reply)
        return last.body

    assert reply("u", "q") == reply("u", "q")
    assert len({reply(f"u{number}", "q") for number in range(20)}) > 1
    assert len({reply("u", f"q{number}") for number in range(20)}) > 1


def test_equal_lists_are_no_evidence() -> None:
    play = Playbook(route("interleave")).begins(*ASKED).replies(0, listed("a"))
    body = listed("a")
    play.replies(1, body, "shown a but same", "exposed v2 by v1 200 0ms", f"reply 200 {body}.").is_done()


def test_a_late_challenger_costs_no_more_than_the_champions_deadline() -> None:
    body = listed("a")
    play = Playbook(route("interleave", deadline=3.0)).begins("call 0 v1 3s", "call 1 v2 3s").replies(0, body)
    done = ("cancel 1", "shown a but late", "exposed v2 by v1 200 failed timeout 3000ms", f"reply 200 {body}.")
    play.at(3).is_late(1, *done).replies(1, body).is_done()


def test_a_lost_champion_leaves_the_challengers_list() -> None:
    body = listed("b")
    play = Playbook(route("interleave")).begins(*ASKED).fails(0, "refused")
    play.at(1).replies(1, body, "shown b but one-ranker", "exposed v2 by v2 200 1000ms", f"reply 200 {body}.").is_done()


def test_half_a_list_is_no_list() -> None:
    body = listed("b")
    play = Playbook(route("interleave")).begins(*ASKED).replies(0, body[:-3], ended=False)
    play.fails(0, "broken")
    play.replies(1, body, "shown b but one-ranker", "exposed v2 by v2 200 0ms", f"reply 200 {body}.").is_done()


def test_the_champions_refusal_of_the_request_is_final() -> None:
    play = Playbook(route("interleave")).begins(*ASKED)
    said = ("cancel 1", "shown  but status", "exposed v2 by v1 422 0ms", "reply 422 no.")
    play.replies(0, "no", *said, status=422).is_done()


def test_a_stream_cannot_be_merged() -> None:
    play = Playbook(route("interleave")).begins(*ASKED)
    play.replies(0, "data", "shown  but unreadable", "cancel 1", "reply 200 data …", headers=STREAM, ended=False)
    play.goes_on(0, "!", "exposed v2 by v1 200 0ms", "more !.", ended=True).is_done()


BINARY = (*JSON, (b"Inference-Header-Content-Length", b"12"))
COLUMNS = {"protocol": Protocol.OPEN_INFERENCE, "ranking": Ranking(items="$.outputs[0].data")}


def columns(**outputs: list[object]) -> str:
    listed = [{"name": name, "datatype": "BYTES", "shape": [len(data)], "data": data} for name, data in outputs.items()]
    return json.dumps({"outputs": listed})


def test_a_list_that_cannot_be_put_in_is_shown_to_nobody() -> None:
    ours, theirs = columns(ids=["a", "b"], titles=["A", "B"]), columns(ids=["c", "d"])
    play = Playbook(route("interleave", **COLUMNS)).begins(*ASKED).replies(1, theirs)
    expected = ("shown a,b but unmergeable", "exposed v2 by v1 200 0ms", f"reply 200 {ours}.")
    play.replies(0, ours, *expected).is_done()
    (shown,) = [c.fact for c in play.commands if isinstance(c, Record) and isinstance(c.fact, Shown)]
    assert shown.owners == ("", "")


def test_a_challengers_binary_tensors_are_unread_and_no_failure() -> None:
    ours = columns(ids=["a", "b"])
    play = Playbook(route("interleave", **COLUMNS)).begins(*ASKED)
    play.replies(1, '{"outputs":[', "cancel 1", headers=BINARY, ended=False)
    play.replies(0, ours, "shown a,b but unreadable", "exposed v2 by v1 200 0ms", f"reply 200 {ours}.").is_done()


def test_a_champions_binary_tensors_pass_through() -> None:
    play = Playbook(route("interleave", **COLUMNS)).begins(*ASKED).replies(1, columns(ids=["a"]))
    play.replies(0, "raw", "shown  but unreadable", "exposed v2 by v1 200 0ms", "reply 200 raw.", headers=BINARY)
    play.is_done()


def test_units_outside_see_the_champion_alone() -> None:
    Playbook(route("interleave", weight=0.0)).begins("call 0 v1 8s")
    Playbook(route("interleave"), unit="").begins("call 0 v1 8s")


def test_a_client_that_leaves() -> None:
    play = Playbook(route("interleave")).begins(*ASKED).fails(1, "refused")
    play.client_leaves("cancel 0", "exposed v2 by nobody 0 failed refused 0ms").is_done()


def _arrived(at: float, call: int, body: str, headers: tuple[tuple[bytes, bytes], ...]) -> object:
    from crossfade.live.exchange.messages import Arrived, Head

    return Arrived(at, call, Head(200, b"OK", headers), body.encode(), True)


def test_an_ejected_challenger_is_not_asked_and_the_champions_list_is_no_evidence() -> None:
    play = Playbook(route("interleave"), ejected=True).begins("call 0 v1 8s")
    play.at(1).replies(
        0,
        '{"items": [{"id": "a"}]}',
        "shown a but ejected",
        "exposed v2 by v1 200 failed ejected 1000ms",
        'reply 200 {"items": [{"id": "a"}]}.',
    ).is_done()


def test_what_is_pinned_keeps_its_slot_and_belongs_to_nobody() -> None:
    """The champion's ad stays second, the challenger's is left out, and what is sold is no result beside that."""
    ranking = Ranking(items="$.items", id="$.id", pinned="$.ad")
    ours = {"items": [{"id": "a"}, {"id": "sold", "ad": True}, {"id": "b"}], "page": 1}
    theirs = {"items": [{"id": "other", "ad": True}, {"id": "sold"}, {"id": "c"}, {"id": "d"}]}
    play = Playbook(route("interleave", ranking=ranking)).begins(*ASKED).replies(0, json.dumps(ours))
    commands = play.exchange.receive(_arrived(1.0, 1, json.dumps(theirs), JSON))
    reply = commands[-1]
    assert isinstance(reply, Reply)
    page = json.loads(reply.body)
    assert page["items"][1] == {"id": "sold", "ad": True}
    assert page["page"] == 1
    (shown,) = [c.fact for c in commands if isinstance(c, Record) and isinstance(c.fact, Shown)]
    assert [item["id"] for item in page["items"] if not item.get("ad")] == list(shown.items)
    assert {item["id"] for item in page["items"]} == {"sold", *shown.items}
    assert not {"sold", "other"} & set(shown.items)
    assert sorted(shown.owners) == ["v1", "v2"]
