"""MLflow's own registry: its alias follows what serves everyone."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossfade.rim.channels import Undelivered
from crossfade.rim.registry import RULE_NAME, current, follow
from crossfade.rim.standing import standing
from crossfade.rim.store import Store
from crossfade.rim.teller import Teller
from crossfade.spec.parse import parse
from crossfade.state import Move
from view.sample import SPEC, START

from .kit import PROGRAMS, ports, python, running

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    interpreter = python("mlflow")
    where = tmp_path_factory.mktemp("registry")
    (port,) = ports(1)
    command = [interpreter, str(PROGRAMS / "serve_registry.py"), str(port)]
    with running(command, port, "/health", where / "log"):
        url = f"http://127.0.0.1:{port}"
        said(url, "registered-models/create", {"name": "my ranker"})
        for _ in range(4):
            said(url, "model-versions/create", {"name": "my ranker", "source": "s3://nowhere/x"})
        yield url


def said(url: str, path: str, body: dict[str, Any]) -> Any:
    asked = urllib.request.Request(
        f"{url}/api/2.0/mlflow/{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=60) as reply:
        return json.loads(reply.read())


def moved(store: Store, name: str, what: Move, at: float) -> None:
    store.act(name, what, actor="ana", rule="manual", sentence=f"{what} by ana: so.", at=at)


def settled(tell: Teller, store: Store, name: str, version: int) -> None:
    registry = store.get(name).rollout.registry
    assert registry is not None
    end = time.monotonic() + 60
    while current(registry) != version or standing(store, name, START)["notices"][0]["waiting"]:
        assert time.monotonic() < end
        tell.turn()
        time.sleep(0.05)


def test_the_alias_is_moved_on_promotion_and_back_on_rollback(mlflow: str, tmp_path: Path) -> None:
    text = SPEC + f'registry: {{mlflow: "{mlflow}", model: my ranker, alias: champion, versions: {{v1: 3, v2: 4}}}}\n'
    store = Store(tmp_path)
    rollout = parse(text)
    store.add(text, rollout, START)
    name = rollout.name
    assert rollout.registry is not None
    tell = Teller(tmp_path)
    moved(store, name, Move.START, START + 1.0)
    tell.turn()
    assert current(rollout.registry) is None, "nothing is settled, so nothing is moved"
    moved(store, name, Move.PROMOTE, START + 2.0)
    settled(tell, store, name, 4)
    moved(store, name, Move.ROLLBACK, START + 3.0)
    settled(tell, store, name, 3)
    follow(store, store.get(name), START + 4.0)
    notes = [entry.sentence for entry in store.entries(name) if entry.rule == RULE_NAME]
    assert notes == [
        "The alias champion of my ranker names version 4 in the model registry.",
        "The alias champion of my ranker names version 3 in the model registry.",
    ]
    tell.close()


def test_a_registry_that_does_not_answer_is_told_and_tried_again(mlflow: str, tmp_path: Path) -> None:
    (nowhere,) = ports(1)
    text = SPEC + f'registry: {{mlflow: "http://127.0.0.1:{nowhere}", model: my ranker, versions: {{v1: 3, v2: 4}}}}\n'
    store, rollout = Store(tmp_path), parse(text)
    store.add(text, rollout, START)
    moved(store, rollout.name, Move.START, START + 1.0)
    moved(store, rollout.name, Move.PROMOTE, START + 2.0)
    with pytest.raises(Undelivered, match="cannot be reached"):
        follow(store, store.get(rollout.name), START)
    tell = Teller(tmp_path)
    end = time.monotonic() + 30
    while not (told := standing(store, rollout.name, START)["notices"][0])["error"]:
        assert time.monotonic() < end
        tell.turn()
        time.sleep(0.05)
    assert "cannot be reached" in told["error"]
    assert store.get(rollout.name).position.phase == "promoted", "nobody waited for it"
    # The same spec with the right address, as `crossfade reload` records it.
    mended = text.replace(f"http://127.0.0.1:{nowhere}", mlflow)
    store.add(mended, parse(mended), START + 3.0)
    settled(tell, store, rollout.name, 4)
    tell.close()
