"""The drivers of Kubernetes objects, against a double of the API server; no cluster has run them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from crossfade.live.routes import champion_only, routes
from crossfade.rim.drivers import cluster, port
from crossfade.rim.drivers.known import driver_of
from crossfade.rim.drivers.port import (
    Driver,
    Fenced,
    Misplaced,
    Order,
    Refused,
    Unable,
    Unreachable,
    differences,
    order_of,
)
from crossfade.spec.model import Rollout
from crossfade.spec.parse import parse
from crossfade.state import Phase, Position
from rim.drivers.api_server import ApiServer, Json, api_server, problems_of, published

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "kubernetes.md").read_text()
BLOCKS = re.findall(r"```yaml[^\n]*\n(.*?)```", PAGE, re.DOTALL)
OBJECTS = {
    one["kind"]: one
    for block in BLOCKS
    if "apiVersion" in block
    for one in yaml.safe_load_all(block)
    if one["kind"] != "Role"
}
(SPEC,) = (block for block in BLOCKS if block.startswith("name: "))
ROUTERS = {line.split("{")[1].split(":")[0]: line for line in re.findall(r"^router: \{.+$", PAGE, re.MULTILINE)}


def gateways(found: Json) -> None:
    """A gateway that takes every route."""
    seen = {"observedGeneration": found["metadata"]["generation"], "status": "True"}
    seen["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    conditions = [{"type": kind, "reason": "Yes", "message": "", **seen} for kind in ("Accepted", "ResolvedRefs")]
    parent = {"parentRef": {"name": "public"}, "controllerName": "example.com/gateway", "conditions": conditions}
    found["status"] = {"parents": [parent]}


def knative(found: Json) -> None:
    """KServe in its serverless mode, with a revision before the latest."""
    latest = found["spec"]["predictor"].get("canaryTrafficPercent", 100)
    shares = [{"latestRevision": True, "revisionName": "ranker-2", "percent": latest}]
    shares += [{"revisionName": "ranker-1", "tag": "prev", "percent": 100 - latest}]
    found["status"] = {"components": {"predictor": {"traffic": shares}}}


@dataclass
class Kind:
    """One of the drivers, with its object in a cluster of the test's own."""

    name: str
    server: ApiServer
    path: str
    rollout: Rollout
    driver: Driver

    @property
    def object(self) -> Json:
        return self.server.objects[self.path]

    def order(
        self, phase: Phase = Phase.RUNNING, *, step: int = 0, stage: int = 0, term: int = 1, seq: int = 1
    ) -> Order:
        assert self.rollout.router is not None
        route = routes(self.rollout, Position(phase=phase, stage=stage, step=step))
        return order_of(route, self.rollout.router, term=term, seq=seq)


PLACES = {
    "gateway_api": ("/apis/gateway.networking.k8s.io/v1/namespaces/models/httproutes/ranker", "HTTPRoute", gateways),
    "istio": ("/apis/networking.istio.io/v1/namespaces/models/virtualservices/ranker", "VirtualService", None),
    "kserve": (
        "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices/ranker",
        "InferenceService",
        knative,
    ),
}


@pytest.fixture(params=sorted(PLACES))
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kind]:
    path, name, controller = PLACES[request.param]
    monkeypatch.setattr(cluster, "PATIENCE", 30.0)
    with api_server() as server:
        server.controller = controller
        server.put(path, OBJECTS[name])
        file = server.kubeconfig(tmp_path)
        line = f"{ROUTERS[request.param][:-2]}, kubeconfig: {file}}}}}"
        rollout = parse(SPEC + line + "\n")
        yield Kind(request.param, server, path, rollout, driver_of(rollout))


def test_the_guides_lines_are_of_every_driver() -> None:
    assert set(ROUTERS) == set(PLACES)


def test_weights_follow_the_plan_and_come_back(kind: Kind) -> None:
    assert kind.driver.read().mark is None
    for wanted in (
        kind.order(),
        kind.order(step=1, seq=2),
        kind.order(Phase.ROLLED_BACK, seq=3),
        kind.order(Phase.PROMOTED, stage=1, seq=4),
        kind.order(Phase.FINISHED, stage=1, seq=5),
    ):
        kind.driver.carry(wanted)
        assert not differences(wanted, kind.driver.read()), wanted
    assert kind.driver.read().shares["v2"] == 1.0
    back = order_of(
        champion_only(routes(kind.rollout, Position(phase=Phase.RUNNING))), kind.rollout.router, term=1, seq=6
    )
    kind.driver.carry(back)
    assert kind.driver.read().shares["v1"] == 1.0


def test_only_what_is_ours_is_touched(kind: Kind) -> None:
    before = copy.deepcopy(kind.object)
    kind.driver.carry(kind.order())
    after = copy.deepcopy(kind.object)
    assert after["metadata"].pop("annotations").keys() - before["metadata"].get("annotations", {}).keys() == {
        "crossfade-order.ranker-v2"
    }
    before["metadata"].pop("annotations", None)
    match kind.name:
        case "gateway_api":
            ours = [ref.pop("weight") for ref in after["spec"]["rules"][0]["backendRefs"]]
            assert ours == [950_000, 50_000]
            for ref in before["spec"]["rules"][0]["backendRefs"]:
                ref.pop("weight")
        case "istio":
            assert [one.pop("weight") for one in after["spec"]["http"][0]["route"]] == [95, 5]
            for one in before["spec"]["http"][0]["route"]:
                one.pop("weight")
        case "kserve":
            assert after["spec"]["predictor"].pop("canaryTrafficPercent") == 5
            before["spec"]["predictor"].pop("canaryTrafficPercent")
    # To the byte, and in the order in which it was written.
    assert json.dumps(after["spec"]) == json.dumps(before["spec"])


def test_who_writes_at_the_same_time_loses_nothing(kind: Kind) -> None:
    def other() -> None:
        found = copy.deepcopy(kind.object)
        found["metadata"].setdefault("labels", {})["team"] = "search"
        kind.server.put(kind.path, found)

    kind.server.meanwhile = other
    kind.driver.carry(kind.order())
    assert [status for method, _, status in kind.server.asked if method == "PUT"] == [409, 200]
    assert kind.object["metadata"]["labels"]["team"] == "search"
    assert not differences(kind.order(), kind.driver.read())


def test_who_writes_all_the_time_is_told(kind: Kind) -> None:
    kind.server.faults = [("PUT", 409, 0.0)] * 9
    with pytest.raises(Unreachable, match="somebody else all the time"):
        kind.driver.carry(kind.order())


def test_a_controller_that_was_deposed_writes_nothing(kind: Kind) -> None:
    kind.driver.carry(kind.order(Phase.ROLLED_BACK, term=7))
    with pytest.raises(Fenced, match="later leadership"):
        kind.driver.carry(kind.order(step=1, term=6))
    assert kind.driver.read().shares["v1"] == 1.0
    kind.driver.carry(kind.order(step=1, term=8))


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, Refused, "does not know who asks"),
        (403, Refused, "verbs get and update"),
        (404, Misplaced, "there is no"),
        (410, Unreachable, "again later"),
        (422, Refused, "as the test wants it"),
        (429, Unreachable, "again later"),
        (500, Unreachable, "failed"),
        (503, Unreachable, "failed"),
    ],
)
def test_every_no_says_what_to_do(kind: Kind, status: int, error: type[Exception], says: str) -> None:
    before = copy.deepcopy(kind.object)
    for method, act in (("GET", kind.driver.read), ("PUT", lambda: kind.driver.carry(kind.order()))):
        if (method, status) == ("GET", 422):
            continue
        kind.server.faults = [(method, status, 0.0)]
        with pytest.raises(error, match=says):
            act()
    assert kind.object == before


def test_a_slow_server_is_not_waited_for_and_one_that_is_gone_is_told(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    kind.server.faults = [("GET", 0, 1.0)]
    with pytest.raises(Unreachable, match="cannot be asked"):
        kind.driver.read()
    assert port.PATIENCE <= 5.0


def test_what_it_cannot_do_is_refused_and_changes_nothing(kind: Kind) -> None:
    before = copy.deepcopy(kind.object)
    wanted = kind.order()
    with pytest.raises(Unable, match="merge lists"):
        kind.driver.carry(replace(wanted, mark=replace(wanted.mark, mode="interleave")))
    assert kind.object == before


def test_an_object_that_names_no_arm_is_misplaced(kind: Kind) -> None:
    found = copy.deepcopy(kind.object)
    match kind.name:
        case "gateway_api":
            found["spec"]["rules"][0]["backendRefs"].pop()
        case "istio":
            found["spec"]["http"][0]["route"].pop()
        case "kserve":
            kind.server.controller = None
            kind.server.objects[kind.path]["status"] = {}
    kind.server.put(kind.path, found)
    with pytest.raises(Misplaced, match=r"no rule with|no HTTP route with|serverless"):
        kind.driver.read()


def test_an_order_that_nobody_has_taken_yet_is_not_in_force(kind: Kind) -> None:
    if kind.name == "istio":
        kind.server.controller = lambda found: found.update(status={"observedGeneration": 0})
    else:
        kind.server.controller = None
    kind.driver.carry(kind.order())
    assert kind.driver.read().mark is None
    assert differences(kind.order(), kind.driver.read())


@pytest.mark.parametrize("kind", ["gateway_api"], indirect=True)
def test_a_gateway_that_refuses_the_route_is_told(kind: Kind) -> None:
    def refuses(found: Json) -> None:
        gateways(found)
        found["status"]["parents"][0]["conditions"][1] |= {"status": "False", "reason": "BackendNotFound"}

    kind.server.controller = refuses
    kind.driver.carry(kind.order())
    with pytest.raises(Refused, match="ResolvedRefs is False, BackendNotFound"):
        kind.driver.read()


@pytest.mark.parametrize("kind", ["gateway_api", "istio"], indirect=True)
def test_mirrors_come_and_go_and_those_of_others_stay(kind: Kind) -> None:
    before = copy.deepcopy(kind.object["spec"])
    for share in (1.0, 0.25, 0.123456 if kind.name == "gateway_api" else 0.1234):
        wanted = replace(kind.order(Phase.ROLLED_BACK), mirror=share)
        kind.driver.carry(wanted)
        assert not differences(wanted, kind.driver.read())
        assert not problems_of(kind.object)
    kind.driver.carry(kind.order(Phase.ROLLED_BACK, seq=9))
    assert kind.driver.read().mirrors == {}
    after = copy.deepcopy(kind.object["spec"])
    for spec in (before, after):
        for each in spec["rules"][0]["backendRefs"] if kind.name == "gateway_api" else spec["http"][0]["route"]:
            each.pop("weight")
    assert json.dumps(after) == json.dumps(before)


@pytest.mark.parametrize("kind", ["gateway_api", "istio"], indirect=True)
def test_a_backend_that_is_no_arm_is_seen_and_not_overruled(kind: Kind) -> None:
    found = copy.deepcopy(kind.object)
    if kind.name == "gateway_api":
        found["spec"]["rules"][0]["backendRefs"].append({"name": "stranger", "port": 80, "weight": 1})
    else:
        found["spec"]["http"][0]["route"].append({"destination": {"host": "stranger"}, "weight": 1})
    kind.server.put(kind.path, found)
    assert "stranger" in kind.driver.read().shares
    with pytest.raises(Misplaced, match="stranger, which is no arm"):
        kind.driver.carry(kind.order())


@pytest.mark.parametrize("kind", ["gateway_api", "istio"], indirect=True)
def test_nobody_who_meddles_keeps_a_challenger_from_being_taken_back(kind: Kind) -> None:
    kind.driver.carry(kind.order(step=1))
    found = copy.deepcopy(kind.object)
    if kind.name == "gateway_api":
        found["spec"]["rules"][0]["backendRefs"].append({"name": "stranger", "port": 80, "weight": 1})
    else:
        found["spec"]["http"][0]["route"].append({"destination": {"host": "stranger"}, "weight": 1})
    kind.server.put(kind.path, found)
    back = kind.order(Phase.ROLLED_BACK, seq=2)
    kind.driver.carry(back)
    assert kind.driver.read().shares["v2"] == 0.0
    assert any("stranger" in said for said in differences(back, kind.driver.read())), "who has the rest is told"


@pytest.mark.parametrize("kind", ["gateway_api", "istio"], indirect=True)
def test_an_arm_that_is_named_twice_is_refused_and_not_weighed_twice(kind: Kind) -> None:
    found = copy.deepcopy(kind.object)
    members = (
        found["spec"]["rules"][0]["backendRefs"] if kind.name == "gateway_api" else found["spec"]["http"][0]["route"]
    )
    members.append(copy.deepcopy(members[1]))
    kind.server.put(kind.path, found)
    with pytest.raises(Misplaced, match="more than once"):
        kind.driver.carry(kind.order())
    with pytest.raises(Misplaced, match="more than once"):
        kind.driver.read()


NO_CRDS = (
    "THE PUBLISHED SCHEMAS ARE NOT HERE: put the CustomResourceDefinitions of Gateway API, Istio and KServe as YAML "
    "into build/servers/crds, or name a folder with CROSSFADE_CRDS"
)


@pytest.mark.skipif(len(published()) < 3, reason=NO_CRDS)
def test_the_published_schemas_take_what_is_written_and_not_what_is_wrong(kind: Kind) -> None:
    for wanted in (kind.order(), kind.order(step=1, seq=2), kind.order(Phase.FINISHED, stage=1, seq=3)):
        kind.driver.carry(wanted)
        assert not problems_of(kind.object)
    wrong = copy.deepcopy(kind.object)
    wrong["spec"]["unheard"] = 1
    assert problems_of(wrong)


def test_kubeconfigs_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    with api_server() as server:
        line = f"router: {{kserve: {{inference_service: ranker, kubeconfig: {tmp_path / 'kubeconfig'}}}}}\n"
        rollout = parse(SPEC + line)
        with pytest.raises(Misplaced, match="cannot be used"):
            driver_of(rollout)
        file = server.kubeconfig(tmp_path, exec="aws")
        with pytest.raises(Misplaced, match="asks a program"):
            driver_of(rollout)
        said = yaml.safe_load(server.kubeconfig(tmp_path).read_text())
        said["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
        file.write_text(yaml.safe_dump(said))
        with pytest.raises(Misplaced, match="name its authority"):
            driver_of(rollout)
        file.write_text(
            server.kubeconfig(tmp_path).read_text().replace("current-context: here", "current-context: gone")
        )
        with pytest.raises(Misplaced, match="no context named 'gone'"):
            driver_of(rollout)
        (tmp_path / "token").write_text("first")
        server.kubeconfig(tmp_path, tokenFile="token")
        driver = driver_of(rollout)
        with pytest.raises(Refused, match="401"):
            driver.read()
        (tmp_path / "token").rename(tmp_path / "away")
        with pytest.raises(Unreachable, match="token for the API server"):
            driver.read()
        (tmp_path / "token").write_text(server.token + "\n")
        with pytest.raises(Misplaced, match="404"):
            driver.read()


def test_outside_of_a_pod_a_kubeconfig_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Misplaced, match="name a kubeconfig"):
        driver_of(parse(SPEC + "router: {kserve: {inference_service: ranker}}\n"))
