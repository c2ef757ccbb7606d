"""Conversations in which copies go to hidden arms. The user's lines are the champion's alone."""

from __future__ import annotations

from crossfade.live.exchange.examine import LIMIT
from crossfade.live.exchange.messages import Compare
from crossfade.live.exchange.mirrored import compared
from crossfade.spec.model import Arm

from .playbook import CHALLENGER, Playbook, route

BOTH = ("call 0 v1 8s", "mirror 1 v1 8s", "mirror 2 v2 8s")


def test_both_answers_and_the_noise_are_paired() -> None:
    play = Playbook(route("shadow")).begins(*BOTH)
    play.at(1).starts(1).starts(2)
    play.at(2).replies(0, '{"a": 1}', "exposed v1 by v1 200 2000ms", 'reply 200 {"a": 1}.').is_open()
    play.at(3).replies(1, '{"a": 1}').at(4).replies(2, '{"a": 2}', "compare v2 and noise").is_done()
    (pair,) = [command for command in play.commands if isinstance(command, Compare)]
    fact = compared(pair)
    assert (fact.champion_ms, fact.challenger_ms) == (2000.0, 3000.0)
    assert (fact.differs, fact.fields, fact.noise_differs) == (True, ("$.a",), False)
    assert (fact.champion_failed, fact.challenger_failed, fact.arm, fact.stage) == (False, False, "v2", 1)


def test_copies_that_come_first_wait_for_the_champion() -> None:
    play = Playbook(route("shadow", noise=0.0)).begins("call 0 v1 8s", "mirror 2 v2 8s")
    play.replies(2, "{}").replies(0, "{", "reply 200 { …", ended=False)
    play.goes_on(0, "}", "exposed v1 by v1 200 0ms", "more }.", "compare v2", ended=True).is_done()


def test_a_hung_copy_is_cancelled_at_its_own_deadline() -> None:
    play = Playbook(route("shadow", noise=0.0)).begins("call 0 v1 8s", "mirror 2 v2 8s").starts(2)
    play.replies(0, "{}", "exposed v1 by v1 200 0ms", "reply 200 {}.").is_open()
    play.at(8).is_late(2, "cancel 2", "compare v2").is_done()
    (pair,) = [command for command in play.commands if isinstance(command, Compare)]
    fact = compared(pair)
    assert (fact.challenger_failed, fact.reason, fact.challenger_ms) == (True, "timeout", 8000.0)


def test_copies_without_room_are_forgotten() -> None:
    play = Playbook(route("shadow")).begins(*BOTH).fails(1, "dropped").fails(2, "dropped")
    play.replies(0, "{}", "exposed v1 by v1 200 0ms", "reply 200 {}.").is_done()
    play = Playbook(route("shadow")).begins(*BOTH).fails(1, "dropped").replies(2, "{}")
    play.replies(0, "{}", "exposed v1 by v1 200 0ms", "reply 200 {}.", "compare v2").is_done()


def test_the_champions_failure_is_part_of_the_pair() -> None:
    play = Playbook(route("shadow", noise=0.0)).begins("call 0 v1 8s", "mirror 2 v2 8s").replies(2, "{}")
    play.replies(0, "oh", "exposed v1 by v1 500 failed status 0ms", "reply 500 oh.", "compare v2", status=500).is_done()
    (pair,) = [command for command in play.commands if isinstance(command, Compare)]
    fact = compared(pair)
    assert (fact.champion_failed, fact.challenger_failed, fact.differs, fact.reason) == (True, False, False, "")


def test_a_client_that_leaves_early_leaves_nothing_to_compare() -> None:
    play = Playbook(route("shadow")).begins(*BOTH).replies(2, "{}")
    play.client_leaves("cancel 0", "exposed v1 by nobody 0 client-left 0ms", "cancel 1", "count 1 client-left")
    play.is_done()


def test_answers_too_large_to_keep_are_counted() -> None:
    large = "x" * (LIMIT + 1)
    play = Playbook(route("shadow", noise=0.0)).begins("call 0 v1 8s", "mirror 2 v2 8s")
    play.replies(0, large, f"reply 200 {large} …", "cancel 2", "count 1 large", ended=False)
    play.goes_on(0, "", "exposed v1 by v1 200 0ms", "more .", ended=True).is_done()
    play = Playbook(route("shadow", noise=0.0)).begins("call 0 v1 8s", "mirror 2 v2 8s")
    play.replies(2, large, "cancel 2", "count 1 large", ended=False)
    play.replies(0, "{}", "exposed v1 by v1 200 0ms", "reply 200 {}.").is_done()


def test_several_shadows_are_paired_one_by_one() -> None:
    shadows = route("shadow", noise=0.0, challengers=(CHALLENGER, Arm(name="v3", url="http://three", timeout=2.0)))
    play = Playbook(shadows).begins("call 0 v1 8s", "mirror 2 v2 8s", "mirror 3 v3 2s")
    play.replies(0, "{}", "exposed v1 by v1 200 0ms", "reply 200 {}.")
    play.fails(3, "refused", "compare v3").is_open().replies(2, "{}", "compare v2").is_done()


def test_no_share_no_copies() -> None:
    Playbook(route("shadow", mirror=0.0)).begins("call 0 v1 8s")
    Playbook(route("shadow", noise=0.0)).begins("call 0 v1 8s", "mirror 2 v2 8s")


def test_health_checks_are_not_mirrored() -> None:
    Playbook(route("shadow"), method="HEAD").begins("call 0 v1 8s")


def test_a_copy_that_this_machine_could_not_send_is_counted_and_not_compared() -> None:
    play = Playbook(route("shadow", noise=0.0)).begins("call 0 v1 8s", "mirror 2 v2 8s")
    play.fails(2, "exhausted", "count 1 exhausted")
    play.replies(0, "{}", "exposed v1 by v1 200 0ms", "reply 200 {}.").is_done()
