"""What users get while a challenger works, fails, hangs or floods, and what is recorded of it."""

# ruff: noqa: SIM117 — one line for each party of the conversation
from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest

from crossfade.facts import Compared, Dropped, Exposed, Shown
from crossfade.live.assign import assign
from crossfade.spec.model import Arm, Field, From, Protocol, Ranking

from .gateway_kit import Client, ask, gate, post, route
from .toy_server import Got, ToyServer, echoes, free_port, hangs, raw, says, sized, slow

CHAMPIONS = b'{"score": 0.25}'
CHALLENGERS = b'{"score": 0.5}'


def body(*ids: str) -> bytes:
    return json.dumps({"took": 1.50, "items": [{"id": name, "from": name} for name in ids]}).encode()


# -- canary, A/B, promotion --------------------------------------------------------------------------------------------


async def test_units_stay_with_their_arm_and_every_request_is_recorded() -> None:
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(says(CHALLENGERS)) as two:
        ab = route(one.url, two.url, mode="ab", weight=0.5, stage=2, reveal=True)
        async with gate(ab) as gw:
            for number in range(40):
                unit = f"user-{number % 10}"
                answer = await ask(gw.port, post(headers=b"X-User-Id: %b\r\n" % unit.encode()))
                arm = assign(ab, unit).arm
                assert answer.body == (CHALLENGERS if arm == "v2" else CHAMPIONS)
                assert answer.get(b"x-crossfade-arm") == arm.encode()
            facts = await gw.exposed(40)
            assert {(fact.unit, fact.arm) for fact in facts} == {
                (f"user-{n}", assign(ab, f"user-{n}").arm) for n in range(10)
            }
            assert all((fact.mode, fact.stage, fact.weight, fact.failed) == ("ab", 2, 0.5, False) for fact in facts)


async def test_a_request_without_a_unit_is_the_champions_and_a_request_unit_is_the_decision() -> None:
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(says(CHALLENGERS)) as two:
        everyone = route(one.url, two.url, mode="canary", weight=1.0, segments=(Field(source=From.JSON, name="$.c"),))
        async with gate(everyone, replace(everyone, prefix="/any", unit=Field(source=From.REQUEST))) as gw:
            assert (await ask(gw.port, post(b'{"c": "de"}', headers=b""))).body == CHAMPIONS
            assert (await ask(gw.port, post(b"rubbish", path=b"/any", headers=b""))).body == CHALLENGERS
            first, second = await gw.exposed(2)
            assert (first.unit, first.arm, first.segments) == ("", "v1", ("de",))
            assert (second.unit, second.arm, second.segments) == (second.decision_id, "v2", ("",))


async def test_an_excluded_segment_is_served_and_recorded_as_no_part_of_the_experiment() -> None:
    country = (Field(source=From.HEADER, name="x-country"), Field(source=From.JSON, name="$.age"))
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(says(CHALLENGERS)) as two:
        canary = route(one.url, two.url, mode="canary", weight=1.0, segments=country, excluded=((0, "zz"), (1, "7")))
        async with gate(canary) as gw:
            for n, (header, sent, expected) in enumerate(
                (
                    (b"de", b'{"age": 8}', CHALLENGERS),
                    (b"zz", b'{"age": 8}', CHAMPIONS),
                    (b"de", b'{"age": 7.0}', CHAMPIONS),
                    (b"", b"", CHALLENGERS),
                )
            ):
                headers = b"X-User-Id: u%d\r\nX-Country: %b\r\n" % (n, header)
                assert (await ask(gw.port, post(sent, headers=headers))).body == expected
            facts = await gw.exposed(4)
            assert [(fact.mode, fact.arm, fact.weight, fact.reason, fact.failed) for fact in facts] == [
                ("canary", "v2", 1.0, "", False),
                ("champion", "v1", 0.0, "segment", False),
                ("champion", "v1", 0.0, "segment", False),
                ("canary", "v2", 1.0, "", False),
            ]
            assert [fact.segments for fact in facts] == [("de", "8"), ("zz", "8"), ("de", "7"), ("", "")]


async def test_an_excluded_segment_is_not_mirrored() -> None:
    country = (Field(source=From.HEADER, name="x-country"),)
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(says(CHALLENGERS)) as two:
        shadow = route(one.url, two.url, mode="shadow", mirror=1.0, segments=country, excluded=((0, "zz"),))
        async with gate(shadow) as gw:
            for name in (b"zz", b"de"):
                await ask(gw.port, post(headers=b"X-User-Id: u\r\nX-Country: %b\r\n" % name))
            (pair,) = await gw.kept.wait(Compared)
            assert pair.segments == ("de",)
            assert [fact.mode for fact in await gw.exposed(2)] == ["champion", "shadow"]


FAILING = {
    "status": says(b"oh", b"503 No"),
    "broken": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", close=True),
    "nan": says(b'{"score": NaN}'),
    "timeout": hangs,
}


@pytest.mark.parametrize("reason", [*FAILING, "refused", "not json"])
async def test_a_failing_challenger_costs_its_users_nothing_but_time(reason: str) -> None:
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(FAILING.get(reason, says(b"not json"))) as two:
        url = two.url if reason != "refused" else f"http://127.0.0.1:{free_port()}"
        async with gate(route(one.url, url, mode="canary", weight=1.0, deadline=0.6)) as gw:
            began = time.monotonic()
            answer = await ask(gw.port, post())
            assert time.monotonic() - began < 0.6
            assert (answer.status, answer.body) == (200, CHAMPIONS)
            (fact,) = await gw.exposed()
            assert (fact.arm, fact.served_by, fact.failed, fact.status) == ("v2", "v1", True, 200)
            assert fact.reason == ("broken" if reason == "not json" else reason)
            if reason == "timeout":
                assert fact.latency_ms == pytest.approx(300, abs=200)
                assert fact.total_ms >= fact.latency_ms


async def test_a_wrong_shape_in_the_open_inference_protocol_falls_back() -> None:
    good = {"model_name": "m", "outputs": [{"name": "y", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}]}
    bad = {"model_name": "m", "outputs": [{"name": "y", "shape": [3], "datatype": "FP64", "data": [1.0, 2.0]}]}
    async with ToyServer(says(json.dumps(good).encode())) as one, ToyServer(says(json.dumps(bad).encode())) as two:
        async with gate(
            route(one.url, two.url, mode="ab", weight=1.0, protocol=Protocol.OPEN_INFERENCE, prefix="/v2/models/m")
        ) as gw:
            assert json.loads((await ask(gw.port, post(path=b"/v2/models/m/infer"))).body) == good
            assert (await gw.exposed())[0].reason == "shape"
            # A readiness check carries no prediction, and an empty answer to it is a good one.
            two.behaviour = says(b"")
            await ask(gw.port, b"GET /v2/models/m/ready HTTP/1.1\r\nHost: a\r\nX-User-Id: u1\r\n\r\n")
            assert [(f.served_by, f.failed) for f in await gw.exposed(2)][1] == ("v2", False)


async def test_a_4xx_of_the_challenger_is_passed_on_and_counted() -> None:
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(says(b"{}", b"400 Bad")) as two:
        async with gate(route(one.url, two.url, mode="canary", weight=1.0)) as gw:
            assert (await ask(gw.port, post())).status == 400
            (fact,) = await gw.exposed()
            assert (fact.served_by, fact.failed, fact.reason, fact.status) == ("v2", True, "status", 400)
            assert one.requests == []


@pytest.mark.parametrize(("reply", "reason"), [(says(b"x", b"500 Oh"), "status"), (says(b'{"a": NaN}'), "nan")])
async def test_a_champions_failure_is_shown_as_it_is_and_judged_like_a_challengers(reply: object, reason: str) -> None:
    async with ToyServer(reply) as one, ToyServer(says(CHALLENGERS)) as two:  # type: ignore[arg-type]
        async with gate(route(one.url, two.url, mode="canary", weight=0.0)) as gw:
            direct, through = await ask(one.port, post()), await ask(gw.port, post())
            assert (through.status, through.body) == (direct.status, direct.body)
            (fact,) = await gw.exposed()
            assert (fact.arm, fact.served_by, fact.failed, fact.reason) == ("v1", "v1", True, reason)


async def test_both_arms_down_is_one_error_and_one_exposure() -> None:
    async with gate(
        route(f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}", mode="canary", weight=1.0)
    ) as gw:
        assert (await ask(gw.port, post())).status == 502
        (fact,) = await gw.exposed()
        assert (fact.arm, fact.served_by, fact.failed, fact.status) == ("v2", "", True, 502)


async def test_a_challenger_killed_in_mid_traffic_fails_no_request() -> None:
    async with ToyServer(slow(0.002, echoes)) as one, ToyServer(slow(0.002, echoes)) as two:
        async with gate(route(one.url, two.url, mode="promote", weight=1.0, protocol=Protocol.JSON)) as gw:
            wrong = []

            async def traffic(who: int) -> None:
                client = await Client.to(gw.port)
                for number in range(60):
                    client.send(post(b'"%d-%d"' % (who, number)))
                    answer = await client.answer()
                    if (answer.status, answer.body) != (200, b'"%d-%d"' % (who, number)):
                        wrong.append(answer)

            users = [asyncio.ensure_future(traffic(who)) for who in range(8)]
            await asyncio.sleep(0.1)
            await two.kill()
            await asyncio.gather(*users)
            assert wrong == []
            facts = await gw.exposed(480)
            assert len(facts) == len({fact.decision_id for fact in facts}) == 480
            assert {fact.served_by for fact in facts} == {"v1", "v2"}
            assert all(fact.failed is (fact.served_by == "v1") for fact in facts)


# -- shadow ------------------------------------------------------------------------------------------------------------


async def test_shadow_pairs_both_answers_and_the_champions_noise() -> None:
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(says(CHALLENGERS)) as two, ToyServer(hangs) as three:
        arms = (Arm(name="v2", url=two.url), Arm(name="v3", url=three.url, timeout=0.1))
        shadow = replace(route(one.url, two.url, mode="shadow", mirror=1.0, noise=1.0), challengers=arms)
        async with gate(shadow) as gw:
            asked = b'{"user": 1}'
            assert (await ask(gw.port, post(asked))).body == CHAMPIONS
            second, third = sorted(await gw.kept.wait(Compared, 2), key=lambda fact: fact.arm)
            assert (second.arm, second.differs, second.fields, second.reason) == ("v2", True, ("$.score",), "")
            assert (second.noise_differs, second.champion_failed, second.challenger_failed) == (False, False, False)
            assert (third.arm, third.challenger_failed, third.reason, third.differs) == ("v3", True, "timeout", False)
            assert [got.body for got in (*one.requests, *two.requests, *three.requests)] == [asked] * 4
            assert second.decision_id == third.decision_id == (await gw.exposed())[0].decision_id


async def test_mirror_and_noise_are_shares_of_requests() -> None:
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(says(CHAMPIONS)) as two:
        async with gate(route(one.url, two.url, mode="shadow", mirror=0.5, noise=0.5)) as gw:
            client = await Client.to(gw.port)
            for _ in range(200):
                client.send(post())
                await client.answer()
            await asyncio.sleep(0.1)
            compared = gw.kept.of(Compared)
            assert 60 < len(compared) == len(two.requests) < 140
            assert not any(fact.differs for fact in compared)
            asked_twice = [fact for fact in compared if fact.noise_differs is not None]
            assert 0.3 * len(compared) < len(asked_twice) < 0.7 * len(compared)
            assert len(one.requests) == 200 + len(asked_twice)


@pytest.mark.parametrize(
    ("shadow", "reason"),
    [(says(b"", b"500 Oh"), "status"), (says(b'{"score": NaN}'), "nan"), (says(b"?"), "broken"), (raw(b"?"), "cut")],
)
async def test_a_shadows_failure_is_named(shadow: object, reason: str) -> None:
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(shadow) as two:  # type: ignore[arg-type]
        async with gate(route(one.url, two.url, mode="shadow", mirror=1.0)) as gw:
            assert (await ask(gw.port, post())).body == CHAMPIONS
            (fact,) = await gw.kept.wait(Compared)
            assert (fact.challenger_failed, fact.champion_failed, fact.reason) == (True, False, reason)
            assert fact.noise_differs is None


async def test_large_answers_are_compared_off_the_loop_and_huge_ones_counted() -> None:
    async with ToyServer(says(json.dumps([0.5] * 40_000).encode())) as one, ToyServer(says(b"[0.5]")) as two:
        async with gate(route(one.url, two.url, mode="shadow", mirror=1.0)) as gw:
            await ask(gw.port, post())
            assert (await gw.kept.wait(Compared))[0].differs
            one.behaviour = says(b"[" + b"0," * 700_000 + b"0]")
            await ask(gw.port, post())
            assert [(fact.reason, fact.count) for fact in await gw.kept.wait(Dropped)] == [("large", 1)]
            assert len(gw.kept.of(Compared)) == 1


async def test_a_hung_shadow_neither_delays_nor_grows() -> None:
    async def paced(gw_port: int) -> list[float]:
        client, took = await Client.to(gw_port), []
        for _ in range(800):
            began = time.perf_counter()
            client.send(post())
            assert (await client.answer()).body == CHAMPIONS
            took.append(time.perf_counter() - began)
        return sorted(took)

    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(hangs) as two:
        async with gate(route(one.url, two.url)) as gw:
            alone = await paced(gw.port)
        async with gate(route(one.url, two.url, mode="shadow", mirror=1.0)) as gw:
            beside = await paced(gw.port)
            shadows = gw.running.gateway.shadows
            assert shadows.queued <= shadows.waiting
            lost = 800 - shadows.waiting - shadows.concurrent
            async with asyncio.timeout(10):
                # They are told once a second, so the first telling need not be the last.
                while sum(fact.count for fact in gw.kept.of(Dropped)) < lost:
                    await asyncio.sleep(0.05)
            assert {fact.reason for fact in gw.kept.of(Dropped)} == {"queue-full"}
            assert sum(fact.count for fact in gw.kept.of(Dropped)) == lost
        # The machine is shared: this catches waiting on the shadow, not a few per cent.
        assert beside[400] < alone[400] * 3 + 0.002


async def test_a_client_that_leaves_takes_its_copies_along() -> None:
    async with ToyServer(hangs) as one, ToyServer(hangs) as two:
        async with gate(route(one.url, two.url, mode="shadow", mirror=1.0)) as gw:
            client = await Client.to(gw.port)
            client.send(post())
            async with asyncio.timeout(5):
                while not two.requests or not one.requests:
                    await asyncio.sleep(0.005)
                client.close()
                while not two.gone or not one.gone:
                    await asyncio.sleep(0.005)
            assert [(f.reason, f.count) for f in await gw.kept.wait(Dropped)] == [("client-left", 1)]
            assert len(gw.kept.of(Exposed)) == 1


# -- interleaving ------------------------------------------------------------------------------------------------------


def interleaved(one: str, two: str, **changes: object) -> object:
    return route(
        one,
        two,
        **{
            "mode": "interleave",
            "weight": 1.0,
            "method": "team-draft",
            "ranking": Ranking(items="$.items", id="$.id"),
            **changes,
        },
    )


async def test_two_lists_become_one_in_the_champions_shape() -> None:
    async with ToyServer(says(body("a", "b", "c"))) as one, ToyServer(says(body("d", "a", "e"))) as two:
        async with gate(interleaved(one.url, two.url)) as gw:  # type: ignore[arg-type]
            answer = await ask(gw.port, post())
            (shown,) = await gw.kept.wait(Shown)
            got = json.loads(answer.body)
            assert tuple(item["id"] for item in got["items"]) == shown.items
            assert got["took"] == 1.5
            assert answer.get(b"content-length") == b"%d" % len(answer.body)
            assert set(shown.owners) == {"v1", "v2"}
            assert (shown.excluded, shown.method, len(shown.items)) == ("", "team-draft", 3)
            (fact,) = await gw.exposed()
            assert (fact.arm, fact.served_by, fact.failed, fact.mode) == ("v2", "v1+v2", False, "interleave")
            assert fact.decision_id == shown.decision_id
            again = await ask(gw.port, post())
            assert again.body == answer.body


@pytest.mark.parametrize(
    ("first", "second", "served", "excluded"),
    [
        (says(body("a", "b")), says(body("a", "b")), "v1", "same"),
        (says(body("a", "b")), hangs, "v1", "late"),
        (says(body("a", "b")), says(b"", b"500 Oh"), "v1", "one-ranker"),
        (says(body("a", "b")), says(b'{"items": 3}'), "v1", "one-ranker"),
        (hangs, says(body("c")), "v2", "late"),
        (says(b"", b"503 Oh"), says(body("c")), "v2", "one-ranker"),
    ],
)
async def test_one_ranker_is_enough(first: object, second: object, served: str, excluded: str) -> None:
    async with ToyServer(first) as one, ToyServer(second) as two:  # type: ignore[arg-type]
        async with gate(interleaved(one.url, two.url, deadline=0.3)) as gw:  # type: ignore[arg-type]
            answer = await ask(gw.port, post())
            assert answer.body == (body("a", "b") if served == "v1" else body("c"))
            (shown,) = await gw.kept.wait(Shown)
            assert (shown.excluded, set(shown.owners)) == (excluded, {""})
            (fact,) = await gw.exposed()
            assert (fact.served_by, fact.arm) == (served, "v2")
            assert fact.failed is (served == "v1" and excluded != "same")


async def test_no_ranker_and_no_list() -> None:
    async with ToyServer(says(b"mine", b"500 Oh")) as one, ToyServer(says(b"", b"500 Oh")) as two:
        async with gate(interleaved(one.url, two.url)) as gw:  # type: ignore[arg-type]
            answer = await ask(gw.port, post())
            assert (answer.status, answer.body) == (500, b"mine")
            one.behaviour = says(b"who?", b"422 Unprocessable")
            two.behaviour = hangs
            answer = await ask(gw.port, post())
            assert (answer.status, answer.body) == (422, b"who?")
            assert len(await gw.exposed(2)) == 2


async def test_a_reply_that_is_no_list_streams_through() -> None:
    async def stream(_: Got, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"4\r\nabcd\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")

    large = b'{"items": [' + b" " * (3 << 20) + b"]}"
    async with ToyServer(stream) as one, ToyServer(says(body("a"))) as two:
        async with gate(interleaved(one.url, two.url)) as gw:  # type: ignore[arg-type]
            assert (await ask(gw.port, post())).body == b"abcd"
            one.behaviour = says(large)
            assert (await ask(gw.port, post(), 10)).body == large
            assert [fact.excluded for fact in await gw.kept.wait(Shown, 2)] == ["unreadable", "unreadable"]
            assert [fact.served_by for fact in await gw.exposed(2)] == ["v1", "v1"]


async def test_a_challenger_reply_too_large_to_hold_passes_unread() -> None:
    async def large(_: Got, writer: asyncio.StreamWriter) -> None:
        # Rubbish as JSON: it must pass all the same, in chunks that never told its size.
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(large) as two:
        async with gate(route(one.url, two.url, mode="canary", weight=1.0)) as gw:
            assert (await ask(gw.port, post(), 10)).body == bytes(65536 * 40)
            (fact,) = await gw.exposed()
            assert (fact.served_by, fact.failed, fact.size) == ("v2", False, 65536 * 40)


async def test_a_compressed_prediction_is_read_in_a_copy() -> None:
    import gzip

    packed = gzip.compress(CHALLENGERS)
    headers = b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
    async with ToyServer(says(CHAMPIONS)) as one, ToyServer(raw(sized(packed, headers=headers))) as two:
        async with gate(route(one.url, two.url, mode="canary", weight=1.0)) as gw:
            assert (await ask(gw.port, post())).body == packed
            two.behaviour = raw(sized(b"\x00 brotli, say", headers=headers.replace(b"gzip", b"br")))
            assert (await ask(gw.port, post())).body == b"\x00 brotli, say"
            assert [fact.failed for fact in await gw.exposed(2)] == [False, False]
