"""Conversations in which one arm answers, and the champion stands behind a challenger."""

from __future__ import annotations

import pytest

from crossfade.live.exchange import passing
from crossfade.live.exchange.examine import LIMIT
from crossfade.live.exchange.messages import Arrived, Begun, Head, Late, Record, Reply

from .playbook import CHAMPION, STREAM, Playbook, route, say


def test_the_champion_answers() -> None:
    play = Playbook(route("champion")).begins("call 0 v1 8s")
    play.at(0.25).replies(0, "{}", "exposed v1 by v1 200 250ms", "reply 200 {}.").is_done()
    (reply,) = [command for command in play.commands if isinstance(command, Reply)]
    assert reply.extra == ((b"x-crossfade-decision", b"d"),)


def test_the_champions_reply_flows_as_it_comes() -> None:
    play = Playbook(route("champion")).begins("call 0 v1 8s")
    play.replies(0, "a", "reply 200 a …", ended=False).goes_on(0, "b", "more b …")
    play.at(0.5).goes_on(0, "", "exposed v1 by v1 200 500ms", "more .", ended=True).is_done()


def test_a_challengers_reply_is_held_until_it_is_known_to_be_usable() -> None:
    play = Playbook(route("canary")).begins("call 0 v2 5s")
    play.replies(0, '{"a":', ended=False).goes_on(0, " 1")
    play.at(1).goes_on(0, "}", "exposed v2 by v2 200 1000ms", 'reply 200 {"a": 1}.', ended=True).is_done()


@pytest.mark.parametrize(("body", "reason"), [('{"a": NaN}', "nan"), ("{", "broken"), ("", "broken")])
def test_an_unusable_reply_becomes_the_champions(body: str, reason: str) -> None:
    play = Playbook(route("ab")).begins("call 0 v2 5s")
    play.at(1).replies(0, body, "call 1 v1 8s")
    play.at(2).replies(1, "{}", f"exposed v2 by v1 200 failed {reason} 1000ms", "reply 200 {}.").is_done()


def test_an_error_status_is_not_waited_out() -> None:
    play = Playbook(route("canary")).begins("call 0 v2 5s")
    play.replies(0, "half an err", "cancel 0", "call 1 v1 8s", status=500, ended=False)
    play.goes_on(0, "or")
    play.replies(1, "x", "exposed v2 by v1 404 failed status 0ms", "reply 404 x.", status=404).is_done()


@pytest.mark.parametrize("kind", ["refused", "broken", "timeout"])
def test_a_lost_challenger_leaves_the_champion_the_rest_of_the_deadline(kind: str) -> None:
    play = Playbook(route("promote", deadline=6.0)).begins("call 0 v2 3s")
    play.at(2.5).fails(0, kind, "call 1 v1 3.5s")
    play.at(3).replies(1, "{}", f"exposed v2 by v1 200 failed {kind} 2500ms", "reply 200 {}.").is_done()


def test_what_this_machine_lacks_is_not_held_against_the_challenger() -> None:
    play = Playbook(route("canary")).begins("call 0 v2 5s")
    play.fails(0, "exhausted", "call 1 v1 8s")
    play.replies(1, "{}", "exposed v2 by v1 200 exhausted 0ms", "reply 200 {}.").is_done()
    (fact,) = [command.fact for command in play.commands if isinstance(command, Record)]
    assert (fact.failed, fact.reason) == (False, "exhausted")


def test_a_late_challenger_is_given_up_at_half_the_deadline() -> None:
    play = Playbook(route("canary")).begins("call 0 v2 5s")
    play.at(5).is_late(0, "cancel 0", "call 1 v1 5s").replies(0, "{}")
    play.at(6).replies(1, "{}", "exposed v2 by v1 200 failed timeout 5000ms", "reply 200 {}.").is_done()


def test_a_challenger_cut_in_the_middle_of_a_held_reply_is_nobodys_loss() -> None:
    play = Playbook(route("canary")).begins("call 0 v2 5s").replies(0, '{"a"', ended=False)
    play.fails(0, "broken", "call 1 v1 8s")
    play.replies(1, "{}", "exposed v2 by v1 200 failed broken 0ms", "reply 200 {}.").is_done()


def test_a_reply_cut_after_it_began_cannot_be_replaced() -> None:
    play = Playbook(route("canary")).begins("call 0 v2 5s")
    play.replies(0, "data", "reply 200 data …", headers=STREAM, ended=False)
    play.fails(0, "broken", "abort", "exposed v2 by v2 200 failed broken 0ms").is_done()


def test_a_stream_may_last_but_not_fall_silent() -> None:
    play = Playbook(route("champion")).begins("call 0 v1 8s")
    play.at(1).replies(0, "a", "reply 200 a …", headers=STREAM, ended=False)
    play.at(8).is_late(0, "watch 0 3s").at(10).goes_on(0, "b", "more b …")
    play.at(11).is_late(0, "watch 0 9s")
    play.at(20).is_late(0, "cancel 0", "abort", "exposed v1 by v1 200 failed timeout 20000ms").is_done()


def test_more_than_the_limit_is_passed_on_unread() -> None:
    half = "x" * (LIMIT // 2 + 1)
    play = Playbook(route("canary")).begins("call 0 v2 5s").replies(0, half, ended=False)
    play.goes_on(0, half, f"reply 200 {half + half} …")
    play.goes_on(0, "", "exposed v2 by v2 200 0ms", "more .", ended=True).is_done()


def test_a_4xx_is_passed_on_and_counted() -> None:
    play = Playbook(route("canary")).begins("call 0 v2 5s")
    play.replies(0, "no", "exposed v2 by v2 422 failed status 0ms", "reply 422 no.", status=422).is_done()


def test_nobody_left_to_ask() -> None:
    play = Playbook(route("canary")).begins("call 0 v2 5s").fails(0, "refused", "call 1 v1 8s")
    commands = play.at(8).exchange.receive(Late(8.0, 1))
    assert [say(command).split(" {")[0] for command in commands] == [
        "cancel 1",
        "exposed v2 by nobody 504 failed refused 0ms",
        "reply 504",
    ]
    play.is_done()


def test_the_champions_failure_is_its_own() -> None:
    play = Playbook(route("champion")).begins("call 0 v1 8s")
    play.replies(0, "oh", "exposed v1 by v1 503 failed status 0ms", "reply 503 oh.", status=503).is_done()


def test_both_arms_are_judged_by_the_same_measure() -> None:
    play = Playbook(route("canary", weight=0.0)).begins("call 0 v1 8s")
    play.replies(0, '{"a":', 'reply 200 {"a": …', ended=False)
    play.goes_on(0, "NaN}", "exposed v1 by v1 200 failed nan 0ms", "more NaN}.", ended=True).is_done()


def test_outside_an_experiment_replies_are_not_read() -> None:
    play = Playbook(route("champion")).begins("call 0 v1 8s")
    play.replies(0, "NaN", "exposed v1 by v1 200 0ms", "reply 200 NaN.").is_done()


def test_a_client_that_leaves() -> None:
    waiting = Playbook(route("canary")).begins("call 0 v2 5s")
    waiting.at(1).client_leaves("cancel 0", "exposed v2 by nobody 0 client-left 1000ms").is_done()
    reading = Playbook(route("champion")).begins("call 0 v1 8s").replies(0, "a", "reply 200 a …", ended=False)
    reading.client_leaves("cancel 0", "exposed v1 by v1 200 client-left 0ms").is_done()
    falling = Playbook(route("canary")).begins("call 0 v2 5s").fails(0, "refused", "call 1 v1 8s")
    falling.client_leaves("cancel 1", "exposed v2 by nobody 0 failed refused 0ms").is_done()


def test_the_arm_is_told_only_where_the_spec_reveals_it() -> None:
    play = Playbook(route("canary", reveal=True)).begins("call 0 v2 5s").fails(0, "refused", "call 1 v1 8s")
    play.replies(1, "{}", "exposed v2 by v1 200 failed refused 0ms", "reply 200 {}.")
    (reply,) = [command for command in play.commands if isinstance(command, Reply)]
    assert reply.extra == ((b"x-crossfade-decision", b"d"), (b"x-crossfade-arm", b"v1"))


def test_outside_every_route_nothing_is_added_or_recorded() -> None:
    through = passing(CHAMPION, 60.0)
    assert [say(command) for command in through.receive(Begun(0.0))] == ["call 0 v1 8s"]
    (reply,) = through.receive(Arrived(1.0, 0, Head(200, b"OK", ()), b"x", True))
    assert isinstance(reply, Reply)
    assert reply.extra == ()
    assert through.done


def test_an_ejected_challengers_unit_gets_the_champion_at_once_and_stays_its_own() -> None:
    play = Playbook(route("canary"), ejected=True).begins("call 0 v1 8s")
    play.at(0.5).replies(0, "{}", "exposed v2 by v1 200 failed ejected 500ms", "reply 200 {}.").is_done()


def test_behind_an_ejected_challenger_there_is_nobody_but_the_champion() -> None:
    play = Playbook(route("promote"), ejected=True).begins("call 0 v1 8s")
    play.at(1).replies(0, "x", "exposed v2 by v1 500 failed ejected 1000ms", "reply 500 x.", status=500).is_done()


def test_ejection_is_nothing_to_a_unit_of_the_champion() -> None:
    play = Playbook(route("canary", weight=0.0), ejected=True).begins("call 0 v1 8s")
    play.replies(0, "{}", "exposed v1 by v1 200 0ms", "reply 200 {}.").is_done()
