"""Outcomes in: item by item, durable before they are acknowledged, once each."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.console import outcomes
from crossfade.console.receiving import LARGEST_BODY
from crossfade.facts import Outcome

PATH = "/api/v1/outcomes"

Kept = Callable[[], list[Outcome]]


async def post(client: httpx.AsyncClient, body: bytes | str, kind: str = "application/json") -> httpx.Response:
    return await client.post(PATH, content=body, headers={"content-type": kind})


async def test_outcomes_are_on_the_disk_when_they_are_acknowledged(client: httpx.AsyncClient, kept: Kept) -> None:
    items = [
        {"outcome_id": "a", "decision_id": "d1", "name": "purchase"},
        {"rollout": "ranker-v2", "unit": "u7", "name": "revenue", "value": 19.9, "at": "2026-01-01T01:00:00+01:00"},
    ]
    answer = await client.post(PATH, json=items)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 2, "duplicates": 0, "rejected": []}
    first, second = kept()
    assert (first.outcome_id, first.decision_id, first.value) == ("a", "d1", 1.0)
    assert first.at == pytest.approx(time.time(), abs=30)
    assert (second.rollout, second.unit, second.value, second.at) == ("ranker-v2", "u7", 19.9, 1_767_225_600.0)


async def test_repeats_are_recognised_with_and_without_an_id(client: httpx.AsyncClient, kept: Kept) -> None:
    named = [{"outcome_id": "a", "decision_id": "d1", "name": "purchase"}]
    unnamed = [{"decision_id": "d1", "name": "click", "item": "doc-9", "at": 1_767_225_600}]
    for body, expected in ((named, (1, 0)), (named, (0, 1)), (unnamed, (1, 0)), (unnamed, (0, 1))):
        answer = (await client.post(PATH, json=body)).json()
        assert (answer["accepted"], answer["duplicates"]) == expected
    other = [dict(unnamed[0], item="doc-8")]
    assert (await client.post(PATH, json=other)).json()["accepted"] == 1
    assert len(kept()) == 3


async def test_an_id_that_comes_back_with_another_value_is_told_and_changes_nothing(
    client: httpx.AsyncClient, kept: Kept
) -> None:
    first = {"outcome_id": "a", "decision_id": "d1", "name": "revenue", "value": 10.0}
    await client.post(PATH, json=[first])
    body = [{"name": ""}, dict(first, value=7.0), first, {"outcome_id": "b", "decision_id": "d", "name": "click"}]
    answer = (await client.post(PATH, json=body)).json()
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert [found["index"] for found in answer["rejected"]] == [0, 1]
    assert "'a' was reported before with other content" in answer["rejected"][1]["problem"]
    assert [(outcome.outcome_id, outcome.value) for outcome in kept()] == [("a", 10.0), ("b", 1.0)]


async def test_a_correction_is_kept_beside_what_it_corrects(client: httpx.AsyncClient, kept: Kept) -> None:
    first = {"outcome_id": "a", "decision_id": "d1", "name": "revenue", "value": 10.0}
    right = {"decision_id": "d1", "name": "revenue", "value": 7.0, "corrects": "a", "at": 1_767_225_600}
    # Whichever comes first, and told twice: without an id of its own it is recognised by its content.
    body = [right, first, right, dict(right, value=6.0), dict(right, corrects="b")]
    answer = (await client.post(PATH, json=body)).json()
    assert answer == {"accepted": 4, "duplicates": 1, "rejected": []}
    told = {(outcome.value, outcome.corrects) for outcome in kept()}
    assert told == {(7.0, "a"), (10.0, ""), (6.0, "a"), (7.0, "b")}
    other = dict(first, outcome_id="c", corrects="a")
    assert (await client.post(PATH, json=[other, dict(other, corrects="b")])).json()["accepted"] == 1


async def test_lines_are_taken_and_a_bad_line_costs_only_itself(client: httpx.AsyncClient, kept: Kept) -> None:
    lines = (
        '{"decision_id": "d1", "name": "click"}\n\n{"decision_id": "d2", "na\n{"decision_id": "d3", "name": "click"}\n'
    )
    answer = await post(client, lines, "application/x-ndjson; charset=utf-8")
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    assert [found["index"] for found in answer.json()["rejected"]] == [1]
    assert [outcome.decision_id for outcome in kept()] == ["d1", "d3"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"decision_id": "d"}, "name is missing"),
        ({"decision_id": "d", "name": ""}, "name is empty"),
        ({"name": "click"}, "neither a decision_id nor a rollout and a unit"),
        ({"name": "click", "rollout": "ranker-v2"}, "neither a decision_id nor a rollout and a unit"),
        ({"name": "click", "rollout": "ranker-2", "unit": "u"}, "did you mean ranker-v2?"),
        ({"decision_id": "d", "name": "click", "valeu": 2}, "did you mean value?"),
        ({"decision_id": "d", "name": "click", "value": "2"}, "value: expected a number, got text"),
        ({"decision_id": "d", "name": "click", "at": 1_767_225_600_000}, "looks like milliseconds"),
        ({"decision_id": "d", "name": "click", "at": "yesterday"}, "seconds since the epoch or a time"),
        ({"decision_id": "d", "name": "click", "at": "2026-01-01T00:00:00"}, "no offset"),
        ({"decision_id": "d", "name": "click", "at": -5}, "seconds since the epoch"),
        ({"decision_id": "d", "name": "click", "at": time.time() + 1e6}, "more than a day in the future"),
        ({"decision_id": "d", "name": "click", "value": -1e200}, "between -1e15 and 1e15"),
        ({"decision_id": "d", "name": "x" * 600}, "longer than 512"),
        ({"decision_id": "d", "name": "click", "corrects": "o1"}, "value is missing"),
        ({"outcome_id": "o", "decision_id": "d", "name": "click", "value": 2, "corrects": "o"}, "it corrects itself"),
        ("click", "expected"),
    ],
)
async def test_what_is_wrong_with_an_item_is_said(
    client: httpx.AsyncClient, kept: Kept, item: object, said: str
) -> None:
    good = {"decision_id": "d", "name": "click"}
    answer = await client.post(PATH, json=[good, item])
    assert answer.status_code == 202
    [rejected] = answer.json()["rejected"]
    assert rejected["index"] == 1
    assert said in rejected["problem"]
    assert len(kept()) == 1


async def test_a_number_too_large_for_us_is_not_finite(client: httpx.AsyncClient) -> None:
    answer = await post(client, '[{"decision_id": "d", "name": "click", "value": 1e999}]')
    assert len(answer.json()["rejected"]) == 1


@pytest.mark.parametrize("body", ["", "[", "hello", "3", '"x"', "[{]", "\xff"])
async def test_a_body_that_cannot_be_read_is_refused_as_a_whole(client: httpx.AsyncClient, body: str) -> None:
    answer = await post(client, body.encode("latin-1"))
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "what_to_do"}


async def test_a_date_at_the_edge_of_the_calendar_costs_only_itself(client: httpx.AsyncClient) -> None:
    first = {"decision_id": "d", "name": "click", "at": "0001-01-01T00:00:00+14:00"}
    answer = await client.post(PATH, json=[first, {"decision_id": "d", "name": "click"}])
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'[{"name":' + b"[" * 5000 + b"]" * 5000 + b"}]"])
async def test_a_body_nested_deeply_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.post(PATH, content=body, headers={"content-type": "application/json"})).status_code == 422
    lines = await client.post(PATH, content=body, headers={"content-type": "application/x-ndjson"})
    assert (lines.status_code, len(lines.json()["rejected"])) == (202, 1)


@pytest.mark.parametrize(("kind", "separator"), [("application/json", b","), ("application/x-ndjson", b"\n")])
async def test_more_items_than_can_be_taken_at_once_are_refused(
    client: httpx.AsyncClient, kind: str, separator: bytes
) -> None:
    body = separator.join([b"1"] * (outcomes.MOST_ITEMS + 1))
    answer = await client.post(
        PATH, content=body if separator == b"\n" else b"[" + body + b"]", headers={"content-type": kind}
    )
    assert answer.status_code == 413
    assert "smaller batches" in answer.json()["what_to_do"]


async def test_an_empty_array_and_a_single_object_are_fine(client: httpx.AsyncClient) -> None:
    assert (await client.post(PATH, json=[])).json() == {"accepted": 0, "duplicates": 0, "rejected": []}
    assert (await client.post(PATH, json={"decision_id": "d", "name": "click"})).json()["accepted"] == 1


async def test_of_a_body_that_is_too_large_nothing_is_kept(client: httpx.AsyncClient, kept: Kept) -> None:
    async def endless():
        for _ in range(LARGEST_BODY // 65536 + 2):
            yield b" " * 65536

    headers = {"content-type": "application/json"}
    assert (await client.post(PATH, content=b" " * (LARGEST_BODY + 1), headers=headers)).status_code == 413
    answer = await client.post(PATH, content=endless(), headers=headers)
    assert answer.status_code == 413
    assert "smaller batches" in answer.json()["what_to_do"]
    assert kept() == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_what_any_web_page_could_send_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    answer = await post(client, '[{"decision_id": "d", "name": "click"}]', kind)
    assert answer.status_code == 415


async def test_many_at_once_are_each_counted_once(client: httpx.AsyncClient, kept: Kept) -> None:
    batches = [
        [{"outcome_id": f"o{i % 60}", "decision_id": "d", "name": "click"} for i in range(j, j + 40)] for j in range(40)
    ]
    answers = await asyncio.gather(*(client.post(PATH, json=batch) for batch in batches))
    assert sum(answer.json()["accepted"] for answer in answers) == 60
    assert len(kept()) == 60


items = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=8) | st.none() | st.integers(),
        "decision_id": st.text(max_size=4),
        "rollout": st.sampled_from(["ranker-v2", "other", ""]),
        "unit": st.text(max_size=4),
        "value": st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text(max_size=3),
        "at": st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12) | st.none(),
        "surplus": st.none(),
    },
)


@given(st.lists(items | st.integers() | st.none(), max_size=8))
def test_every_item_is_either_kept_or_told_about_however_it_is_sent(found: list[object]) -> None:
    known = ("ranker-v2",)
    array = outcomes.read(json.dumps(found).encode(), lines=False, now=2e9, known=known)
    lines = "\n".join(json.dumps(item) for item in found).encode()
    by_line = outcomes.read(lines, lines=True, now=2e9, known=known)
    assert len(array.outcomes) + len(array.rejected) == len(found)
    assert array.outcomes == by_line.outcomes
    assert [item["index"] for item in array.rejected] == [item["index"] for item in by_line.rejected]
    assert all(outcome.name and outcome.outcome_id for outcome in array.outcomes)


@pytest.mark.parametrize("chunked", [False, True])
def test_who_sends_too_much_over_a_real_connection_is_told_so(
    running: tuple[str, subprocess.Popen[bytes]], chunked: bool
) -> None:
    port = int(running[0].rpartition(":")[2])
    sent = b"x" * (3 * LARGEST_BODY)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"content-type": "application/json"}
    pieces = (sent[at : at + 65536] for at in range(0, len(sent), 65536))
    connection.request("POST", PATH, body=pieces if chunked else sent, headers=headers, encode_chunked=chunked)
    answer = connection.getresponse()
    assert answer.status == 413
    assert str(LARGEST_BODY) in json.loads(answer.read())["error"]
    connection.close()


def test_who_asks_before_sending_is_told_at_once(running: tuple[str, subprocess.Popen[bytes]]) -> None:
    port = int(running[0].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        head = b"POST %b HTTP/1.1\r\nHost: c\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
        client.sendall(head % PATH.encode() + b"Content-Length: %d\r\n\r\n" % (LARGEST_BODY + 1))
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
