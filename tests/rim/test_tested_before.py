"""Rollouts that were interleaved and A/B tested say what the next one's preference may be worth."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest

from crossfade.console.rollout_page import rollout_page
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.rim.remembered import Remembered
from crossfade.rim.standing import all_standing, standing
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move
from crossfade.view.record import line_in_words

SPEC = """
name: {name}
route: /{route}
protocol: json
unit: header:x-user-id
ranking: {{items: $.items, id: $.id}}
champion:   {{name: v1, url: "http://127.0.0.1:8101"}}
challenger: {{name: v2, url: "http://127.0.0.1:8102"}}
metrics:
  purchase: {{from: outcome, kind: rate, window: 1h, better: higher, goal: true}}
stages:
  - interleave: {{weight: 10%, method: {method}}}
  - ab: {{weight: 50%}}
  - promote: {{holdback: 0%}}
"""


def text(name: str, **spec: str) -> str:
    return SPEC.format(name=name, **{"route": "search", "method": "team-draft", **spec})


def line(metric: str, stage: str, estimate: float, width: float) -> dict[str, Any]:
    told = Evidence(
        metric=metric,
        kind="rate",
        arm="v2",
        baseline="v1",
        stage=stage,
        step=None,
        units={"v1": 900, "v2": 900},
        estimate=estimate,
        lower=estimate - width,
        upper=estimate + width,
        confidence=0.95,
        limit=0.0,
        better="higher",
        role="goal",
        verdict=Verdict.SAFE,
    )
    return told.to_json()


def run(store: Store, name: str, preference: float, effect: float | None, **spec: str) -> None:
    """A rollout on the record: interleaved, and A/B tested where there is an effect."""
    store.add(text(name, **spec), parse(text(name, **spec)), 1.0)

    def move(what: Move, *evidence: dict[str, Any]) -> None:
        store.act(name, what, actor="rule", rule="cleared", sentence="So.", at=2.0, evidence=list(evidence))

    move(Move.START)
    told = line("preference", "interleave", preference, 0.02)
    if effect is None:
        store.save_view(name, {**standing(store, name, 3.0), "evidence": [told], "lines": []})
        return
    move(Move.ADVANCE, told)
    move(Move.PROMOTE, line("purchase", "ab", effect, 0.002))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_one_rollout_tells_what_it_was_here(store: Store) -> None:
    run(store, "one", 0.2, 0.01)
    worth = standing(store, "one", 9.0)["worth"]
    assert worth["expected"] == []
    assert [told["text"] for told in worth["both"]] == [
        "here, v2 was preferred by +0.200, and the A/B test found purchase +1.0 pp [+0.8, +1.2]"
    ]


def test_earlier_rollouts_on_the_route_give_a_forecast(store: Store) -> None:
    run(store, "one", 0.2, 0.010)
    run(store, "two", 0.1, 0.006)
    run(store, "elsewhere", 0.2, 0.9, route="other")
    run(store, "otherwise", 0.2, 0.9, method="balanced")
    run(store, "now", 0.3, None)
    record = standing(store, "now", 9.0)
    (told,) = record["worth"]["expected"]
    assert told["past"] == 2
    assert told["estimate"] == pytest.approx(0.3 * (0.2 * 0.010 + 0.1 * 0.006) / (0.04 + 0.01))
    assert told["lower"] < told["estimate"] < told["upper"]
    assert "by 2 earlier rollouts that were tested both ways" in told["text"]
    assert [one["rollout"] for one in record["worth"]["both"]] == ["one", "two"]
    shown = line_in_words(parse(text("now")), Evidence.from_json(record["evidence"][0]))
    page = rollout_page({**record, "lines": [shown]}, {"steps": [], "looks": [], "end": 9.0}, 9.0)
    assert "What a preference may be worth" in page
    assert told["text"][1:] in html.unescape(page)


def test_nobody_knows_without_a_rollout_that_was_tested_both_ways(store: Store) -> None:
    run(store, "now", 0.3, None)
    (told,) = standing(store, "now", 9.0)["worth"]["expected"]
    assert told["estimate"] is None
    assert told["text"] == (
        "what a preference is worth in purchase is not known: no rollout here has been both interleaved and A/B tested"
    )


def test_a_list_reads_each_ledger_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(6):
        run(store, f"r{n}", 0.1, 0.01)
    asked: list[str] = []
    once = Remembered.twice
    monkeypatch.setattr(Remembered, "twice", lambda self, stored: asked.append(stored.name) or once(self, stored))
    records = all_standing(store, 9.0)
    assert sorted(asked) == [f"r{n}" for n in range(6)]
    assert [len(record["worth"]["both"]) for record in records] == [6] * 6
    assert records[3] == standing(store, "r3", 9.0)
