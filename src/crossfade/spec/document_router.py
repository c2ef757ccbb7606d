"""How people write which router carries the traffic in the gateway's place; part of `spec.document`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from crossfade.spec import words
from crossfade.spec.router import Router
from crossfade.spec.written import Written

FILE = words.text("the path of a file, such as /etc/envoy/crossfade.yaml", r"/[^\x00-\x1f\x7f]{1,300}", most=301)
PLACE = words.text(
    "a URL without a path, such as http://127.0.0.1:9901", r"https?://[^\s/?#@\x00-\x1f\x7f]{1,300}/?", most=310
)
SOCKET = words.text(
    "a socket such as unix:/run/haproxy/admin.sock or tcp:127.0.0.1:9999",
    r"unix:/[^\x00-\x1f\x7f]{1,200}|tcp:[^\s/\x00-\x1f\x7f]{1,200}:[0-9]{1,5}",
    most=210,
)
Called = Annotated[str, words.text("a name that the router has, without spaces", r"[^\s\x00-\x1f\x7f]+", most=200)]


class EnvoyDocument(Written):
    """Envoy, by the file that it takes its routes from."""

    what: ClassVar[str] = "an Envoy such as {routes: /etc/envoy/routes.yaml, admin: [http://127.0.0.1:9901]}"

    routes: Annotated[str, FILE]
    """The file with the route configuration that Envoy watches (rds, path_config_source); rollouts' routes are put
    before those in it."""
    admin: Annotated[
        list[Annotated[str, PLACE]],
        words.items("a list such as [http://127.0.0.1:9901]", least=1),
        Field(json_schema_extra={"minItems": 1}),
    ]
    """Where the admin interface of each Envoy that watches the file is; what they do is read there."""
    clusters: Annotated[dict[str, Called], words.table("a mapping from arms to clusters such as {v1: ranker-a}")] = (
        Field(default_factory=dict)
    )
    """Envoy's clusters of the arms, where they are not called as the arms are."""
    virtual_host: words.Text | None = None
    """The virtual host in the file that the requests come to; the first one unless written."""


class HAProxyDocument(Written):
    """HAProxy, by its runtime API."""

    what: ClassVar[str] = (
        "an HAProxy such as {sockets: [unix:/run/haproxy/admin.sock], map: /etc/haproxy/crossfade.map}"
    )

    sockets: Annotated[
        list[Annotated[str, SOCKET]],
        words.items("a list such as [unix:/run/haproxy/admin.sock]", least=1),
        Field(json_schema_extra={"minItems": 1}),
    ]
    """The stats socket of each HAProxy, at level admin: unix:/PATH, or tcp:HOST:PORT where that is let in."""
    map: Annotated[str, words.text("a path as HAProxy's configuration has it", r"[^\s\x00-\x1f\x7f]{1,300}", most=300)]
    """The map that its configuration looks the rollout's weight up in, as it is named there."""
    backends: Annotated[dict[str, Called], words.table("a mapping from arms to backends such as {v1: ranker-a}")] = (
        Field(default_factory=dict)
    )
    """HAProxy's backends of the arms, where they are not called as the arms are."""


OBJECT = words.text("the name of a Kubernetes object", r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", most=253)


class GatewayApiDocument(Written):
    """The Kubernetes Gateway API, by the HTTPRoute that requests take."""

    what: ClassVar[str] = "an HTTPRoute such as {route: ranker, backends: {v1: ranker-v1, v2: ranker-v2}}"

    route: Annotated[str, OBJECT]
    """The HTTPRoute; one of its rules names every arm among its backends."""
    rule: words.Text | None = None
    """The name of that rule, where several name them all."""
    backends: Annotated[dict[str, Called], words.table("a mapping from arms to services such as {v1: ranker-v1}")] = (
        Field(default_factory=dict)
    )
    """The services of the arms, where they are not called as the arms are."""
    namespace: Annotated[str, OBJECT] | None = None
    """Of the HTTPRoute; that of the controller's own pod or context unless written."""
    kubeconfig: Annotated[str, FILE] | None = None
    """A kubeconfig to reach the cluster by, where the controller runs in no pod of it."""
    context: words.Text | None = None
    """The kubeconfig's context; its current one unless written."""


class IstioDocument(Written):
    """Istio, by the VirtualService that requests take."""

    what: ClassVar[str] = "a VirtualService such as {virtual_service: ranker, destinations: {v1: ranker/v1}}"

    virtual_service: Annotated[str, OBJECT]
    """The VirtualService; one of its HTTP routes names every arm among its destinations."""
    http: words.Text | None = None
    """The name of that HTTP route, where several name them all."""
    destinations: Annotated[
        dict[str, Called], words.table("a mapping from arms to HOST or HOST/SUBSET such as {v1: ranker/v1}")
    ] = Field(default_factory=dict)
    """The destinations of the arms, HOST or HOST/SUBSET, where they are not called as the arms are."""
    namespace: Annotated[str, OBJECT] | None = None
    """Of the VirtualService; that of the controller's own pod or context unless written."""
    kubeconfig: Annotated[str, FILE] | None = None
    """A kubeconfig to reach the cluster by, where the controller runs in no pod of it."""
    context: words.Text | None = None
    """The kubeconfig's context; its current one unless written."""


class KServeDocument(Written):
    """KServe, by the InferenceService whose latest revision is the challenger."""

    what: ClassVar[str] = "an InferenceService such as {inference_service: ranker}"

    inference_service: Annotated[str, OBJECT]
    """The InferenceService, deployed with the challenger's model and canaryTrafficPercent: 0."""
    namespace: Annotated[str, OBJECT] | None = None
    """Of the InferenceService; that of the controller's own pod or context unless written."""
    kubeconfig: Annotated[str, FILE] | None = None
    """A kubeconfig to reach the cluster by, where the controller runs in no pod of it."""
    context: words.Text | None = None
    """The kubeconfig's context; its current one unless written."""


class RouterDocument(Written):
    """The router that carries the traffic: one of envoy, haproxy, gateway_api, istio and kserve."""

    what: ClassVar[str] = "a router such as {envoy: {routes: /etc/envoy/routes.yaml, admin: [http://127.0.0.1:9901]}}"

    envoy: EnvoyDocument | None = None
    """Envoy; see docs/how-to/envoy.md."""
    haproxy: HAProxyDocument | None = None
    """HAProxy; see docs/how-to/haproxy.md."""
    gateway_api: GatewayApiDocument | None = None
    """The Kubernetes Gateway API; see docs/how-to/kubernetes.md."""
    istio: IstioDocument | None = None
    """Istio; see docs/how-to/kubernetes.md."""
    kserve: KServeDocument | None = None
    """KServe; see docs/how-to/kubernetes.md."""


def ways(router: RouterDocument) -> list[tuple[str, Any]]:
    """The routers that are named; one is allowed."""
    every = ((name, getattr(router, field)) for field, name in _NAMES.items())
    return [(name, way) for name, way in every if way is not None]


_NAMES = {field: info.alias or field for field, info in RouterDocument.model_fields.items()}
_CALLED = ("clusters", "backends", "destinations")
"""Keys that say what the router calls the arms."""


def meant(router: RouterDocument) -> Router:
    """The router that was written."""
    ((name, way),) = ways(router)
    settings: list[tuple[str, str]] = []
    arms: dict[str, str] = {}
    for field, info in type(way).model_fields.items():
        value = getattr(way, field)
        if field in _CALLED:
            arms = value
        elif isinstance(value, list):
            settings += [(info.alias or field, str(one)) for one in value]
        elif value is not None:
            settings.append((info.alias or field, str(value)))
    return Router(driver=name, settings=tuple(settings), arms=tuple(arms.items()))
