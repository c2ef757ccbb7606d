"""Each page has the same record as JSON and its rows as CSV, and links to both; ledger, drift and health are pages."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from pathlib import Path

import httpx
import pytest

from crossfade.console.checking import Checks
from crossfade.console.ledger_page import A_PAGE
from crossfade.console.twins import as_csv
from crossfade.rim.store import Store
from crossfade.state import Move

from .conftest import TOKEN
from .test_acting import OURS
from .test_pages import parsed

ONE = "/rollouts/ranker-v2"
PAGES = ("/rollouts", ONE, f"{ONE}/differences", f"{ONE}/lists", f"{ONE}/drift", f"{ONE}/ledger", "/health")


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_has_its_twins(client: httpx.AsyncClient, path: str) -> None:
    if path != "/rollouts":
        shown = await client.get(path)
        assert shown.status_code == 200
        page = parsed(shown.text)
        assert "h1" in page.tags
        if "being summed up" not in shown.text:
            assert f'href="{path}.json"' in shown.text
            assert f'href="{path}.csv"' in shown.text
    told = await client.get(f"{path}.json")
    assert (told.status_code, isinstance(told.json(), dict)) == (200, True)
    sheet = await client.get(f"{path}.csv")
    assert (sheet.status_code, sheet.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    head, *rows = csv.reader(io.StringIO(sheet.text))
    assert all(len(row) == len(head) for row in rows)
    assert rows or path.endswith(("differences", "lists", "drift"))


async def test_a_name_that_is_not_there_has_none(client: httpx.AsyncClient) -> None:
    for end in (
        "",
        ".json",
        ".csv",
        "/ledger",
        "/ledger.json",
        "/ledger.csv",
        "/drift",
        "/drift.json",
        "/differences.csv",
        "/lists",
        "/lists.json",
    ):
        answer = await client.get(f"/rollouts/nobody{end}")
        assert answer.status_code == 404, end
        looks = await client.get(f"/rollouts/nobody{end}", headers={"accept": "text/html"})
        assert (looks.status_code, looks.text[:9]) == (404, "<!doctype"), end


def test_no_cell_is_carried_out_by_a_spreadsheet() -> None:
    rows = [{"a": "=1+1", "b": -1.5, "c": None, "d": {"x": "é"}, "e": '@"'}]
    body = bytes(as_csv(rows, "abcde", "x").body).decode()
    assert body == 'a,b,c,d,e\r\n\'=1+1,-1.5,,"{""x"":""é""}","\'@"""\r\n'


async def test_an_entry_is_shown_with_its_arithmetic_and_entries_by_the_page(
    client: httpx.AsyncClient, store: Store
) -> None:
    for n in range(A_PAGE // 2 + 1):
        for move in (Move.HOLD, Move.RESUME):
            said = f"{move} {n} <i>"
            store.act("ranker-v2", move, actor="ana", rule="manual", sentence=said, at=time.time(), evidence=LINES)
    first, second = [(await client.get(f"{ONE}/ledger", params={"page": at})).text for at in ("1", "2")]
    for text in (first, second):
        parsed(text)
        assert "<i>" not in text
    assert ("hold 0" in first, "hold 0" in second, "page 2 of 2" in second) == (False, True, True)
    assert "the chain of" in first.lower()
    shown = (await client.get(f"{ONE}/ledger/5")).text
    parsed(shown)
    for words in ("Evidence as it stood", "errors", "needs 1/alpha", "<dd>ana", "not checked"):
        assert words in shown, words
    assert (await client.get(f"{ONE}/ledger/5.json")).json()["n"] == 5
    assert (await client.get(f"{ONE}/ledger/999")).status_code == 404
    assert (await client.get(f"{ONE}/ledger/x")).status_code == 422


@pytest.mark.timeout(240)
async def test_a_check_is_asked_for_by_who_may_read_and_its_result_stays(
    client: httpx.AsyncClient, store: Store, data: Path
) -> None:
    for form, headers, status in (({}, OURS, 401), ({"token": "wrong"}, OURS, 401), ({"token": TOKEN}, {}, 403)):
        answer = await client.post(f"{ONE}/check", data=form, headers={**headers, "content-type": FORM})
        assert answer.status_code == status
    assert Checks(data).latest("ranker-v2") is None
    assert (await client.post(f"{ONE}/check", data={"token": TOKEN}, headers=OURS)).status_code == 303
    for _ in range(1800):
        told = (await client.get(f"{ONE}/ledger.json")).json()
        if told["checked"] is not None:
            break
        assert told["checking_since"] is not None
        await asyncio.sleep(0.1)
    assert (told["checked"]["upto"], told["checked"]["problem"]) == (store.get("ranker-v2").seq, "")
    assert told["checked"]["verify"]["intact"]
    # Made by hand for the tests, without facts: none of the rules' moves comes out of nothing.
    replays = [entry["replay"] for entry in told["entries"]]
    assert replays[:2] == [None, "by hand"]
    assert set(replays[2:]) == {"differs"}
    shown = (await client.get(f"{ONE}/ledger")).text
    for words in ("✖ differs", "◆ carried out again", "of 3 decisions reproduced", "no facts have been sealed yet"):
        assert words in shown, words


async def test_health_says_what_is_not_well(client: httpx.AsyncClient) -> None:
    text = (await client.get("/health")).text
    assert "Not well: controller, gateways." in text
    assert "No gateway has been heard" in text
    told = (await client.get("/health.json")).json()
    assert (told["ready"], told["checks"]["store"]["ok"]) == (False, True)
    assert [one["arm"] for one in told["models"]] == ["v1", "v2"]


FORM = "application/x-www-form-urlencoded"

LINES = [
    {
        "schema": "crossfade.evidence/1", "metric": "errors", "kind": "rate", "arm": "v2", "baseline": "v1",
        "stage": "canary", "step": 1, "segment": None, "units": {"v1": 100, "v2": 10}, "estimate": 0.01, "lower": -0.1,
        "upper": None, "confidence": 0.95, "confidence_safe": None, "e_value": 1.2, "e_value_safe": 0.4, "limit": 0.005,
        "better": "lower", "role": "guardrail", "verdict": "undecided", "reason": "", "window": None, "values": None,
        "events": None, "immature": 0, "assumptions": [], "counterfactual": None, "change": None,
    }
]  # fmt: skip
