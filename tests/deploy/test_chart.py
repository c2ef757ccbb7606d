"""The chart renders by the real helm, fits Kubernetes' published schemas, and keeps what the manifests promise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from crossfade.spec.parse import parse

from .kit import DEPLOY, objects, options, run, tool

CHART = DEPLOY / "helm" / "crossfade"
EXAMPLE = CHART / "example.yaml"
PLAIN = DEPLOY / "kubernetes" / "crossfade.yaml"


def rendered(*options: str | Path) -> str:
    return run(tool("helm"), "template", "crossfade", CHART, "--namespace", "crossfade", *options)


def pods(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["spec"]["template"] for one in found if one["kind"] in ("Deployment", "StatefulSet")]


def test_helm_lints_the_chart() -> None:
    run(tool("helm"), "lint", "--strict", CHART, "--values", EXAMPLE)


def test_the_plain_manifests_are_what_the_chart_renders() -> None:
    wanted = rendered("--values", EXAMPLE)
    assert PLAIN.read_text() == wanted, f"helm template crossfade {CHART} -n crossfade -f {EXAMPLE} > {PLAIN}"


def test_kubernetes_schemas_know_every_field(tmp_path: Path) -> None:
    everything = tmp_path / "all.yaml"
    everything.write_text(
        rendered(
            *("--values", EXAMPLE, "--set", "tokens.existingSecret=t", "--set", "gateway.autoscaling.enabled=false"),
            *("--set", "imagePullSecrets[0].name=p", "--set", "envFromSecrets[0]=keys"),
            *("--set", "serviceAccount.annotations.a=b", "--set", "console.storageClassName=fast"),
            *("--set", "routers.httproutes[0]=ranker", "--set", "routers.virtualservices[0]=ranker"),
            *("--set", "gateway.nodeSelector.a=b", "--set", "gateway.extraArgs[0]=--access-log"),
        )
    )
    validate = tool("kubernetes-validate")
    for version in ("1.27", "1.37"):
        run(validate, "--strict", "--quiet", "-k", version, PLAIN, everything)


def test_only_who_sets_routers_gets_a_token_and_a_role_for_them_alone() -> None:
    found = objects(rendered("--values", EXAMPLE, "--set", "routers.inferenceservices={a,b}"))
    tokens = {pod["spec"]["containers"][0]["name"]: pod["spec"]["automountServiceAccountToken"] for pod in pods(found)}
    assert tokens == {"gateway": False, "console": False, "controller": True}
    (role,) = (one for one in found if one["kind"] == "Role")
    assert role["rules"] == [
        {
            "apiGroups": ["serving.kserve.io"],
            "resources": ["inferenceservices"],
            "resourceNames": ["a", "b"],
            "verbs": ["get", "update"],
        }
    ]
    assert not [one for one in objects(PLAIN.read_text()) if one["kind"] == "Role"]


def test_certificates_and_database_roles_reach_their_parts() -> None:
    found = objects(
        rendered(
            *("--values", EXAMPLE, "--set", "console.tlsSecret=a", "--set", "gateway.tlsSecret=b"),
            *("--set", "store.keys.gateway=reader"),
        )
    )
    for pod in pods(found):
        (container,) = pod["spec"]["containers"]
        part = container["name"]
        keys = {one["name"]: one["secret"] for one in pod["spec"]["volumes"] if "secret" in one}
        assert keys["store"]["items"][0]["key"] == {"gateway": "reader"}.get(part, "url")
        assert keys.get("tls", {}).get("secretName") == {"console": "a", "gateway": "b"}.get(part)
        asked = [one.split("=")[0] for one in container["args"] if "tls" in one]
        assert asked == {
            "gateway": ["--tls-cert", "--tls-key"],
            "console": ["--control-tls-cert", "--control-tls-key"],
        }.get(part, [])
        assert set(asked) <= options(part)
        if part == "console":
            assert container["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"


def test_kustomize_builds_the_plain_manifests() -> None:
    built = objects(run(tool("kubectl"), "kustomize", PLAIN.parent))
    assert {one["metadata"].get("namespace") for one in built if one["kind"] != "Namespace"} == {"crossfade"}


def test_what_is_missing_is_said() -> None:
    helm = tool("helm")
    with pytest.raises(AssertionError, match="give a spec by `specs`"):
        run(helm, "template", "crossfade", CHART)
    with pytest.raises(AssertionError, match=r"lake.url|/lake/url"):
        run(helm, "template", "crossfade", CHART, "--values", EXAMPLE, "--set", "lake.url=file:///tmp")


def test_the_examples_spec_holds() -> None:
    for text in yaml.safe_load(EXAMPLE.read_text())["specs"].values():
        parse(text)
    (specs,) = (one for one in objects(PLAIN.read_text()) if one["kind"] == "ConfigMap")
    for text in specs["data"].values():
        parse(text)


@pytest.mark.parametrize("pod", pods(objects(PLAIN.read_text())), ids=lambda pod: pod["spec"]["containers"][0]["name"])
def test_no_pod_may_more_than_it_must(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    # With a root that cannot be written, what is written has a volume.
    mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert {"/var/lib/crossfade", "/tmp"} <= set(mounted)
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] in ports
        assert asked["path"] in ("/healthz", "/readyz")
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", "what waits for others is not to be ended"


@pytest.mark.parametrize("pod", pods(objects(PLAIN.read_text())), ids=lambda pod: pod["spec"]["containers"][0]["name"])
def test_every_argument_is_an_option_of_its_command(pod: dict[str, Any]) -> None:
    (container,) = pod["spec"]["containers"]
    said = [*container.get("command", []), *container["args"]]
    part = container["name"]
    known = options(part)
    asked = {re.split("=", one)[0] for one in said if one.startswith("--")}
    assert asked
    assert asked <= known, f"crossfade {part} has no {asked - known}"


def test_secrets_are_only_referred_to() -> None:
    text = PLAIN.read_text()
    assert not [one for one in objects(text) if one["kind"] == "Secret"]
    assert "password" not in text.lower()
    for one in objects(text):
        for pod in pods([one]):
            for each in pod["spec"]["containers"][0]["env"]:
                assert not re.search(r"SECRET|PASSWORD|KEY$|^CROSSFADE_STORE$", each["name"]), each


def test_controllers_take_over_and_gateways_leave_one_at_a_time() -> None:
    found = {(one["kind"], one["metadata"]["name"]): one["spec"] for one in objects(PLAIN.read_text()) if "spec" in one}
    assert found["Deployment", "crossfade-controller"]["replicas"] == 2
    assert "replicas" not in found["Deployment", "crossfade-gateway"], "the autoscaler says how many"
    assert found["HorizontalPodAutoscaler", "crossfade-gateway"]["minReplicas"] >= 2
    for part in ("gateway", "controller"):
        budget = found["PodDisruptionBudget", f"crossfade-{part}"]
        labels = found["Deployment", f"crossfade-{part}"]["template"]["metadata"]["labels"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"]["matchLabels"].items() <= labels.items()
    for (kind, name), spec in found.items():
        if kind == "Service":
            owner = next(
                each for (kind, one), each in found.items() if one == name and kind != "Service" and "template" in each
            )
            assert spec["selector"].items() <= owner["template"]["metadata"]["labels"].items()
            assert spec["ports"][0]["targetPort"] in [
                port["name"] for port in owner["template"]["spec"]["containers"][0]["ports"]
            ]


def test_outcomes_take_a_token_wherever_others_reach_the_port() -> None:
    (console,) = (pod for pod in pods(objects(PLAIN.read_text())) if pod["spec"]["containers"][0]["name"] == "console")
    assert "--outcome-token" in console["spec"]["containers"][0]["args"]
    (said,) = re.findall(r"^CMD (.+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert '"--outcome-token"' in said
