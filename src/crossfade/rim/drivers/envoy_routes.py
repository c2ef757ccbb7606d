"""Envoy's routes of one rollout: written into a route configuration, and read out of one. Nothing here waits.

Units keep their arm because Envoy hashes what names them, behind the rollout's salt, and takes the remainder by a
total that never changes; the challengers' ranges begin where they always began, and only their ends move.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from crossfade.rim.drivers.port import Carried, Mark, Order
from crossfade.spec.model import From, Rollout
from crossfade.spec.router import Router

TOTAL = 1_000_000
"""What the weights of one route add up to."""

UNIT = r"[!-~]([ -~]*[!-~])?"
"""A unit that can be hashed; requests without one are the champion's. Envoy bounds how long such expressions are."""

_COOKIE = r"[!#-+\--:<-\[\]-~]+"

Json = dict[str, Any]


def routes_of(order: Order) -> list[Json]:
    """The routes that carry an order, in the sequence in which Envoy has to try them."""
    champion, path = order.champion.name, _path(order.route)
    kept = replace(order.mark, mode="champion", weight=0.0)
    found = []
    for field, value in order.excluded:
        match = {**path, "headers": [_header(field.name, {"exact": value})]}
        found.append(_route(kept, match, {"cluster": order.router.called(champion)}))
    whole = {"cluster": order.router.called(champion), **_mirrors(order)}
    if order.weight <= 0.0:
        return [*found, _route(order.mark, path, whole)]
    if order.unit.source is From.REQUEST:
        return [*found, _route(order.mark, path, {"weighted_clusters": {"clusters": _clusters(order)}})]
    header, pattern, named = _named(order)
    weighted = {
        "weighted_clusters": {"clusters": _clusters(order), "use_hash_policy": True},
        "hash_policy": [
            {
                "header": {
                    "header_name": header,
                    "regex_rewrite": {
                        "pattern": {"regex": pattern},
                        "substitution": order.salt.replace("\\", "\\\\") + r":\1",
                    },
                }
            }
        ],
    }
    known = {**path, "headers": [_header(header, {"safe_regex": {"regex": named}})]}
    return [*found, _route(order.mark, known, weighted), _route(order.mark, path, whole)]


def with_routes(routes: Sequence[Json], rollout: str, own: Sequence[Json]) -> list[Json]:
    """A virtual host's routes with a rollout's in place of those it had, before all that are not Crossfade's.

    Of Crossfade's the longer paths come first. A rollout that had the same path has lost it.
    """
    paths = {_path_of(route) for route in own}
    ours = [route for route in routes if (mark := mark_of(route)) and mark.rollout != rollout]
    ours = [route for route in ours if _path_of(route) not in paths]
    theirs = [route for route in routes if mark_of(route) is None]
    # The sort is stable: what Envoy has to try first of one path stays first.
    return [*sorted([*ours, *own], key=lambda route: -len(_path_of(route))), *theirs]


def carried(rollout: Rollout, configurations: Iterable[Json], version: str) -> Carried | None:
    """What route configurations say of a rollout's requests; None where they have no route of it."""
    assert rollout.router is not None
    found = [
        route
        for configuration in configurations
        for host in configuration.get("virtual_hosts", ())
        for route in host.get("routes", ())
        if (mark := mark_of(route)) is not None and mark.rollout == rollout.name
    ]
    if not found:
        return None
    arms = {rollout.router.called(arm.name): arm.name for arm in (rollout.champion, *rollout.challengers)}
    # What is excluded goes to the champion; the first route of all others says what is given to whom.
    told = [route for route in found if "weighted_clusters" in route.get("route", {})] or found[-1:]
    action = told[0].get("route", {})
    marks = {mark for route in found[-1:] + told if (mark := mark_of(route)) is not None}
    return Carried(
        shares=_shares(action, arms),
        mirrors=_copied(found[-1].get("route", {}), arms),
        mark=marks.pop() if len(marks) == 1 else None,
        said=f"version {version}",
    )


def mark_of(route: Mapping[str, Any]) -> Mark | None:
    """The mark of one of Crossfade's routes; None for anybody else's."""
    return Mark.read(str(route.get("name", "")))


def clusters_of(order: Order) -> list[str]:
    """The clusters that an order needs."""
    arms = [order.champion, *(order.challengers if not order.back else ())]
    return [order.router.called(arm.name) for arm in arms]


def _route(mark: Mark, match: Json, action: Json) -> Json:
    return {"name": str(mark), "match": match, "route": action}


def _path(prefix: str) -> Json:
    """Whole segments of a path, as the gateway matches them."""
    bare = prefix.rstrip("/")
    return {"path_separated_prefix": bare} if bare else {"prefix": "/"}


def _path_of(route: Mapping[str, Any]) -> str:
    match = route.get("match", {})
    return str(match.get("path_separated_prefix") or match.get("prefix") or "")


def _header(name: str, match: Json) -> Json:
    return {"name": name, "string_match": match}


def _named(order: Order) -> tuple[str, str, str]:
    """The header that a unit is in, the expression that takes it out, and the one that says whether it is there."""
    if order.unit.source is From.COOKIE:
        name = re.escape(order.unit.name)
        inside = rf'(?:.*;)?[ \t]*{name}=("?{_COOKIE}"?)[ \t]*(?:;.*)?'
        return "cookie", f"^{inside}$", inside.replace("(" + '"', "(?:" + '"', 1)
    return order.unit.name, "^(.*)$", UNIT


def _clusters(order: Order) -> list[Json]:
    """Ranges of the remainder: each challenger's begins at its place, and the champion has what lies between."""
    several = len(order.challengers)
    champion, found, at = order.router.called(order.champion.name), [], 0
    for place, arm in enumerate(order.challengers):
        weight, end = round(order.weight * TOTAL), (place + 1) * TOTAL // several
        found.append({"name": order.router.called(arm.name), "weight": weight})
        if end - at - weight > 0:
            found.append({"name": champion, "weight": end - at - weight})
        at = end
    return found


def _mirrors(order: Order) -> Json:
    copies = [
        {
            "cluster": order.router.called(arm),
            "runtime_fraction": {"default_value": {"numerator": round(share * TOTAL), "denominator": "MILLION"}},
        }
        for arm, share in order.mirrors.items()
    ]
    return {"request_mirror_policies": copies} if copies else {}


def _shares(action: Mapping[str, Any], arms: Mapping[str, str]) -> dict[str, float]:
    if "cluster" in action:
        return {arms.get(action["cluster"], action["cluster"]): 1.0}
    clusters = action.get("weighted_clusters", {}).get("clusters", ())
    total = sum(_weight(one) for one in clusters) or 1
    shares: dict[str, float] = {}
    for one in clusters:
        arm = arms.get(one["name"], one["name"])
        shares[arm] = shares.get(arm, 0.0) + _weight(one) / total
    return shares


def _weight(cluster: Mapping[str, Any]) -> int:
    return int(cluster.get("weight", 0))


def _copied(action: Mapping[str, Any], arms: Mapping[str, str]) -> dict[str, float]:
    found = {}
    for one in action.get("request_mirror_policies", ()):
        fraction = one.get("runtime_fraction", {}).get("default_value", {"numerator": 100})
        parts = {"MILLION": 1_000_000, "TEN_THOUSAND": 10_000}.get(fraction.get("denominator", ""), 100)
        found[arms.get(one["cluster"], one["cluster"])] = int(fraction.get("numerator", 0)) / parts
    return found


def router_of(rollout: Rollout) -> Router:
    """The router that a rollout names."""
    assert rollout.router is not None
    return rollout.router
