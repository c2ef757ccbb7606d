"""Conversations in a canary or an A/B test in which the arm that does not serve answers a copy."""

from __future__ import annotations

import pytest

from crossfade.facts import Compared, Exposed
from crossfade.live.assign import assign
from crossfade.live.exchange import copied, exchange
from crossfade.live.exchange.messages import Compare, Record
from crossfade.live.exchange.mirrored import compared
from crossfade.spec.model import Arm

from .playbook import CHALLENGER, Playbook, asked, route

COPIED = {"counterfactual": 1.0, "both": True}


def pair_of(play: Playbook) -> Compared:
    (pair,) = [command for command in play.commands if isinstance(command, Compare)]
    return compared(pair)


def exposed_of(play: Playbook) -> Exposed:
    (fact,) = [command.fact for command in play.commands if isinstance(command, Record)]
    assert isinstance(fact, Exposed)
    return fact


def test_the_challenger_answers_a_copy_of_a_champions_request() -> None:
    play = Playbook(route("ab", weight=0.0, **COPIED)).begins("call 0 v1 8s", "mirror 2 v2 5s")
    play.at(1).replies(0, '{"a": 1}', "exposed v1 by v1 200 1000ms", 'reply 200 {"a": 1}.').is_open()
    play.at(2).starts(2).at(4).replies(2, '{"a": 2}', "compare v2").is_done()
    fact = pair_of(play)
    assert (fact.arm, fact.served, fact.differs, fact.champion_ms, fact.challenger_ms) == ("v2", "v1", True, 1e3, 2e3)
    assert exposed_of(play).copied


def test_the_champion_answers_a_copy_of_a_challengers_request_where_both_are_asked_for() -> None:
    play = Playbook(route("ab", **COPIED)).begins("call 0 v2 5s", "mirror 2 v1 8s")
    play.at(1).starts(2).at(2).replies(2, '{"a": 1}')
    play.at(3).replies(0, '{"a": 2}', "exposed v2 by v2 200 3000ms", 'reply 200 {"a": 2}.', "compare v2").is_done()
    fact = pair_of(play)
    assert (fact.arm, fact.served, fact.differs, fact.champion_ms, fact.challenger_ms) == ("v2", "v2", True, 1e3, 3e3)
    Playbook(route("ab", counterfactual=1.0)).begins("call 0 v2 5s")


@pytest.mark.parametrize("how", ["refused", "500", "late", "flawed"])
def test_a_challenger_that_fails_its_user_has_failed_in_the_pair_too(how: str) -> None:
    play = Playbook(route("canary", **COPIED)).begins("call 0 v2 5s", "mirror 2 v1 8s").starts(2)
    match how:
        case "refused":
            play.fails(0, "refused", "call 1 v1 8s")
        case "500":
            play.replies(0, "oh", "cancel 0", "call 1 v1 8s", status=500, ended=False)
        case "late":
            play.is_late(0, "cancel 0", "call 1 v1 8s")
        case "flawed":
            play.replies(0, '{"a": NaN}', "call 1 v1 8s")
    play.replies(2, '{"a": 1}', "compare v2").is_open()
    reason = {"500": "status", "late": "timeout", "flawed": "nan"}.get(how, how)
    play.replies(1, '{"a": 1}', f"exposed v2 by v1 200 failed {reason} 0ms", 'reply 200 {"a": 1}.').is_done()
    fact = pair_of(play)
    assert (fact.challenger_failed, fact.champion_failed, fact.reason, fact.served) == (True, False, reason, "v2")


def test_a_challenger_that_is_out_counts_as_failed_and_gets_no_copy() -> None:
    play = Playbook(route("ab", **COPIED), ejected=True).begins("call 0 v1 8s")
    play.replies(0, "{}", "exposed v2 by v1 200 failed ejected 0ms", "reply 200 {}.", "compare v2").is_done()
    fact = pair_of(play)
    assert (fact.challenger_failed, fact.reason, fact.served) == (True, "ejected", "v1")


def test_of_several_challengers_each_answers_a_copy_and_the_champion_one() -> None:
    two = route("ab", challengers=(CHALLENGER, Arm(name="v3", url="http://three", timeout=2.0)), weight=0.0, **COPIED)
    play = Playbook(two).begins("call 0 v1 8s", "mirror 2 v2 5s", "mirror 3 v3 2s").fails(2, "dropped")
    play.replies(3, "{}").replies(0, "{}", "exposed v1 by v1 200 0ms", "reply 200 {}.", "compare v3").is_done()


def test_units_are_drawn_once_and_alike_in_both_arms() -> None:
    half = route("ab", weight=0.5, counterfactual=0.3, both=True)
    drawn = {
        unit: copied(half, asked(unit, decision_id=f"d{n}"), assign(half, unit).arm == "v2")
        for n, unit in enumerate(f"u{n % 2000}" for n in range(4000))
    }
    again = {unit: copied(half, asked(unit, decision_id="other"), False) for unit in drawn}
    assert drawn == again
    for arm in ("v1", "v2"):
        mine = [yes for unit, yes in drawn.items() if assign(half, unit).arm == arm]
        assert 0.25 < sum(mine) / len(mine) < 0.35


def test_nothing_is_copied_that_no_prediction_is_asked_of_nor_without_a_unit_nor_when_all_is_spent() -> None:
    Playbook(route("ab", **COPIED), method="HEAD").begins("call 0 v2 5s")
    Playbook(route("ab", **COPIED), unit="").begins("call 0 v1 8s")
    play = Playbook(route("ab", spent=True, **COPIED)).begins("call 0 v2 5s")
    play.replies(0, "{}", "exposed v2 by v2 200 0ms", "reply 200 {}.").is_done()
    assert exposed_of(play).copied, "the record says that a copy was due, so that it is known to be missing"


def test_a_rollout_without_copies_has_no_part_of_it() -> None:
    plain = route("ab")
    assert type(exchange(plain, asked(), assign(plain, "u"))).__name__ == "Served"
