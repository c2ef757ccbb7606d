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


class RouterDocument(Written):
    """The router that carries the traffic: one of envoy and haproxy."""

    what: ClassVar[str] = "a router such as {envoy: {routes: /etc/envoy/routes.yaml, admin: [http://127.0.0.1:9901]}}"

    envoy: EnvoyDocument | None = None
    """Envoy; see docs/how-to/envoy.md."""
    haproxy: HAProxyDocument | None = None
    """HAProxy; see docs/how-to/haproxy.md."""


def ways(router: RouterDocument) -> list[tuple[str, Any]]:
    """The routers that are named; one is allowed."""
    every = ((name, getattr(router, field)) for field, name in _NAMES.items())
    return [(name, way) for name, way in every if way is not None]


_NAMES = {field: info.alias or field for field, info in RouterDocument.model_fields.items()}
_CALLED = ("clusters", "backends")
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
