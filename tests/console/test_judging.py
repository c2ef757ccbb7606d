"""Argo Rollouts and Flagger, asking as their documentation says they ask."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from crossfade.console.app import create_app
from crossfade.judge.evidence import Verdict
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.store import Store
from crossfade.rim.tokens import Tokens
from crossfade.state import Move
from crossfade.view import view
from view.sample import DECISION, INPUTS, ROLLOUT, evidence

ARGO = "/api/v1/rollouts/ranker-v2/argo"
FLAGGER = "/api/v1/rollouts/ranker-v2/flagger"
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"

# As Flagger's documentation has it, and as it posts events.
PAYLOAD = """{
  "name": "podinfo",
  "namespace": "test",
  "phase": "Progressing",
  "checksum": "85d557f47b",
  "metadata": {
    "test":  "all",
    "token":  "16688eb5e9f289f1991c"
  }
}"""
EVENT = """{
  "name": "podinfo",
  "namespace": "test",
  "phase": "Initialized",
  "checksum": "85d557f47b",
  "metadata": {
    "eventMessage": "New revision detected!",
    "eventType": "Normal",
    "timestamp": "1578607635167"
  }
}"""

Show = Callable[..., None]


@pytest.fixture
def show(store: Store) -> Show:
    """Saves what a look found: the sample's lines, each with this verdict."""

    def save(verdict: Verdict | None, age: float = 0.0) -> None:
        stored = store.get("ranker-v2")
        lines = [replace(one, verdict=verdict, reason="no data") for one in evidence()] if verdict else []
        entries = store.entries("ranker-v2")
        record = view(ROLLOUT, stored.position, lines, DECISION, entries, now=time.time() - age, **INPUTS)
        store.save_view("ranker-v2", record)

    return save


def phase_of(status: int, body: Any, path: str, success: str, failure: str) -> str:
    """What Argo makes of an answer: metricproviders/webmetric and utils/evaluate, for conditions of this form."""
    if not 200 <= status < 300:
        return "Error"
    found = body
    for key in re.fullmatch(r"\{\$\.?(.*)\}", path)[1].split("."):
        found = found[key]
    (succeeds, fails) = (found == re.fullmatch(r"result == '(\w+)'", each)[1] for each in (success, failure))
    return "Failed" if fails else "Successful" if succeeds else "Inconclusive"


def template() -> dict[str, Any]:
    """The metric of the guide's AnalysisTemplate."""
    blocks = re.findall(r"```yaml\n(.*?)```", (HOW_TO / "argo-rollouts.md").read_text(), re.DOTALL)
    (found,) = (one for block in blocks for one in yaml.safe_load_all(block) if one["kind"] == "AnalysisTemplate")
    return found["spec"]["metrics"][0]


@pytest.mark.parametrize(
    ("verdict", "phase"),
    [
        (Verdict.SAFE, "Successful"),
        (Verdict.HARMFUL, "Failed"),
        (Verdict.UNDECIDED, "Inconclusive"),
        (Verdict.UNMEASURED, "Error"),
        (None, "Error"),
    ],
)
async def test_the_guides_template_makes_of_each_verdict_what_it_says(
    client: httpx.AsyncClient, show: Show, verdict: Verdict | None, phase: str
) -> None:
    show(verdict)
    metric = template()
    url = metric["provider"]["web"]["url"].replace("{{args.rollout}}", "ranker-v2")
    assert "{{" not in url
    answer = await client.get(re.sub(r"^http://[^/]+", "", url))
    told = phase_of(
        answer.status_code,
        answer.json(),
        metric["provider"]["web"]["jsonPath"],
        metric["successCondition"],
        metric["failureCondition"],
    )
    assert told == phase, answer.text


async def test_argo_may_ask_for_a_metric_or_how_far_the_plan_is(client: httpx.AsyncClient, show: Show) -> None:
    show(Verdict.UNDECIDED)
    assert (await client.get(ARGO, params={"weight": 5})).json()["answer"] == "go"
    assert (await client.get(ARGO, params={"weight": 20})).json()["answer"] == "wait"
    answer = (await client.get(ARGO, params={"metric": ["errors", "latency"]})).json()
    assert (answer["answer"], answer["verdict"], answer["planned"]) == ("wait", "undecided", 0.05)
    assert answer["metrics"]["errors"] == "undecided"
    assert (await client.get(ARGO, params={"metric": "nothing"})).status_code == 422
    assert (await client.get(ARGO, params={"weight": 101})).status_code == 422
    assert (await client.get("/api/v1/rollouts/other/argo")).status_code == 404


async def test_an_old_look_is_no_measurement(client: httpx.AsyncClient, show: Show) -> None:
    show(Verdict.SAFE, age=61.0)
    answer = await client.get(ARGO)
    assert answer.status_code == 503
    assert "silent" in answer.json()["error"]


@pytest.mark.parametrize(
    ("verdict", "passing"),
    [
        (Verdict.SAFE, {"confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion"}),
        (Verdict.UNDECIDED, {"confirm-rollout", "pre-rollout", "rollout"}),
        (Verdict.UNMEASURED, {"confirm-rollout", "pre-rollout"}),
        (Verdict.HARMFUL, {"rollback"}),
    ],
)
async def test_each_of_flaggers_webhooks_passes_when_it_may(
    client: httpx.AsyncClient, show: Show, verdict: Verdict, passing: set[str]
) -> None:
    show(verdict)
    hooks = ["confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "rollback"]
    for hook in hooks:
        answer = await client.post(f"{FLAGGER}/{hook}", content=PAYLOAD, headers={"content-type": "application/json"})
        # Flagger takes whatever is beyond 202 for no.
        assert (answer.status_code <= 202) is (hook in passing), f"{hook}: {answer.text}"
        if answer.status_code not in (200, 409):
            assert (verdict, answer.status_code) == (Verdict.UNMEASURED, 503)


async def test_flaggers_events_are_taken_whatever_the_state(client: httpx.AsyncClient, show: Show) -> None:
    show(None)
    for hook in ("event", "post-rollout"):
        answer = await client.post(f"{FLAGGER}/{hook}", content=EVENT, headers={"content-type": "application/json"})
        assert answer.status_code == 200


async def test_after_a_rollback_everything_but_the_rollback_is_refused(
    client: httpx.AsyncClient, store: Store, show: Show
) -> None:
    store.act("ranker-v2", Move.ROLLBACK, actor="ana", rule="manual", sentence="Rolled back by ana: no", at=time.time())
    show(Verdict.SAFE)
    for hook in ("confirm-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion"):
        assert (await client.post(f"{FLAGGER}/{hook}", json=json.loads(PAYLOAD))).status_code == 409
    assert (await client.post(f"{FLAGGER}/rollback", json=json.loads(PAYLOAD))).status_code == 200
    assert (await client.get(ARGO)).json()["answer"] == "stop"


async def test_flagger_may_ask_by_metadata(client: httpx.AsyncClient, show: Show) -> None:
    show(Verdict.UNDECIDED)
    asked = {**json.loads(PAYLOAD), "metadata": {"weight": "5"}}
    assert (await client.post(f"{FLAGGER}/confirm-traffic-increase", json=asked)).status_code == 200
    for metadata in ({"weight": "nan"}, {"weight": "-1"}, {"weight": "much"}, {"metric": "nothing"}):
        answer = await client.post(f"{FLAGGER}/rollout", json={**asked, "metadata": metadata})
        assert answer.status_code == 422, metadata
    assert (await client.post(f"{FLAGGER}/confirm", json=asked)).status_code == 404
    assert (await client.post(f"{FLAGGER}/rollout", json={"name": "x"})).status_code == 422


async def test_a_question_that_cannot_be_read_is_not_answered_with_how_to_send_a_body(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(ARGO, params={"weight": "abc"})
    assert answer.status_code == 422
    assert answer.json()["what_to_do"] == "/openapi.json says what may be asked"


async def test_where_others_reach_the_port_both_need_a_token(
    store: Store, inbox: OutcomeInbox, data: Path, show: Show
) -> None:
    show(Verdict.SAFE)
    secret = Tokens(data).add("flagger", ["viewer"], at=time.time(), by="ana")
    app = create_app(store, inbox, data, token=None, private=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://crossfade") as client:
        assert (await client.get(ARGO)).status_code == 401
        assert (await client.get(ARGO, headers={"Authorization": f"Bearer {secret}"})).status_code == 200
        asked = json.loads(PAYLOAD)
        assert (await client.post(f"{FLAGGER}/rollout", json=asked)).status_code == 401
        asked["metadata"]["token"] = secret
        assert (await client.post(f"{FLAGGER}/rollout", json=asked)).status_code == 200
